"""Changes that keep the class: what a furnace, a lens or a meter does anyway.

draw() rolls the dice for a batch with numpy, so that a seed repeats a run;
pixels() applies the picture's part inside the training graph; current() the
rest on the host. The fluctuation of the current is never scaled apart from its
level nor smoothed: it is what tells quiet from normal.

Shapes: B windows, M frames.
"""

import numpy as np
from keras import ops

from .geometry import SAMPLES, SIZE

MIST_GRID = 5  # cells along one side of the mist


def draw(rng, windows, frames):
    """Random settings of pixels(), by the names under which the batch carries them."""
    some = lambda p, *shape: (rng.random((windows, *shape)) < p).astype(np.float32)
    gain = rng.normal(0, 0.2, (windows, 1)) + rng.normal(0, 0.12, (windows, 3))
    mist = rng.random((windows, frames, MIST_GRID, MIST_GRID)) ** 2
    mist = mist * some(0.25, 1, 1, 1) * some(0.7, frames, 1, 1) * 0.8
    corner = rng.random((windows, 1, 2)) * 1.2 - 0.2
    drift = rng.normal(0, 0.05, (windows, frames, 2))
    side = rng.uniform(0.1, 0.5, (windows, frames, 2))
    hidden = some(0.2, 1, 1) * some(0.7, frames, 1)
    return {
        "gain": np.exp(gain).astype(np.float32),  # (B,3)
        "mist": mist.astype(np.float32),  # (B,M,5,5), share of white
        # (B,M,4): top, left, bottom, right of what somebody stands in front of, as
        # shares of the picture; at most a quarter of it.
        "hidden": np.concatenate([corner + drift, (corner + drift + side) * hidden],
                                 axis=2).astype(np.float32),
        "shade": rng.uniform(0, 160, (windows, 1)).astype(np.float32),  # (B,1) of that somebody
    }


def pixels(frames, settings):
    """frames (B,M,64,64,3) 0–255 → the same as float32, changed by draw()'s settings."""
    x = ops.cast(frames, "float32") * settings["gain"][:, None, None, None]  # (B,M,64,64,3)
    m = frames.shape[1]
    mist = ops.reshape(settings["mist"], (-1, MIST_GRID, MIST_GRID, 1))    # (BM,5,5,1)
    mist = ops.image.resize(mist, (SIZE, SIZE), data_format="channels_last")  # (BM,64,64,1)
    mist = ops.reshape(mist, (-1, m, SIZE, SIZE, 1))                       # (B,M,64,64,1)
    x = x + (235.0 - x) * mist                                             # (B,M,64,64,3)
    box = settings["hidden"] * SIZE                                        # (B,M,4)
    line = ops.arange(SIZE, dtype="float32")                               # (64,)
    rows = inside(line, box[:, :, 0:1], box[:, :, 2:3])                    # (B,M,64)
    columns = inside(line, box[:, :, 1:2], box[:, :, 3:4])                 # (B,M,64)
    cover = (rows[:, :, :, None] * columns[:, :, None])[:, :, :, :, None]  # (B,M,64,64,1)
    shade = settings["shade"][:, :, None, None, None]                      # (B,1,1,1,1)
    x = x + (shade - x) * cover                                            # (B,M,64,64,3)
    return ops.clip(x, 0.0, 255.0)


def inside(line, low, high):
    return ops.cast(ops.logical_and(line >= low, line < high), "float32")


def current(rng, amps, mask, set_point):
    """One window of current, its mask and set-point, changed in place.

    amps (240,3), mask (240,), set_point (1,). Gain ±5 % of current and set-point
    against each other, phases in any order, 1–4 samples lost, now and then no
    set-point, and now and then a window that has only just begun.
    """
    amps *= rng.uniform(0.95, 1.05)
    amps[:] = amps[:, rng.permutation(amps.shape[1])]
    mask[rng.integers(0, SAMPLES, rng.integers(0, 5))] = 0
    if rng.random() < 0.2:
        set_point[:] = 0
    if rng.random() < 0.1:
        mask[: rng.integers(0, SAMPLES - 60)] = 0
    if rng.random() < 0.1:
        start, length = rng.integers(0, SAMPLES), rng.integers(2, 11)
        mask[start : start + length] = 0


def drop_sense(rng, share):
    """Which of (current, video) to keep, each dropped with p = share, never both."""
    keep = rng.random(2) >= share
    return keep if keep.any() else np.array([True, True])
