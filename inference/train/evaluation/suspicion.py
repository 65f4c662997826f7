"""Chooses the suspicion, the early warning before an alarm, on validation batches, and tells how much sooner it comes.

A suspicion is a Decision of its own. The choice is the earliest at the median of the onsets
among those with at most one false suspicion in HOURS_PER_SUSPICION normal hours of the own
furnace. Furnaces of other makers do not limit it: nothing but a look follows from it.
"""

import numpy as np

from ..models.decision import Decision
from . import metrics, operating_point
from .operating_point import EXITS, HOLDS, MISSED

LENGTHS = (3, 5, 8, 10, 15, 20)  # seconds, of the mean
# A plant can accept one false suspicion in 4 h. The choice may exceed its limit on other hours, so it keeps a fifth less.
HOURS_PER_SUSPICION = 5.0
LEVELS = np.round(np.arange(1.0, 0.3, -0.005), 3)  # of enter, descending
WITHIN = (30, 45, 60, 75, 90, 120, 180)  # seconds after an onset, of the delay curve


def choose(mixed, normal):
    """The Decision of a suspicion, from streaming.Predictions of mixed and of normal validation batches of the own furnace."""
    allowed = operating_point.allowance(normal, HOURS_PER_SUSPICION)
    earliest = min((provisional(length, normal, allowed) for length in LENGTHS), key=lambda d: median_delay(mixed, d))
    candidates = [earliest] + [
        Decision(earliest.mean_seconds, earliest.enter, round(share * earliest.enter, 3), hold) for share in EXITS for hold in HOLDS]
    kept = [d for d in candidates if operating_point.false_alarms(normal, d)[0] <= allowed]
    return min(kept or candidates[:1], key=lambda d: operating_point.leaving_cost(mixed, d))


def provisional(length, normal, allowed):
    """The least level of enter at which, and above which, no more suspicions than allowed are false."""
    found = None
    for level in LEVELS:
        d = Decision(length, float(level), round(float(level) / 2, 3))
        if found and operating_point.false_alarms(normal, d)[0] > allowed:
            break
        found = d
    return found


def median_delay(mixed, decision):
    delays = operating_point.episodes(mixed, decision)
    return np.median([MISSED if d is None else d for d in delays]) if delays else 0.0


def figures(mixed, normal, decision, suspect):
    """Metrics of a suspicion beside those of the alarm's decision, on the same batches.

    suspect_lead_median_seconds is how much sooner it comes, at the median of the onsets that
    both find; (suspect_)within_N_s is the share of all onsets that were found within N s.
    """
    early, late = (operating_point.episodes(mixed, d) for d in (suspect, decision))
    out = metrics.events(mixed, normal, suspect, prefix="suspect_")
    leads = [b - a for a, b in zip(early, late, strict=True) if a is not None and b is not None]
    if leads:
        out["suspect_lead_median_seconds"] = float(np.median(leads))
    for prefix, delays in (("suspect_", early), ("", late)):
        out |= {f"{prefix}within_{n}_s": sum(d is not None and d <= n for d in delays) / len(delays) for n in WITHIN if delays}
    return out
