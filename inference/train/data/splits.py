"""Which batches train, which validate, which test."""

import numpy as np

from . import window

EVERY = 5  # training batches, of which one validates where a set names none
LEAST = window.FRAMES / window.FRAME_HZ  # seconds of the shortest stretch worth a batch


def carve(train, where):
    """Training batches dealt into (train, val): every fifth, or the last of fewer."""
    if len(train) < 2:
        raise ValueError(f"{where}: no batch is named for validation and only {len(train)} for training, so none can be spared; "
                         "record more melts, or name one of them in val.json")
    val = train[EVERY - 1 :: EVERY] or train[-1:]
    return [name for name in train if name not in val], val


def stretches(name, stamps, index, where):
    """Batches of the frames at an index: one for each stretch without a hole.

    Each is a record of its own, NAME@first-last, so that no window reaches into another
    split's seconds.
    """
    index = np.unique(np.asarray(index, int))
    if len(index) and not 0 <= index[0] <= index[-1] < len(stamps):
        raise ValueError(f"{where}: names frames {index[0]} to {index[-1]} of {name}, which has {len(stamps)}; name frames from 0 on")
    runs = np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)
    found = [f"{name}@{run[0]}-{run[-1]}" for run in runs
             if len(run) and stamps[run[-1]] - stamps[run[0]] >= LEAST]
    if len(index) and not found:
        raise ValueError(f"{where}: deals the frames of {name} in stretches shorter than {LEAST:g} s; windows of neighbouring "
                         "seconds overlap, so deal whole stretches, minutes at least")
    return found


def frames_of(batch):
    """(name, first frame, one after the last) of a stretch's batch; None for a whole record."""
    name, _, span = batch.rpartition("@")
    first, _, last = span.partition("-")
    if not (name and first.isdigit() and last.isdigit()):
        return batch, None, None
    return name, int(first), int(last) + 1
