"""The decision: from probabilities to a state, by a mean and two thresholds; and when the background stands still.

Filter and Freeze are the same as the agent's (agent/state, agent/decide). Filter enters `abnormal` when
the mean of p_abnormal over a full `mean_seconds` reaches `enter`, and leaves when the mean
has stayed below `exit` for `hold_seconds`. A second without a verdict empties the mean.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decision:
    mean_seconds: int
    enter: float
    exit: float
    hold_seconds: int = 10


# Freezes the background until calibration has chosen a decision.
PROVISIONAL = Decision(mean_seconds=10, enter=0.9, exit=0.45)


class Filter:
    """The state machine of one furnace; step() advances it by one second."""

    def __init__(self, decision):
        self.decision = decision
        self.recent = deque(maxlen=decision.mean_seconds)
        self.abnormal, self.under = False, 0

    def step(self, p, decided=True):
        """Whether the state is abnormal after this second's p."""
        if not decided:
            self.recent.clear()
            self.under = 0
            return self.abnormal
        self.recent.append(p)
        if len(self.recent) < self.decision.mean_seconds:
            return self.abnormal
        mean = sum(self.recent) / len(self.recent)
        if not self.abnormal:
            self.abnormal, self.under = mean >= self.decision.enter, 0
        else:
            self.under = self.under + 1 if mean < self.decision.exit else 0
            self.abnormal = self.under < self.decision.hold_seconds
        return self.abnormal


@dataclass(frozen=True)
class Freezing:
    """When the background stands still: the manifest's keys freeze_background, freeze_alone, freeze_alone_seconds."""

    p: float  # p_abnormal from which it does
    alone: float = 0.0  # p_current or p_video from which it does; 0 for never
    alone_seconds: int = 0  # for so many seconds at most

    @classmethod
    def of(cls, config):
        """The freezing of a configs.Run."""
        return cls(config.freeze_background, config.freeze_alone, config.freeze_alone_seconds)

    def sections(self):
        """The manifest's keys."""
        alone = {"freeze_alone": self.alone, "freeze_alone_seconds": self.alone_seconds} if self.alone else {}
        return {"freeze_background": self.p} | alone


class Freeze:
    """Whether the background of each of several furnaces stands still; step() advances them by one second.

    One sense alone freezes a background for `alone_seconds` at most, so that a lasting
    reflection is absorbed, and again when it has been calm for as long.
    """

    def __init__(self, freezing, rows):
        self.freezing = freezing
        self.alone, self.spent = np.zeros(rows, int), np.zeros(rows, bool)

    def step(self, p, senses, decided, abnormal):
        """Which stand still after this second: (rows,). senses: p_current and p_video (2,rows), or None."""
        f = self.freezing
        certain = decided & (p >= f.p) | abnormal
        if not f.alone or senses is None:
            return certain
        suspected = decided & (senses >= f.alone).any(axis=0)
        held = suspected & ~self.spent
        change = np.where(held, 1, np.where(suspected, 0, -1))
        self.alone = np.where(certain, self.alone, np.maximum(self.alone + change, 0))
        spent = (self.alone > 0) & (self.spent | (self.alone >= f.alone_seconds))
        self.spent = np.where(certain, self.spent, spent)
        return certain | held


def states(p, decided, decision):
    """Whether the state is abnormal at each second: Filter over a whole record, vectorised."""
    means = full_means(p, decided, decision.mean_seconds)
    seconds = np.arange(len(p))
    low = np.isfinite(means) & (means < decision.exit)
    under = seconds - np.maximum.accumulate(np.where(low, -1, seconds))
    enters, leaves = np.flatnonzero(means >= decision.enter), np.flatnonzero(low & (under >= decision.hold_seconds))
    abnormal, at = np.zeros(len(p), bool), 0
    while (n := np.searchsorted(enters, at)) < len(enters):
        last = np.searchsorted(leaves, enters[n])
        at = leaves[last] if last < len(leaves) else len(p)
        abnormal[enters[n] : at] = True
    return abnormal


def full_means(p, decided, seconds):
    """Mean of the last `seconds` at each second, −inf where it is not full."""
    broken = ~decided
    total = np.concatenate([[0.0], np.cumsum(np.where(broken, 0, p), dtype=float)])
    holes = np.concatenate([[0], np.cumsum(broken)])
    out = np.full(len(p), -np.inf)
    whole = holes[seconds:] == holes[:-seconds]
    out[seconds - 1 :][whole] = ((total[seconds:] - total[:-seconds]) / seconds)[whole]
    return out
