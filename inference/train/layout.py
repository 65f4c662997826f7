"""Reads the published V2 layout: one melt a batch, both senses with their stamps.

    videos/B.npy        uint8 (T,3,W,H)           videos/B_mask.npy  (T,W,H)
    timestamps/B.csv    time, one row a frame
    currents/B.csv      time,a,b,c[,set_point,…]  currents/B_rK.csv  the same course
                                                  with other currents, for training
    labels/B.csv        time,…,label,…,onset      1 abnormal, 0 normal, −1 unscored
    train.json, val.json, test.json               lists of batch names

Times are seconds. Labels stand at whole seconds; samples and frames are put on
the grid of their own schedule, and what is missing stays missing.
"""

import csv
import json
import pathlib
from dataclasses import dataclass

import numpy as np

from . import geometry


@dataclass
class Current:
    """One record of current on its 2 Hz grid: G instants."""

    amps: np.ndarray  # (G,3) float32, 0 where masked
    mask: np.ndarray  # (G,) float32
    set_point: np.ndarray  # (G,) float32, 0 where unknown
    last: np.ndarray  # (S,) index of the newest instant at each second, may be −1


@dataclass
class Batch:
    """One melt: S labelled seconds, T frames, one or more records of current."""

    name: str
    frames: np.ndarray  # (T,64,64,3) uint8, rows first
    spot: np.ndarray  # (T,64) uint8, pixels of the hot spot in each of 8 × 8 places
    frame_at: np.ndarray  # (S,) index of the frame of each second, or −1
    currents: list  # of Current; the first is the one that belongs to the video
    label: np.ndarray  # (S,) int8
    onset: np.ndarray  # (S,) seconds, NaN outside an episode


def read_split(folder, split, rerolls=True):
    """The batches named in <split>.json."""
    names = json.loads((pathlib.Path(folder) / f"{split}.json").read_text())
    return [read_batch(folder, name, rerolls) for name in names]


def read_batch(folder, name, rerolls=True):
    folder = pathlib.Path(folder)
    label, onset = read_labels(folder / "labels" / f"{name}.csv")
    seconds = len(label)
    stamps = read_columns(folder / "timestamps" / f"{name}.csv")["time"]
    frames = np.load(folder / "videos" / f"{name}.npy", mmap_mode="r")
    expected = (len(stamps), 3, geometry.SIZE, geometry.SIZE)
    if frames.shape != expected:
        raise ValueError(f"videos/{name}.npy has shape {frames.shape}, its stamps ask for {expected}")
    mask = folder / "videos" / f"{name}_mask.npy"
    paths = [folder / "currents" / f"{name}.csv"]
    if rerolls:
        paths += sorted((folder / "currents").glob(f"{name}_r*.csv"))
    return Batch(
        name=name,
        frames=np.ascontiguousarray(frames.transpose(0, 3, 2, 1)),
        spot=read_spot(mask, len(stamps)),
        frame_at=frame_of_second(stamps, seconds),
        currents=[read_current(path, seconds) for path in paths],
        label=label,
        onset=onset,
    )


def read_columns(path):
    """A table by column name: float64, NaN where a cell is empty or a word."""
    with open(path, newline="") as file:
        names = next(csv.reader([file.readline()]))
        try:
            # Ten times as fast as csv, but every cell must be a number.
            cells = np.loadtxt(file, delimiter=",", ndmin=2)
        except ValueError:
            file.seek(0)
            rows = list(csv.reader(file))[1:]
            cells = np.array([[number(cell) for cell in row] for row in rows])
    return dict(zip(names, cells.reshape(-1, len(names)).T, strict=True))


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return np.nan


def read_labels(path):
    columns = read_columns(path)
    onset = columns.get("onset")
    if onset is None:
        onset = np.full(len(columns["label"]), np.nan)
    return columns["label"].astype(np.int8), onset


def read_spot(path, frames):
    """Pixels of the mask by place; zeros where the layout has no mask."""
    if not path.exists():
        return np.zeros((frames, 64), np.uint8)
    mask = np.load(path).transpose(0, 2, 1) > 0  # (T,H,W)
    side = mask.shape[1] // 8
    places = mask.reshape(-1, 8, side, 8, side).sum((2, 4))  # (T,8,8)
    return np.minimum(places, 255).astype(np.uint8).reshape(-1, 64)


def phase(stamps, period):
    """Where in its period a schedule polls: the circular mean of its stamps."""
    turn = 2j * np.pi / period
    return float(np.angle(np.mean(np.exp(turn * np.asarray(stamps)))) % (2 * np.pi) * period / (2 * np.pi))


def frame_of_second(stamps, seconds):
    if len(stamps) == 0:
        return np.full(seconds, -1)
    grid = np.arange(seconds) - 1 + phase(stamps, 1 / geometry.FRAME_HZ)
    return geometry.nearest(stamps, grid, geometry.FRAME_REACH)


def read_current(path, seconds):
    columns = read_columns(path)
    time, period = columns["time"], 1 / geometry.SAMPLE_HZ
    start = phase(time, period) - period
    grid = start + period * np.arange(geometry.SAMPLE_HZ * seconds + 1)
    index = geometry.nearest(time, grid, geometry.SAMPLE_REACH)
    there = index >= 0
    amps = np.stack([columns[p] for p in "abc"], axis=1)[index]  # (G,3)
    there &= np.isfinite(amps).all(axis=1)
    set_point = columns.get("set_point")
    set_point = np.zeros(len(time)) if set_point is None else np.nan_to_num(set_point)
    return Current(
        amps=np.where(there[:, None], amps, 0).astype(np.float32),
        mask=there.astype(np.float32),
        set_point=np.where(there, set_point[index], 0).astype(np.float32),
        last=np.floor((np.arange(seconds) - start) / period + 1e-6).astype(int),
    )
