"""Reads the published V2 layout: a folder for each sense, both with their stamps.

    videos/B.mat          data uint8 (H,W,3,T), label (H,W,T), as published; or
    videos/B.npy          uint8 (T,3,W,H), and B_mask.npy (T,W,H) where there are masks
    timestamps/B.csv      time, one row a frame
    currents/B.csv        time and the phases a,b,c (or ia,ib,ic, i1,i2,i3, …), amperes, and
                          optionally set_point; B_rK.csv the same course with other
                          currents, for training (simulated data only)
    truth/B.csv           near_normal and hidden: whether a sense is blind, by whole seconds
                          (simulated data only)
    labels/B.csv          label 1 abnormal, 0 normal, −1 unscored, by whole seconds, and
                          onset; derived from the masks where the file is missing
    train.json, val.json, test.json   lists of batches; as published {"B.mat": [frames]}

Times are seconds, or dates with times of day to the second, as published.
"""

import json
import pathlib

import numpy as np

from . import records, splits, tables
from .matfile import MatFile


TRUTH = (2, 3)  # columns near_normal and hidden of truth/B.csv


def here(folder):
    return (pathlib.Path(folder) / "videos").is_dir()


def names(folder, split):
    """The names of a split's batches; validation is taken from training if val.json is missing."""
    folder = pathlib.Path(folder)
    if split == "test" or (folder / "val.json").exists():
        return _named(folder, split)
    return splits.carve(_named(folder, "train"), folder)[split == "val"]


def _named(folder, split):
    path = folder / f"{split}.json"
    try:
        given = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; write the list of the {split} batches") from None
    except json.JSONDecodeError as err:
        raise ValueError(f"{path}: invalid JSON ({err}); write a list of batch names") from err
    if isinstance(given, dict):
        return [n for video, index in given.items() for n in _dealt(folder, pathlib.Path(video).stem, index, path)]
    if not (isinstance(given, list) and all(isinstance(n, str) for n in given)):
        raise ValueError(f"{path}: expected a list of batch names or {{video: [frames]}}; write one of them")
    return given


def _dealt(folder, name, index, where):
    return splits.stretches(name, read_stamps(folder, name), index, where)


def read_stamps(folder, name):
    """The time of each frame of a video, in seconds."""
    table = tables.read(folder / "timestamps" / f"{name}.csv")
    stamps, kept = tables.read_times(table)
    if len(kept) < len(table):  # frames are matched to rows by number
        row = np.setdiff1d(np.arange(len(table)), kept)[0]
        raise ValueError(f"{table.path}: row {row + 2} is a duplicate; remove it, so that there is one row for each frame")
    return stamps


def read_batch(folder, name, rerolls=True):
    folder = pathlib.Path(folder)
    record, first, end = splits.frames_of(name)
    stamps = read_stamps(folder, record)
    paths = [folder / "currents" / f"{record}.csv"]
    if rerolls:
        paths += sorted((folder / "currents").glob(f"{record}_r*.csv"))
    currents = [read_current(p) for p in paths]
    label = onset = None
    if (labels := folder / "labels" / f"{record}.csv").exists():
        zero, label, onset = read_labels(labels)
    elif len(stamps):
        zero = np.floor(stamps[first or 0])
    else:
        raise ValueError(f"{folder}/timestamps/{record}.csv: has no rows, and {labels} is missing; write one of them")
    if first is not None:
        currents = [within(t, *stamps[[first, end - 1]]) for t in currents]
        label = label if label is None else outside_unscored(label, *(stamps[[first, end - 1]] - zero))
    currents = [t | {"time": t["time"] - zero} for t in currents]
    first = first or 0
    with open_video(folder, record, len(stamps), label is None) as (frames, masks, where):
        video = records.Video(stamps[first:end] - zero, lambda i: frames(i + first),
                              masks and (lambda i: masks(i + first)), where)
        batch = records.batch(name, video, currents, label, onset)
    for path, current in zip(paths, batch.currents, strict=True):
        current.blind, hidden = read_truth(folder, path.stem, len(batch.label))
        batch.hidden = batch.hidden if path is not paths[0] else hidden
    return batch


def read_truth(folder, record, seconds):
    """Whether current and video are blind at each second of simulated data, (S,) each; None where this is unknown."""
    path = folder / "truth" / f"{record}.csv"
    if not path.exists():
        return None, None
    # Only the simulator writes these, so nothing has to be guessed, and there are thousands.
    blind = np.loadtxt(path, delimiter=",", skiprows=1, usecols=TRUTH, ndmin=2) > 0.5
    return (blind[:, 0], blind[:, 1]) if len(blind) == seconds else (None, None)


def within(table, start, end):
    """The rows of a stretch, so that no window reaches into another split."""
    inside = (table["time"] >= start) & (table["time"] <= end)
    return {k: v[inside] for k, v in table.items()}


