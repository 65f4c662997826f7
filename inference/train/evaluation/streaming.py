"""Judges whole records in the closed loop (closed_loop.py), by both senses and by each alone.

Long normal records may be stepped every few seconds, the probability held in
between: a mean over held values scatters more, so their false alarms are
counted rather too high than too low.
"""

from dataclasses import dataclass

import numpy as np

from ..models import decision as decisions
from ..models.closed_loop import ClosedLoop

CHUNK = 512  # windows judged at once after the walk


@dataclass
class Predictions:
    """One batch's seconds: probabilities by which senses were given, each (S,)."""

    name: str
    label: np.ndarray
    onset: np.ndarray
    decided: np.ndarray  # whether the senses had shown enough for a verdict
    both: np.ndarray
    alignment: np.ndarray
    current: np.ndarray | None = None
    video: np.ndarray | None = None
    # Sense → seconds with a verdict of their own, not one held; all of them where it is None.
    computed: dict | None = None


def predict(runner, batches, decision=decisions.PROVISIONAL, every=1, alone=True):
    """Every second of every batch: list of Judged.

    every: seconds from step to step; alone: also by each sense without the other.
    """
    loop = ClosedLoop(runner, batches, decision, every)
    for second in range(loop.seconds):
        loop.advance(second)
    return [_finish(runner, loop, row, alone) for row in range(len(batches))]


def _finish(runner, loop, row, alone):
    """Adds the verdicts with one sense taken away."""
    batch = loop.batches[row]
    seconds = len(batch.label)
    out = Predictions(batch.name, batch.label, batch.onset, loop.decided[row, :seconds],
                 loop.p[row, :seconds], loop.alignment[row, :seconds])
    if not alone:
        return out
    steps = range(0, seconds, loop.every)
    answers = [_alone(runner, loop, row, steps[i : i + CHUNK]) for i in range(0, len(steps), CHUNK)]
    held = np.repeat(np.concatenate(answers, axis=1), loop.every, axis=1)
    out.current, out.video = held[:, :seconds]
    return out


def _alone(runner, loop, row, steps):
    """p by current alone and by video alone at some seconds: (2,len(steps))."""
    parts = [loop.window([row], second) for second in steps]
    tokens, seen, amps, mask, set_point = (np.concatenate(p) for p in zip(*parts, strict=True))
    return np.stack([runner.step(tokens, 0 * seen, amps, mask, set_point)["p_abnormal"][:, 0],
                     runner.step(tokens, seen, amps, 0 * mask, set_point)["p_abnormal"][:, 0]])
