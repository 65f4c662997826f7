"""Reads a data set of either published layout, or of the simulator, batch by batch.

V1 (layout_v1.py) is a folder of .mat files, V2 (layout_v2.py) one with videos/,
currents/ and timestamps/; docs/own-data.md draws both. Data sets are split by
batch, because windows of neighbouring seconds overlap by 119 of 120 s.
"""

from . import layout_v1, layout_v2
from .records import Batch, Current

__all__ = ["Batch", "Current", "SPLITS", "kind", "names", "read_batch", "read_split"]

SPLITS = ("train", "val", "test")


def kind(folder):
    """The module that reads the folder's layout."""
    for layout in (layout_v2, layout_v1):
        if layout.here(folder):
            return layout
    raise ValueError(f"{folder}: contains neither videos/ (layout V2) nor .mat files (layout V1); "
                     "name the folder that does (in the published V2 set it is pixel-level)")


def names(folder, split):
    """The names of a split's batches."""
    return kind(folder).names(folder, split)


def read_split(folder, split, rerolls=True, log=None):
    """The batches of a split: train, val or test; log is told ten times how many are read."""
    every, batches = names(folder, split), []
    for name in every:
        batches.append(read_batch(folder, name, rerolls))
        if log and len(batches) % max(len(every) // 10, 1) == 0:
            log(f"read {len(batches)} of {len(every)} batches")
    return batches


def read_batch(folder, name, rerolls=True):
    """One batch; without rerolls, only the current recorded with the video."""
    return kind(folder).read_batch(folder, name, rerolls)
