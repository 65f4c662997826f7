"""Chooses the decision on validation batches, and counts what a decision finds and what it raises.

Length, thresholds and hold are those of the least delay among all that raise at most
one false alarm in 120 normal hours, or in all of them where there are fewer. The delay
counts with both senses and with one of them lost: short means want thresholds near 1,
which one sense by itself may never reach.
"""

from dataclasses import replace

import numpy as np

from ..models.decision import Decision, full_means, states

LENGTHS = (5, 10, 15, 20, 30)  # seconds, of the mean
EXITS = (0.3, 0.5, 0.7)  # shares of enter
HOLDS = (10, 20, 30)  # seconds
# One false alarm in 60 h is what a plant may be asked to bear. Thresholds that just
# keep to a count keep to it on the hours they were chosen on, and do worse on others,
# so they are chosen for half of that.
HOURS_PER_ALARM = 120.0
MISSED = 600.0  # seconds that an onset never seen counts as
WEIGHTS = {"both": 0.5, "current": 0.25, "video": 0.25}  # of the delays by what is given
CUT = 180  # seconds before a record's end after which an onset is not counted
DROPPED = 60.0  # seconds that a state left in the midst of an episode counts as


def choose(mixed, normal):
    """The decision, from timeline.Judged of validation batches of either life."""
    quiet = min((_delayed(mixed, normal, length) for length in LENGTHS), key=lambda found: found[0])[1]
    candidates = [Decision(quiet.mean_seconds, quiet.enter, round(share * quiet.enter, 3), hold)
                  for share in EXITS for hold in HOLDS]
    return min(candidates, key=lambda d: leaving_cost(mixed, d))


def _delayed(mixed, normal, length):
    """(mean delay, decision) of a length at its rate of false alarms."""
    enter = enter_level(normal, length)
    d = Decision(length, enter, round(enter / 2, 3))
    return sum(w * mean_delay(episodes(only(mixed, sense), d)) for sense, w in WEIGHTS.items()), d


def mean_delay(found):
    return np.mean([MISSED if e is None else e for e in found]) if found else 0.0


def only(predicted, sense):
    """The same batches with the verdicts of one sense in the place of both."""
    return [replace(j, both=getattr(j, sense)) for j in predicted]


def enter_level(normal, length):
    """The least threshold that the normal hours passed no more often than is allowed."""
    allowed = allowance(normal)
    means = (full_means(j.both, j.decided, length)[j.label == 0] for j in normal)
    greatest = sorted((m.max() for m in means if len(m)), reverse=True)
    if not greatest:
        raise ValueError("the normal hours hold no second labelled 0; name batches of normal work")
    level = greatest[min(allowed, len(greatest) - 1)]
    for above in (level, greatest[0]):
        # A step above what was seen, and never under a half.
        enter = min(max(np.floor(above * 1000 + 1) / 1000, 0.5), 1.0)
        if false_alarms(normal, Decision(length, enter, enter / 2))[0] <= allowed:
            break
    return float(enter)


def allowance(normal):
    """How many false alarms so many normal hours may hold, at least one."""
    hours = sum(int((j.label == 0).sum()) for j in normal) / 3600
    return max(int(round(hours / HOURS_PER_ALARM, 1)), 1 if hours >= HOURS_PER_ALARM / 2 else 0)


def leaving_cost(mixed, decision):
    """Median seconds until the state clears after an episode, and what leaving early counts as."""
    early, clear = 0, []
    for j in mixed:
        abnormal = states(j.both, j.decided, decision)
        for during, last in spans(j):
            early += int((np.diff(abnormal[during[0] : last + 1].astype(int)) < 0).sum())
            later = np.flatnonzero(~abnormal[last:])
            if abnormal[last] and len(later):
                clear.append(later[0])
    episodes_seen = max(len(clear), 1)
    return DROPPED * early / episodes_seen + (np.median(clear) if clear else MISSED)


def spans(predicted):
    """Each scored episode: its seconds from onset on, and the last one labelled abnormal.

    Those that begin in the record's last CUT seconds are left out, seen or not:
    the record may end before anybody could have seen them.
    """
    for onset in np.unique(predicted.onset[np.isfinite(predicted.onset)]):
        during = np.flatnonzero(predicted.onset == onset)
        scored = during[predicted.label[during] == 1]
        # Without a scored second it ended before it counted.
        if len(scored) and during[0] < len(predicted.label) - CUT:
            yield during, scored[-1]


def episodes(predicted, decision):
    """Delay of every episode from its onset in seconds, None where it was missed."""
    found = []
    for j in predicted:
        abnormal = states(j.both, j.decided, decision)
        for during, last in spans(j):
            hits = np.flatnonzero(abnormal[during[0] : last + 1])
            found.append(float(during[0] + hits[0] - j.onset[during[0]]) if len(hits) else None)
    return found


def false_alarms(predicted, decision, within=None):
    """How often abnormal was entered in normal seconds, and their hours.

    within: count the first seconds of each batch only.
    """
    alarms, seconds = 0, 0
    for j in predicted:
        abnormal = states(j.both, j.decided, decision)
        entered = abnormal & ~np.concatenate([[False], abnormal[:-1]])
        alarms += int((entered & (j.label == 0))[:within].sum())
        seconds += int((j.label == 0)[:within].sum())
    return alarms, seconds / 3600
