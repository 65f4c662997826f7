"""Streaming evaluation: whole records in the closed loop, with both senses and with each alone.

Long normal records may be stepped every few seconds, with the probability held between
steps. A mean over held values varies more, so false alarms tend to be overestimated.
"""

from dataclasses import dataclass

import numpy as np

from ..models import decision as decisions
from ..models.closed_loop import ClosedLoop

CHUNK = 512  # windows evaluated at once after the closed loop


@dataclass
class Predictions:
    """Probabilities of one batch's seconds, by the senses that were present: (S,) each."""

    name: str
    label: np.ndarray
    onset: np.ndarray
    decided: np.ndarray  # whether there was enough input for a verdict
    both: np.ndarray
    alignment: np.ndarray
    current: np.ndarray | None = None
    video: np.ndarray | None = None
    # Sense → seconds whose verdict was computed, not held; None for all seconds.
    computed: dict | None = None
    familiarity: np.ndarray | None = None  # (2,S) of current and video, −1 where unknown


def predict(runner, batches, decision=decisions.PROVISIONAL, every=1, alone=True):
    """Predictions for every second of every batch: a list of Predictions.

    every: seconds between steps; alone: also predict from each sense without the other.
    """
    loop = ClosedLoop(runner, batches, decision, every)
    for second in range(loop.seconds):
        loop.advance(second)
    return [_finish(runner, loop, row, alone) for row in range(len(batches))]


def _finish(runner, loop, row, alone):
    """The predictions of one row, with those of each sense alone where asked."""
    batch = loop.batches[row]
    seconds = len(batch.label)
    out = Predictions(batch.name, batch.label, batch.onset, loop.decided[row, :seconds],
                 loop.p[row, :seconds], loop.alignment[row, :seconds], familiarity=loop.familiarity[:, row, :seconds])
    if not alone:
        return out
    steps = range(0, seconds, loop.every)
    answers = [_alone(runner, loop, row, steps[i : i + CHUNK]) for i in range(0, len(steps), CHUNK)]
    held = np.repeat(np.concatenate(answers, axis=1), loop.every, axis=1)
    out.current, out.video = held[:, :seconds]
    return out


def _alone(runner, loop, row, steps):
    """p from current alone and from video alone at some seconds: (2,len(steps))."""
    parts = [loop.window([row], second) for second in steps]
    tokens, seen, amps, mask, *others = (np.concatenate(p) for p in zip(*parts, strict=True))
    return np.stack([runner.step(tokens, 0 * seen, amps, mask, *others)["p_abnormal"][:, 0],
                     runner.step(tokens, seen, amps, 0 * mask, *others)["p_abnormal"][:, 0]])
