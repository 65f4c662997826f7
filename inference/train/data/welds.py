"""Arc welds: real video and current of one process, synchronised, without labels.

A folder holds a file weld-NAME.npz for each weld: frames uint8 (T,30,30), 12.5 a second,
and current and voltage float32 (2T,), 25 samples a second, in amperes and volts. Frame k
belongs to samples 2k and 2k+1, so a sample of a weld stands for a sample of a furnace
(window.py), 12.5 times as fast: a window of 240 samples lasts 9.6 s.

The voltage is read and checked, but nothing is estimated from it: a furnace's agent has none.
"""

import pathlib
import zipfile
from dataclasses import dataclass

import numpy as np

from . import window

SIDE = 30  # pixels of a frame's side
SAMPLE_HZ = 25.0
FRAME_HZ = 12.5
PER_FRAME = 2  # samples of a frame
SPEED = SAMPLE_HZ / window.SAMPLE_HZ  # times as fast as a furnace
EDGE = 1.0  # seconds at each end in which the arc starts or dies; nothing is judged there
LEAST = 15.0  # seconds of the shortest weld: two windows side by side, between the edges
SMOOTHED = 25  # samples of the moving mean that the high pass takes off: 1 s of current, 2 s of frames
EDGE_SAMPLES = round(EDGE * SAMPLE_HZ)
ONE_SPREAD = 0.683  # share of a normal distribution within one standard deviation
MOST_SPREADS = 4.0  # a greater deviation of the current is clipped: a short circuit, not a swing
SOURCE = ("[UOU-Welding/weld-pool-prediction](https://github.com/UOU-Welding/weld-pool-prediction), commit d3ec29c, "
          "T-fillet GMAW welds")
GET = "a folder in which each weld-NAME.npz holds frames uint8 (T,30,30), current and voltage float32 (2T,)"


@dataclass
class Weld:
    """One weld of T frames."""

    name: str
    frames: np.ndarray  # (T,30,30) uint8
    current: np.ndarray  # (2T,) float32, amperes
    voltage: np.ndarray  # (2T,) float32, volts

    def __len__(self):
        return len(self.frames)

    @property
    def seconds(self):
        return len(self) / FRAME_HZ


def read(folder):
    """The welds of a folder, ascending by name.

    Raises ValueError, with the file and the remedy, for a folder without welds and for a
    file that is not a weld.
    """
    folder = pathlib.Path(folder)
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise ValueError(f"{folder}: holds no file *.npz; give --data {GET}")
    known = [read_file(path) for path in paths]
    for weld, path in zip(known, paths, strict=True):
        if [w.name for w in known].count(weld.name) > 1:
            raise ValueError(f"{path}: another file holds a weld {weld.name} too; rename one")
    return known


def read_file(path):
    """The weld of one file; ValueError as for read()."""
    path = pathlib.Path(path)
    try:
        with np.load(path, allow_pickle=False) as kept:
            absent = [name for name in ("frames", "current", "voltage") if name not in kept]
            if absent:
                raise ValueError(f"{path}: {' and '.join(absent)} missing; write the weld anew, or take the file away")
            arrays = {name: kept[name] for name in ("frames", "current", "voltage")}
    except (OSError, EOFError, zipfile.BadZipFile) as e:
        raise ValueError(f"{path}: cannot be read ({e}); copy the file anew, or take it away") from e
    except ValueError as e:
        if str(e).startswith(str(path)):
            raise
        raise ValueError(f"{path}: is not a file of plain arrays ({e}); write it with numpy.savez, or take it away") from e
    check(path, **arrays)
    signals = {name: arrays[name].astype(np.float32) for name in ("current", "voltage")}
    return Weld(path.stem.removeprefix("weld-"), arrays["frames"], **signals)


def check(path, frames, current, voltage):
    """Raises ValueError if the arrays are not those of a weld."""
    if frames.dtype != np.uint8 or frames.ndim != 3 or frames.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"{path}: frames are {frames.dtype} {frames.shape}, not uint8 (T,{SIDE},{SIDE}); "
                         "convert them, or take the file away")
    for name, values in (("current", current), ("voltage", voltage)):
        if values.shape != (PER_FRAME * len(frames),) or values.dtype.kind != "f":
            raise ValueError(f"{path}: {name} is {values.dtype} {values.shape}, not float32 ({PER_FRAME * len(frames)},), "
                             "two samples a frame; cut both to one length, or take the file away")
        if not np.isfinite(values).all():
            first = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{path}: {name} is not finite at sample {first}; cut the weld there, or take the file away")
    if len(frames) < LEAST * FRAME_HZ:
        raise ValueError(f"{path}: lasts {len(frames) / FRAME_HZ:.1f} s, and at least {LEAST:g} s are needed; take the file away")
    if deviation(current).std() == 0:
        raise ValueError(f"{path}: the current is constant, so nothing can be aligned to it; take the file away")


def moving_mean(x):
    """The mean over SMOOTHED rows around each: (N,…) → (N,…)."""
    wide = np.pad(np.asarray(x, float), [(SMOOTHED // 2, SMOOTHED // 2)] + [(0, 0)] * (np.ndim(x) - 1), mode="edge")
    total = np.concatenate([np.zeros((1, *wide.shape[1:])), np.cumsum(wide, axis=0)])
    return (total[SMOOTHED:] - total[:-SMOOTHED]) / SMOOTHED


def deviation(current):
    """The current less its moving mean of 1 s: (2T,)."""
    return current - moving_mean(current)


def swing(current):
    """The high-passed current in units of what it mostly deviates by, and clipped: (2T,) float32.

    The unit is a quantile, because a single short circuit can make most of a standard deviation.
    """
    d = deviation(current)
    unit = np.quantile(np.abs(d[EDGE_SAMPLES:-EDGE_SAMPLES]), ONE_SPREAD)
    return np.clip(d / max(unit, 1e-6), -MOST_SPREADS, MOST_SPREADS).astype(np.float32)


def delayed(current, samples):
    """The current as if it were recorded later by a number of samples; negative for earlier: (2T,).

    Sample i of the result is sample i − samples of the record; the ends repeat the first and
    the last sample, and lie within what judging leaves out.
    """
    return current[np.clip(np.arange(len(current)) - samples, 0, len(current) - 1)]


def folds(welds, count):
    """The numbers of the welds in each fold: each weld in one fold, every count-th weld to a fold.

    Neighbouring welds were welded one after the other with like settings, so neighbours are
    dealt to different folds. Raises ValueError for fewer than two welds.
    """
    if len(welds) < 2:
        raise ValueError(f"{len(welds)} weld cannot be judged by a model that never saw it; give two welds or more")
    count = min(count, len(welds))
    return [list(range(first, len(welds), count)) for first in range(count)]


def stretches(weld, seconds, margin, hop=1.0):
    """First and last frame (exclusive) of the stretches of a length, hop seconds apart: (N,2).

    margin: samples that stay free before and after, for the shifts to be tried, beside EDGE.
    """
    lowest, highest = inner(weld, margin)
    length, step = round(seconds * FRAME_HZ), max(round(hop * FRAME_HZ), 1)
    first = np.arange(lowest, highest - length + 1, step)
    return np.stack([first, first + length], axis=1) if len(first) else np.zeros((0, 2), int)


def inner(weld, margin):
    """First and last frame (exclusive) that are judged."""
    lowest = -(-(EDGE_SAMPLES + margin) // PER_FRAME)
    return lowest, len(weld) - lowest
