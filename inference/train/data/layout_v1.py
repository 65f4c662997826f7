"""Reads the published V1 layout: a folder of .mat files, one record each.

    video             uint8 (H,W,3,N)      label   (H,W,N), not 0 where the hot spot is
    current           (3,N) amperes, one column a frame
    train_test_index  (1,N), 0 train, 1 test

The layout has no time. The published records hold some 3 hours in 2.7 · 10⁵ frames, 25 a
second; {"fps": …} in dataset.json beside the files sets another rate.
"""

import json
import pathlib

import numpy as np

from . import records, splits, window
from .matfile import MatFile

FPS = 25


def here(folder):
    return any(pathlib.Path(folder).glob("*.mat"))


def names(folder, split):
    """The names of a split's batches; validation is taken from training."""
    dealt = []
    for path in sorted(pathlib.Path(folder).glob("*.mat")):
        with MatFile(path) as mat:
            dealt.append((path, mat.row(mat.find("train_test_index"))))
    test = [n for path, index in dealt for n in _part(folder, path, index == 1)]
    if split == "test":
        return test
    train = [n for path, index in dealt for n in _part(folder, path, index == 0)]
    return splits.carve(train, folder)[split == "val"]


def _part(folder, path, chosen):
    stamps = np.arange(len(chosen)) / fps(folder)
    return splits.stretches(path.stem, stamps, np.flatnonzero(chosen), f"{path}: train_test_index")


def read_batch(folder, name, rerolls=True):
    """One stretch of a record; this layout has no rerolled currents."""
    record, first, end = splits.frames_of(name)
    path = pathlib.Path(folder) / f"{record}.mat"
    with MatFile(path) as mat:
        video, label, current = mat.find("video", "data"), mat.find("label"), mat.find("current")
        check(path, {n: mat.shape(n) for n in (video, label, current)}, video, label, current)
        count = mat.shape(video)[-1]
        first, end = first or 0, end or count
        stamps = np.arange(end - first) / fps(folder)
        amps = mat.items(current, np.arange(first, end)).astype(float)
        return records.batch(
            name,
            records.Video(stamps, lambda i: mat.items(video, i + first), lambda i: mat.items(label, i + first), str(path)),
            [{"time": stamps, **dict(zip("abc", amps.T, strict=True))}])


def check(path, shapes, video, label, current):
    """Rejects a file whose variables differ in their number of frames."""
    h, w, colours, n = shapes[video] if len(shapes[video]) == 4 else (0, 0, 0, 0)
    wanted = {video: (h, w, 3, n), label: (h, w, n), current: (window.PHASES, n)}
    for name, shape in wanted.items():
        if shapes[name] != shape or n == 0:
            raise ValueError(f"{path}: {name} has shape {shapes[name]}; save video as (H,W,3,N), label as (H,W,N), "
                             "current as (3,N), with one N")


def fps(folder):
    path = pathlib.Path(folder) / "dataset.json"
    if not path.exists():
        return FPS
    rate = json.loads(path.read_text()).get("fps", FPS)
    if not (isinstance(rate, (int, float)) and rate >= window.FRAME_HZ):
        raise ValueError(f"{path}: invalid fps {rate!r}; write the video's frames a second, at least {window.FRAME_HZ}")
    return rate
