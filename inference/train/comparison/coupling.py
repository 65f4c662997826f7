"""How much a frame tells of the current about it, which is what a clock offset is estimated from.

    python -m inference.train.coupling

A linear reading of a frame's tokens for how much one sample of current changed, at lags about
the frame. Far off, R² is what the furnace's state tells, for an abnormal current is
quiet; only the rise above that, at the frame's own seconds, can tell one offset
from another. Tokens as cache.py wrote them; 20 seconds. On a plant's own recordings a
missing rise means that the camera does not see the flame, or that the clocks differ.
"""

import argparse
import json
import pathlib

import numpy as np

from ..data import cache, window
from .compare import RESULTS
from ..data.records import changes_of

FILE = "link.json"
LAGS = np.arange(-10, 9)  # samples; below 0 the current comes first
EVERY = 3  # seconds from frame to frame
TRAINED, SCORED = 300, 100  # batches
RIDGE = 30.0
MOST = 0.2  # of the set-point; what changes more is a trip


def pairs(batches):
    """Tokens of frames (N,4·D) and the change of single samples about them, a share of the set-point (N,19)."""
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
    """R² by lag on other batches than those the reading was fitted on: pairs twice → (19,)."""
    (x, y), (other_x, other_y) = known, asked
    middle, width = x.mean(0), x.std(0) + 1e-6
    scaled = lambda z: np.c_[(z - middle) / width, np.ones(len(z))]
    a = scaled(x)
    weights = np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), a.T @ y)
    return 1 - ((other_y - scaled(other_x) @ weights) ** 2).mean(0) / other_y.var(0)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data", type=pathlib.Path, help="folder with the data sets train and test")
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
