"""Moves the thresholds of a shipped model by what a plant's normal hours show, within bounds.

Up as far as the hours' own false alarms ask for, but no farther than MOST_UP in the logit of
the mean p, so that no abnormal melt that hides in the hours can silence its like. Down
only as far as the hours' tail allows, by less the fewer they are, and no farther than
MOST_DOWN. The mean's length, the hold and the ratio of exit to enter stay.
"""

from dataclasses import replace

import numpy as np

from ..evaluation import operating_point, rule, suspicion
from ..models.decision import full_means

MOST_UP = 0.5  # logit; 0.96 becomes 0.975
MOST_DOWN = 0.7  # logit; 0.96 becomes 0.923
HALF_WEIGHT_HOURS = 10.0  # of normal work, whose tail then counts half
BLOCK = 600  # seconds whose greatest mean is one observation of the tail
FEWEST_BLOCKS = 6
LEAST_RULE = 0.7  # of a level of the rule; a lower level is less sensitive


def logit(p):
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def expit(x):
    return 1 / (1 + np.exp(-x))


def block_maxima(predicted, length):
    """The greatest mean of p over `length` seconds in every block of normal seconds, as logits: (blocks,)."""
    found = []
    for j in predicted:
        means = np.where(j.label == 0, full_means(j.both, j.decided, length), -np.inf)
        for first in range(0, len(means), BLOCK):
            block = means[first : first + BLOCK]
            # A short rest would count as a whole block.
            if np.isfinite(block).sum() >= BLOCK / 2:
                found.append(logit(block.max()))
    return np.array(found)


def expected(predicted, length, hours_per_alarm):
    """The level, as a logit, that the tail of the blocks' maxima exceeds once in so many hours; None for too few blocks.

    The excess over the median is taken to fall exponentially.
    """
    maxima = block_maxima(predicted, length)
    if len(maxima) < FEWEST_BLOCKS:
        return None
    middle = np.median(maxima)
    above = maxima[maxima > middle] - middle
    excess = above.mean() if len(above) else 0.0
    blocks = hours_per_alarm * 3600 / BLOCK
    return float(middle + excess * np.log(blocks / 2))


def moved(shipped, predicted, hours_per_alarm):
    """A shipped Decision with its thresholds moved; predicted: of normal hours, by the model that they are for."""
    enter = logit(shipped.enter)
    observed = logit(operating_point.enter_level(predicted, shipped.mean_seconds, hours_per_alarm))
    tail = expected(predicted, shipped.mean_seconds, hours_per_alarm)
    hours = sum(int((j.label == 0).sum()) for j in predicted) / 3600
    by = 0.0 if tail is None else hours / (hours + HALF_WEIGHT_HOURS) * (tail - enter)
    by = float(np.clip(max(by, observed - enter) if observed > enter else by, -MOST_DOWN, MOST_UP))
    # Never below an even chance.
    level = max(round(float(expit(enter + by)), 3), 0.5)
    return replace(shipped, enter=level, exit=round(level * shipped.exit / shipped.enter, 3))


def alarm(shipped, predicted):
    return moved(shipped, predicted, operating_point.HOURS_PER_ALARM)


def suspect(shipped, predicted):
    return moved(shipped, predicted, suspicion.HOURS_PER_SUSPICION)


def levels(shipped, batches, predicted):
    """The rule's levels: lowered where normal hours undercut them, never raised."""
    allowed, out = operating_point.allowance(predicted), {}
    for seconds in rule.ENOUGH:
        key = f"cv_{seconds}"
        try:
            own = rule.level(batches, seconds, allowed)
        except ValueError:  # no batch is as long
            own = shipped[key]
        out[key] = round(max(min(shipped[key], own), LEAST_RULE * shipped[key]), 4)
    return out
