"""The cases by which Go and Python are held to the same features and confidence of a clock offset.

    python -c "from inference.train.tests import offset_cases; offset_cases.write()"

Each case has the losses of windows, in thousandths, and what is to be found after each of
them. test_offset_confidence.py and agent/align read the file.
"""

import json
import pathlib

import numpy as np

from ..evaluation import offset_confidence
from ..evaluation.clock_offset import DIP_S
from ..evaluation.logistic import Confidence
from ..evaluation.offset_calibration import section
from ..models.codebook import SHIFTS

PATH = pathlib.Path(__file__).parents[3] / "agent/align/testdata/offset_cases.json"
BIAS, LEAST, MOST = 0.065, 12, 60
CONFIDENCE = Confidence(np.array([2.4, 0.7, 2.5]), np.array([0.4, 0.5, 1.4]), np.array([0.34, -0.33, 1.37, 1.0]), 0.9)


def dip(late, deep=1.0):
    """A window's losses: least where the senses match, if the video is late."""
    return 2 - deep * np.exp(-((np.array(SHIFTS) + late + BIAS) ** 2) / 2)


def cases():
    """Name → losses of windows (W,21), as the model gives them: float32 of thousandths."""
    rng = np.random.default_rng(18)
    noise = lambda count, size: size * rng.standard_normal((count, len(SHIFTS)))
    slope = 0.3 * np.array(SHIFTS)
    made = {
        "a clear dip": dip(1.25) + noise(70, 0.2),
        "a dip in noise": dip(-2.0) + noise(75, 1.5),
        "noise alone": dip(0.0, deep=0) + noise(60, 1.0),
        "a dip on a slope that hides it": dip(0.6) + slope + noise(40, 0.3),
        "a delay that changes": np.concatenate([dip(2.0) + noise(70, 0.5), dip(-1.0) + noise(60, 0.5)]),
        "a dip at the edge": dip(4.9) + noise(30, 0.1),
        "flat": np.full((20, len(SHIFTS)), 1.5),
    }
    return {name: np.round(1000 * losses).astype(int) for name, losses in made.items()}


def expected(thousandths):
    """What is found after each window: rounded as in the file."""
    curves = (np.array(thousandths) / 1000).astype(np.float32)
    found = offset_confidence.estimates(CONFIDENCE, curves, LEAST, MOST)
    lateness = -found.shift - BIAS
    return {
        "confidence": [round(float(p), 9) for p in found.probability],
        "known": found.known.tolist(),
        "seconds": [round(float(s), 9) if k else None for s, k in zip(lateness, found.known, strict=True)],
        "windows": [int(w) if k else None for w, k in zip(found.windows, found.known, strict=True)],
    }


def document():
    return {
        "offset": {"shifts_s": [round(s + BIAS, 3) for s in SHIFTS], "event_amps": 3000.0, "window_seconds": 120, "dip_s": DIP_S,
                   "pool": MOST, "step_s_per_min": 0.2, "most_s": 3.0, "confidence": section(CONFIDENCE) | {"min_windows": LEAST}},
        "cases": [{"name": name, "losses": losses.tolist()} | expected(losses) for name, losses in cases().items()],
    }


def write():
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(document(), separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
