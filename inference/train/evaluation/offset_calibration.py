"""Calibrates when a clock offset is known, on validation batches, and judges it beside the rule of earlier releases.

Each batch is observed under every offset of OFFSETS, and once with the current of another
batch, a stranger, for which no estimate is right. The regression learns from pools of all
lengths, also from those in which the delay changes. The threshold is the least at which
enough of the estimates are right that the agent would call known: of all, second by second,
and of the first of each record.
"""

import numpy as np

from . import logistic
from .clock_offset import OFFSETS
from .offset_confidence import FEATURES, LEAST, MOST, NEAR_S, Pools, agreed, estimates, levels
from .offset_curves import Course

WANTED = 0.95  # share of what is called known that shall be right
RESERVE = 0.02  # added to it where the threshold is chosen, because other records differ
FEWEST = 20  # records with a known offset, to choose the threshold by
SIZES = (120, 170, 240, 340, 480)  # windows of the pools that the regression learns from
HOP = 30  # windows between such pools
EVERY = 5  # windows between the estimates that the threshold is chosen by
THRESHOLDS = np.round(np.arange(0.5, 0.9996, 0.0005), 4)
BIASES = np.round(np.arange(-3.0, 3.001, 0.01), 2)  # seconds
NEARLY = 0.01  # of the records' estimates
LEVELS = 1 + int(np.log2(MOST / LEAST))  # of pools, see offset_confidence.levels


def observed(observer, batches, log=print):
    """The courses of Tokenized batches under OFFSETS, one list a batch, and those with the current of the batch before."""
    each = [observer.courses(b, OFFSETS, batches[i - 1] if len(batches) > 1 else None) for i, b in enumerate(batches)]
    log(f"observed {len(batches)} batches under {len(OFFSETS)} offsets")
    return [c[: len(OFFSETS)] for c in each], [c[-1] for c in each if len(c) > len(OFFSETS)]


def section(confidence):
    """The manifest's section of a Confidence."""
    numbers = zip(FEATURES, confidence.middle, confidence.width, confidence.weights, strict=False)  # the last weight is the intercept
    return {
        "min_windows": LEAST, "threshold": confidence.threshold, "intercept": round(float(confidence.weights[-1]), 6),
        "features": {name: dict(zip(("mean", "std", "weight"), (round(float(v), 6) for v in of), strict=True)) for name, *of in numbers},
    }