def outside_unscored(label, start, end):
    second = np.arange(len(label))
    return np.where((second >= start) & (second <= end), label, -1).astype(np.int8)


# Names of the three phases in plants' tables, in lower case.
PHASES = (("a", "b", "c"), ("ia", "ib", "ic"), ("i_a", "i_b", "i_c"), ("ia_a", "ib_a", "ic_a"), ("i1", "i2", "i3"),
          ("i_1", "i_2", "i_3"), ("il1", "il2", "il3"), ("current_a", "current_b", "current_c"),
          ("current_1", "current_2", "current_3"), ("phase_a", "phase_b", "phase_c"))
SET_POINTS = ("set_point", "setpoint", "set-point")


def read_current(path):
    """The columns time, a, b, c and optionally set_point of a table."""
    table = tables.read(path)
    time, kept = tables.read_times(table)
    named = dict(zip("abc", phases(table), strict=True))
    named |= {"set_point": n for n in SET_POINTS if n in table}
    return {"time": time} | {column: table.numbers(name)[kept] for column, name in named.items()}


def phases(table):
    """The names of the three phases' columns."""
    known = [names for names in PHASES if all(n in table for n in names)]
    if len(known) > 1:
        raise ValueError(f"{table.path}: the phases may be {', '.join(known[0])} or {', '.join(known[1])}; name the phases a, b and c, and rename the others")
    if known:
        return known[0]
    others = [n for n in table.names if n != table.time_name() and n not in SET_POINTS]
    # As published: time and the three phases under any names.
    if len(others) == 3 and not {"a", "b", "c"} & set(others) and not any(n.startswith(("u", "v", "p")) for n in others):
        return others
    missing = sorted({"a", "b", "c"} - set(others)) or ["a", "b", "c"]
    raise ValueError(f"{table.path}: column {', '.join(missing)} is missing; name the phases a, b and c (found {', '.join(others)})")


def read_labels(path):
    """The record's start, and the label and onset of each second: (), (S,), (S,)."""
    table = tables.read(path)
    if "label" not in table:
        raise ValueError(f"{path}: column label is missing; write a row a second: time, label (1 abnormal, 0 normal, −1 unscored)")
    time, label = table.seconds(table.time_name()), table.numbers("label")
    jumps = np.flatnonzero(~(np.diff(time) == 1))
    if len(jumps):
        raise ValueError(f"{path}: row {jumps[0] + 3} is not one second after the row before; write a row for each second, "
                         "with label −1 where the state is unknown")
    if not np.isin(label, (-1, 0, 1)).all():
        row = np.flatnonzero(~np.isin(label, (-1, 0, 1)))[0]
        raise ValueError(f"{path}: row {row + 2} has the invalid label {label[row]:g}; write 1 abnormal, 0 normal, −1 unscored")
    zero, label = time[0] if len(time) else 0.0, label.astype(np.int8)
    onset = table.seconds("onset", empty=True) - zero if "onset" in table else records.onsets(label)
    return zero, label, onset


class open_video:
    """Opens a record's video, from .npy or .mat, for frames and masks by index; a context manager."""

    def __init__(self, folder, name, stamps, masked):
        self.npy, self.path = folder / "videos" / f"{name}.npy", folder / "videos" / f"{name}.mat"
        self.mask = folder / "videos" / f"{name}_mask.npy"
        self.name, self.stamps, self.masked, self.mat = name, stamps, masked, None

    def __enter__(self):
        if self.npy.exists():
            return self._arrays()
        if not self.path.exists():
            raise ValueError(f"{self.npy}: is missing, and so is {self.path.name}; add the batch's video, or remove the batch")
        self.mat = MatFile(self.path)
        data, label = self.mat.find("data", "video"), self.mat.find("label")
        self._fits(self.mat.shape(data), 3, 2, "(H,W,3,T)")
        return (lambda i: self.mat.items(data, i)), (lambda i: self.mat.items(label, i)), str(self.path)

    def _arrays(self):
        frames = np.load(self.npy, mmap_mode="r")
        self._fits(frames.shape, 0, 1, "(T,3,W,H)")
        masks = None
        if self.mask.exists():
            mask = np.load(self.mask, mmap_mode="r")
            masks = lambda i: mask[i].transpose(0, 2, 1)
        elif self.masked:
            raise ValueError(f"{self.mask}: is missing, and so is labels/{self.name}.csv; add one of them, "
                             "to tell which seconds are abnormal")
        return (lambda i: frames[i].transpose(0, 3, 2, 1)), masks, str(self.npy)

    def _fits(self, shape, time, colour, axes):
        if len(shape) != 4 or shape[time] != self.stamps or shape[colour] != 3:
            raise ValueError(f"videos/{self.npy.name if self.mat is None else self.path.name} has shape {tuple(shape)}; expected {axes} with "
                             f"{self.stamps} frames, one for each row of timestamps/{self.name}.csv")

    def __exit__(self, *_):
        if self.mat is not None:
            self.mat.__exit__()
