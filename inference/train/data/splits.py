"""Splits of a data set into training, validation and test batches."""

import numpy as np

from . import window

EVERY = 5  # one training batch in so many validates, where a set names no validation batches
LEAST = window.FRAMES / window.FRAME_HZ  # seconds of the shortest stretch that makes a batch


def carve(train, where):
    """Splits training batches into (train, val): every fifth validates, or the last of fewer."""
    if len(train) < 2:
        raise ValueError(f"{where}: no batch is named for validation, and only {len(train)} for training, too few to split; "
                         "record more melts, or name one in val.json")
    val = train[EVERY - 1 :: EVERY] or train[-1:]
    return [name for name in train if name not in val], val


def stretches(name, stamps, index, where):
    """Batches of the frames at an index: one for each stretch without a gap.

    Each is a record of its own, NAME@first-last, so that no window reaches into the seconds
    of another split.
    """
    index = np.unique(np.asarray(index, int))
    if len(index) and not 0 <= index[0] <= index[-1] < len(stamps):
        raise ValueError(f"{where}: frames {index[0]} to {index[-1]} are out of range for {name}, which has {len(stamps)}; count frames from 0")
    runs = np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)
    found = [f"{name}@{run[0]}-{run[-1]}" for run in runs
             if len(run) and stamps[run[-1]] - stamps[run[0]] >= LEAST]
    if len(index) and not found:
        raise ValueError(f"{where}: splits the frames of {name} into stretches shorter than {LEAST:g} s; windows of neighbouring "
                         "seconds overlap, so split into stretches of minutes at least")
    return found


def frames_of(batch):
    """(name, first frame, frame after the last) of a stretch's batch; the frames are None for a whole record."""
    name, _, span = batch.rpartition("@")
    first, _, last = span.partition("-")
    if not (name and first.isdigit() and last.isdigit()):
        return batch, None, None
    return name, int(first), int(last) + 1
