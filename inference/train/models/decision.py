"""The decision: from probabilities to a state, by a mean and two thresholds.

Filter is the same state machine as the agent's (agent/state). It enters `abnormal` when
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
