"""Measures the coupling of the senses: how well a frame predicts the current around it, on which the clock offset relies.

    python -m inference.train.coupling

A linear regression predicts the change of single samples of current, at lags around the
frame, from the frame's tokens. At distant lags R² reflects the furnace's state, because an
abnormal current is quiet; only the rise above that, near the frame's own seconds, can
distinguish offsets. Uses the cached tokens; takes 20 seconds. On a plant's own recordings a
missing rise means that the camera does not see the flame, or that the clocks differ.
"""

import argparse
import json
import pathlib

import numpy as np

from ..data import cache, window
from ..data.records import changes_of
from .compare import RESULTS

FILE = "link.json"
LAGS = np.arange(-10, 9)  # samples; negative if the current comes first
EVERY = 3  # seconds between frames
TRAINED, SCORED = 300, 100  # batches
RIDGE = 30.0
MOST = 0.2  # of the set-point; a greater change is a trip


def pairs(batches):
    """Tokens of frames (N,4·D), and the change of the samples around them as a share of the set-point (N,19)."""
    features, changes = [], []
    for batch in batches:
        record = batch.currents[0]
        step, known = changes_of(record)
        seconds = np.arange(0, len(batch.label), EVERY)
        at = record.last[seconds][:, None] + round(batch.lags[0] * window.SAMPLE_HZ) + LAGS  # (N,19)
        inside = (at >= 0).all(1) & (at < len(step)).all(1) & (batch.seen[seconds] > 0)
        inside[inside] = known[at[inside]].all(1)
        features.append(np.asarray(batch.tokens[0][seconds[inside]], np.float32).reshape(inside.sum(), -1))
        changes.append(np.minimum(step[at[inside]], MOST))
    return np.concatenate(features), np.concatenate(changes)


def told(known, asked):
    """R² by lag on held-out batches: pairs to fit, pairs to test → (19,)."""
    (x, y), (other_x, other_y) = known, asked
    middle, width = x.mean(0), x.std(0) + 1e-6
    scaled = lambda z: np.c_[(z - middle) / width, np.ones(len(z))]
    a = scaled(x)
    weights = np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), a.T @ y)
    return 1 - ((other_y - scaled(other_x) @ weights) ** 2).mean(0) / other_y.var(0)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data", type=pathlib.Path, help="folder of the data sets train and test")
    parser.add_argument("--tokens", default="runs/tokens", type=pathlib.Path)
    parser.add_argument("--out", default=RESULTS / FILE, type=pathlib.Path)
    args = parser.parse_args(argv)
    read = lambda split, most: pairs(cache.read(args.tokens / split, args.data / split, split, rerolls=False, most=most))
    known, asked = read("train", TRAINED), read("test", SCORED)
    found = told(known, asked)
    args.out.write_text(json.dumps({
        "frames": len(asked[0]), "lags_s": (LAGS / window.SAMPLE_HZ).tolist(),
        "r2": [round(float(v), 4) for v in found]}) + "\n")
    for lag, value in zip(LAGS / window.SAMPLE_HZ, found, strict=True):
        print(f"{lag:+5.1f} s: {value:.3f}")
