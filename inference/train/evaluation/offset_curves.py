"""The local loss by shift of every second of a record, under injected clock offsets, as the agent observes it.

A frame's attention does not depend on the current (models/codebook.py). So each second's
attention is computed once, and every offset reads it against the current taken earlier or later.
"""

from dataclasses import dataclass

import numpy as np

from ..data import window
from ..models.closed_loop import ENOUGH_VIDEO, Compiled
from ..models.codebook import SHIFTS
from .batched import CHUNK, currents_of, windows_of
from .clock_offset import EVENT_AMPS

NEAR = window.SAMPLES - window.SAMPLE_HZ * window.FRAMES  # the first sample of the frames' own seconds


@dataclass
class Course:
    """What the agent would observe in a record: its seconds with an event and their curves.

    late: by how many seconds the current is delayed then; NaN with the current of another record.
    """

    seconds: np.ndarray  # (W,)
    curves: np.ndarray  # (W,21)
    late: np.ndarray  # (W,)


class Observer:
    """Observes records with a network that has a local loss."""

    def __init__(self, model):
        self.attention = Compiled(lambda *inputs: model.infer(*inputs)["attention"])
        self.losses = Compiled(lambda *inputs: self._losses(model, *inputs))

    def _losses(self, model, attention, seen, current, sample_mask, set_point):
        code, valid = model.bank.code_of(current, sample_mask, set_point)  # (B,240,U), (B,240,1)
        return model.local_losses({"attention": attention, "code": code, "valid": valid, "seen": seen})

    def courses(self, batch, offsets, stranger=None):
        """The Course of a Tokenized batch under each offset, then, if a stranger is given, one with its current."""
        seconds = np.arange(len(batch.label))
        inputs = windows_of(batch, seconds)
        full = inputs["frame_mask"].mean(1) > ENOUGH_VIDEO
        seconds, inputs = seconds[full], [v[full] for v in inputs.values()]
        attention, seen = in_chunks(self.attention, inputs), inputs[1]     # (N,16,U), (N,16)
        out = []
        for late in offsets:
            samples = round((batch.lags[0] + late) * window.SAMPLE_HZ)
            # Samples are half a second apart: what is injected differs from what is asked for by up to a quarter.
            out.append(self._course(seconds, attention, seen, batch, samples, samples / window.SAMPLE_HZ - batch.lags[0]))
        if stranger is not None:
            both = seconds < len(stranger.label)
            out.append(self._course(seconds[both], attention[both], seen[both], stranger, 0, np.nan))
        return out

    def _course(self, seconds, attention, seen, of, samples, late):
        x = currents_of(of, seconds, samples)
        live = (x["sample_mask"][:, -window.SAMPLE_HZ :] > 0.5).any(1)
        at = np.flatnonzero(live & (swing(x["current"], x["sample_mask"]) > EVENT_AMPS))
        inputs = [attention[at], seen[at], *(v[at] for v in x.values())]
        curves = in_chunks(self.losses, inputs) if len(at) else np.zeros((0, len(SHIFTS)))
        return Course(seconds[at], curves, np.full(len(at), float(late)))


def in_chunks(function, arrays):
    return np.concatenate([function.predict_on_batch([x[i : i + CHUNK] for x in arrays]) for i in range(0, len(arrays[0]), CHUNK)])


def swing(current, sample_mask):
    """The largest change of a phase between neighbouring samples of the frames' seconds: (N,240,3), (N,240) → (N,) amperes."""
    current, there = current[:, NEAR:], sample_mask[:, NEAR:] > 0.5
    both = there[:, 1:] & there[:, :-1]
    return (np.abs(np.diff(current, axis=1)).max(2) * both).max(1)