def changing(courses):
    """Of each batch's courses, one in which the delay changes at the middle: from each offset to each other, in turn."""
    out = []
    for n, each in enumerate(courses):
        turn, first = divmod(n, len(each))
        before, after = each[first], each[(first + 1 + turn % (len(each) - 1)) % len(each)]
        middle = max(int(c.seconds[len(c.seconds) // 2]) if len(c.seconds) else 0 for c in (before, after))
        a, b = before.seconds < middle, after.seconds >= middle
        out.append(Course(*(np.concatenate([getattr(before, k)[a], getattr(after, k)[b]]) for k in ("seconds", "curves", "late"))))
    return out


def right(shift, late, bias):
    """Whether shifts tell the offsets within NEAR_S."""
    return np.abs(-shift - bias - late) <= NEAR_S  # False where late is NaN


def pooled(courses, bias):
    """The features (N,F) of pools of all SIZES, and whether their estimates are right (N,)."""
    features, truth = [np.zeros((0, len(FEATURES)))], [np.zeros(0, bool)]
    for c in courses:
        pools = Pools(c.curves)
        for size in SIZES:
            last = np.arange(size, len(c.curves) + 1, HOP)
            found = pools.measured(last - size, last)
            features.append(found.features[found.inner])
            truth.append(right(found.shift, c.late[last - 1], bias)[found.inner])
    return np.concatenate(features), np.concatenate(truth)


class Tried:
    """What the agent would find in courses under any threshold, at every EVERY-th window."""

    def __init__(self, courses, regression, bias):
        each = [self._levels(c, regression, bias) for c in courses]
        self.p, self.truth = (np.concatenate(of, axis=1) for of in zip(*each, strict=True))  # (LEVELS,N) twice
        self.record = np.repeat(np.arange(len(each)), [p.shape[1] for p, _ in each])  # (N,)

    def _levels(self, course, regression, bias):
        """The probability of each level, 0 for none, and whether its estimate is right: (LEVELS,N) twice."""
        last = np.arange(LEAST, len(course.curves) + 1, EVERY)
        p, truth = np.zeros((LEVELS, len(last))), np.zeros((LEVELS, len(last)), bool)
        for n, (_, found) in enumerate(levels(course.curves, last)):
            p[n] = np.where(found.inner, regression.probability(found.features), 0.0)
            truth[n] = right(found.shift, course.late[last - 1], bias)
        return p, truth

    def found(self, threshold):
        """Which windows have a known estimate, and which of all estimates are right: (N,) twice."""
        known = self.p >= threshold                                        # (LEVELS,N)
        first = known.argmax(0)                                            # (N,)
        return known.any(0), self.truth[first, np.arange(len(first))]

    def enough(self, threshold):
        """Whether WANTED + RESERVE are right of what is known, and WANTED of the first of each record, of FEWEST records or more."""
        known, truth = self.found(threshold)
        _, firsts = np.unique(self.record[known], return_index=True)
        return (len(firsts) >= FEWEST and truth[known].mean() >= WANTED + RESERVE
                and truth[known][firsts].mean() >= WANTED)


def calibrated(courses, strangers, bias):
    """The Confidence of batches' courses, one list a batch, and of strangers; None if nothing can be known.

    bias: what the network finds too much, in seconds.
    """
    every = [c for each in courses for c in each]
    features, truth = pooled(every + changing(courses) + strangers, bias)
    if not truth.any() or truth.all():
        return None
    found = logistic.regression(features, truth)
    tried = Tried(every, found, bias)
    threshold = next((float(t) for t in THRESHOLDS if tried.enough(t)), None)
    return threshold and logistic.Confidence(**vars(found), threshold=threshold)


def excess(courses):
    """What the network finds too much, in seconds: the bias at which most records' estimates are right; 0 without any.

    A record's estimate is that of all of its windows. It differs from record to record by more
    than its noise, because flame and exposure follow the current by more or less. The middle
    of the biases at which nearly the most are right is not moved by a few records, as a median is.
    """
    errors = [e for each in courses for c in each if (e := error(c)) is not None]
    if not errors:
        return 0.0
    share = (np.abs(np.array(errors)[None] - BIASES[:, None]) <= NEAR_S).mean(1)
    best = BIASES[share >= share.max() - NEARLY]
    return float((best[0] + best[-1]) / 2)


def error(course):
    """The error of the estimate from all windows of a Course, in seconds; None without one."""
    count = len(course.curves)
    if count < LEAST:
        return None
    found = Pools(course.curves).measured([0], [count])
    return float(-found.shift[0] - course.late[0]) if found.inner[0] else None


def figures(confidence, courses, strangers, bias):
    """Metrics of the estimates of courses (one list a batch) by a confidence, beside the earlier rule's (rule_).

    known_right: share of the seconds with a known estimate in which it is right, and known_share
    the share of the seconds with an event that have one; first_…: of the first one of each
    record, the median of when it comes, in seconds of work from the record's start, and the
    share that is right; records_never_known: the share of records without one; the same of
    records in which the delay changes (changed_…), and stranger_known_share, the share of
    a stranger's seconds that have one.
    """
    every = [c for each in courses for c in each]
    by = {"": lambda c: estimates(confidence, c.curves), "rule_": lambda c: agreed(c.curves)}
    out = {"offset_records": len(every)}
    for prefix, estimate in by.items():
        told = summed([(c, estimate(c)) for c in every], bias)
        changed = summed([(c, estimate(c)) for c in changing(courses)], bias)
        met = summed([(c, estimate(c)) for c in strangers], bias)
        told |= {"changed_" + k: changed[k] for k in ("known_right", "known_share") if k in changed}
        told |= {"stranger_known_share": met["known_share"]} if strangers else {}
        out |= {f"offset_{prefix}{k}": v for k, v in told.items()}
    return out


def summed(each, bias):
    """Figures of pairs of a Course and its Estimates."""
    known = np.concatenate([e.known for _, e in each]) if each else np.zeros(0, bool)
    truth = [right(e.shift, c.late, bias) for c, e in each]
    if not len(known):
        return {"known_share": 0.0}
    firsts = [(c.seconds[i], truth[n][i]) for n, (c, e) in enumerate(each) if e.known.any() for i in [int(e.known.argmax())]]
    out = {"known_share": float(known.mean()), "records_never_known": 1 - len(firsts) / len(each)}
    if not firsts:
        return out
    out |= {"known_right": float(np.concatenate(truth)[known].mean()), "first_right": float(np.mean([r for _, r in firsts]))}
    if 2 * len(firsts) > len(each):  # the median counts the records that have none as the latest
        out["first_median_seconds"] = float(np.median([s for s, _ in firsts] + [np.inf] * (len(each) - len(firsts))))
    return out
