"""Moves the thresholds of a shipped model by what a plant's normal hours show, within bounds.

Up where the hours' own false alarms ask for it, but no farther than MOST_UP in the logit of the
mean p, so that no abnormal melt that hides in the hours can silence its like. Down only as far as
the greatest mean of these hours allows for the hours to come, and no farther than MOST_DOWN.
Of an honest likelihood ratio, a share of e^−t of the normal seconds exceeds the logit t at
most. So the greatest mean of many hours is taken to lie above that of few by the log of how many times as many they
are. The mean's length, the hold and the ratio of exit to enter stay.
"""

from dataclasses import replace

import numpy as np

from ..evaluation import operating_point, rule, suspicion
from ..models.decision import full_means

MOST_UP = 0.5  # logit; 0.96 becomes 0.975
MOST_DOWN = 0.7  # logit; 0.96 becomes 0.923
LEAST_HOURS = 1.0  # of normal work, to lower a threshold
LEAST_RULE = 0.7  # of a level of the rule; a lower level is less sensitive


def logit(p):
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def expit(x):
    return 1 / (1 + np.exp(-x))


def greatest(predicted, length):
    """The greatest mean of p over `length` normal seconds, as a logit."""
    means = (full_means(j.both, j.decided, length)[j.label == 0] for j in predicted)
    return float(logit(max((m.max() for m in means if len(m)), default=1.0)))


def moved(shipped, predicted, hours_per_alarm):
    """A shipped Decision with its thresholds moved; predicted: of normal hours, by the network that it is for."""
    enter, hours = logit(shipped.enter), sum(int((j.label == 0).sum()) for j in predicted) / 3600
    observed = logit(operating_point.enter_level(predicted, shipped.mean_seconds, hours_per_alarm))
    to_come = greatest(predicted, shipped.mean_seconds) + np.log(max(hours_per_alarm / hours, 1.0))
    if observed > enter:
        # Rounded up, so that what was observed stays below it.
        level = min(np.ceil(1000 * expit(observed)), np.floor(1000 * expit(enter + MOST_UP))) / 1000
    elif to_come < enter and hours >= LEAST_HOURS:
        level = max(np.ceil(1000 * expit(max(to_come, enter - MOST_DOWN))) / 1000, 0.5)
    else:
        return shipped
    level = float(level)
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
