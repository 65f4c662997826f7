"""From probabilities to a state: the mean over some seconds against thresholds.

The same machine as the agent's: `abnormal` is entered when the mean of
p_abnormal reaches `enter`, and left when it has stayed under `exit` for
`hold_seconds`. Length and thresholds are chosen on validation batches alone.
"""

from dataclasses import dataclass

import numpy as np

LENGTHS = (5, 10, 15, 20, 30, 45, 60)  # seconds, of the mean
HOLD_SECONDS = 10
HOURS_PER_ALARM = 60.0
BLOCK = 120  # seconds; maxima of different blocks are taken as independent
WARM = 30  # seconds before the first verdict


@dataclass(frozen=True)
class Decision:
    mean_seconds: int
    enter: float
    exit: float
    hold_seconds: int = HOLD_SECONDS


def running_mean(p, seconds):
    """Mean of the last seconds at each second; shorter at the start."""
    total = np.concatenate([[0.0], np.cumsum(p, dtype=float)])
    end = np.arange(1, len(p) + 1)
    start = np.maximum(end - seconds, 0)
    return (total[end] - total[start]) / (end - start)


def states(p, decision):
    """Whether the state is abnormal, each second."""
    mean = running_mean(p, decision.mean_seconds)
    out, abnormal, quiet = np.zeros(len(p), bool), False, 0
    for s in range(WARM, len(p)):
        if not abnormal:
            abnormal, quiet = mean[s] >= decision.enter, 0
        else:
            quiet = quiet + 1 if mean[s] < decision.exit else 0
            abnormal = quiet <= decision.hold_seconds
        out[s] = abnormal
    return out


def block_maxima(values, normal):
    """The greatest value of every whole BLOCK of unbroken normal seconds."""
    maxima, run = [], []
    for value, good in zip(values, normal, strict=True):
        run = run + [value] if good else []
        if len(run) == BLOCK:
            maxima.append(max(run))
            run = []
    return maxima


def rare_level(maxima, hours=HOURS_PER_ALARM):
    """The level that a block's maximum passes once in so many hours.

    A Gumbel distribution fitted by its moments extrapolates from the few hours
    there are (Gumbel 1958); the level is never below what was seen.
    """
    maxima = np.asarray(maxima, float)
    if len(maxima) == 0:
        raise ValueError("no unbroken normal stretch to choose a level on; validate on longer records")
    scale = np.sqrt(6) / np.pi * maxima.std()
    location = maxima.mean() - 0.5772 * scale
    share = BLOCK / (hours * 3600)
    return max(location - scale * np.log(-np.log1p(-share)), maxima.max())


def logit(p):
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def choose(judged):
    """The decision of least delay among the lengths, all at the same rate of alarms.

    judged: timeline.Judged of the validation batches.
    """
    best = None
    for length in LENGTHS:
        maxima = []
        for j in judged:
            normal = (j.label == 0) & (np.arange(len(j.label)) >= WARM)
            maxima += block_maxima(logit(running_mean(j.both, length)), normal)
        enter = 1 / (1 + np.exp(-rare_level(maxima)))
        enter = float(np.clip(enter, 0.5, 0.97))
        decision = Decision(length, round(enter, 3), round(enter / 2, 3))
        score = _cost(episodes(judged, decision))
        if best is None or score < best[0]:
            best = (score, decision)
    return best[1]


def _cost(found):
    """Mean delay in seconds; an onset missed costs ten minutes."""
    return np.mean([600.0 if e is None else e for e in found]) if found else 0.0


def episodes(judged, decision):
    """Delay of every episode from its onset in seconds, None where it was missed."""
    found = []
    for j in judged:
        abnormal = states(j.both, decision)
        for onset in np.unique(j.onset[np.isfinite(j.onset)]):
            during = np.flatnonzero(j.onset == onset)
            if not (j.label[during] == 1).any():
                continue  # it ended before it counted
            last = during[j.label[during] == 1][-1]
            hits = np.flatnonzero(abnormal[during[0] : last + 1])
            found.append(float(during[0] + hits[0] - onset) if len(hits) else None)
    return found


def false_alarms(judged, decision):
    """How many times abnormal was entered in normal seconds, and their hours."""
    alarms, seconds = 0, 0
    for j in judged:
        abnormal = states(j.both, decision)
        entered = abnormal & ~np.concatenate([[False], abnormal[:-1]])
        alarms += int((entered & (j.label == 0)).sum())
        seconds += int((j.label == 0).sum())
    return alarms, seconds / 3600
