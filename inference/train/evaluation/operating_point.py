"""Chooses the operating point, a Decision, on validation batches, and counts episodes and false alarms.

The choice has the least delay among the decisions that raise at most one false alarm in 120
normal hours of the own furnace, or none in fewer hours, and one in 40 hours of furnaces of
other makers. The delay counts with both senses and with either one lost: a short mean needs
a threshold near 1, which one sense alone may never reach. Of lengths whose delays are nearly the
same the longest is chosen.
"""

from dataclasses import replace

import numpy as np

from ..models.decision import Decision, full_means, states

LENGTHS = (5, 10, 15, 20, 30)  # seconds, of the mean
EXITS = (0.3, 0.5, 0.7)  # shares of enter
HOLDS = (10, 20, 30)  # seconds
# A plant can accept one false alarm in 60 h. Thresholds that just keep a limit on the
# hours they were chosen on exceed it on others, so they are chosen for half of that.
HOURS_PER_ALARM = 120.0
# Of a furnace of another maker one in 20 h is accepted, and half of that is chosen as well.
HOURS_PER_ALARM_ELSEWHERE = 40.0
AHEAD = 1.0  # seconds of delay by which a shorter mean must be ahead of a longer one, which needs a lower threshold
MISSED = 600.0  # delay in seconds of an onset that is never detected
WEIGHTS = {"both": 0.5, "current": 0.25, "video": 0.25}  # of the delays, by the senses present
CUT = 180  # seconds before a record's end in which onsets are not counted
DROPPED = 60.0  # cost in seconds of leaving the state during an episode


def choose(mixed, normal, elsewhere=()):
    """The decision, from streaming.Predictions of mixed and of normal validation batches.

    elsewhere: of normal batches of furnaces of other makers.
    """
    found = [_delayed(mixed, normal, elsewhere, length) for length in LENGTHS]
    least = min(delay for delay, _ in found)
    quiet = max((d for delay, d in found if delay <= least + AHEAD), key=lambda d: d.mean_seconds)
    candidates = [Decision(quiet.mean_seconds, quiet.enter, round(share * quiet.enter, 3), hold)
                  for share in EXITS for hold in HOLDS]
    return min(candidates, key=lambda d: leaving_cost(mixed, d))


def _delayed(mixed, normal, elsewhere, length):
    """(mean delay, decision) of a length of the mean, at the allowed false alarms."""
    enter = enter_level(normal, length)
    if elsewhere:
        enter = max(enter, enter_level(elsewhere, length, HOURS_PER_ALARM_ELSEWHERE))
    d = Decision(length, enter, round(enter / 2, 3))
    return sum(w * mean_delay(episodes(only(mixed, sense), d)) for sense, w in WEIGHTS.items()), d


def mean_delay(found):
    return np.mean([MISSED if e is None else e for e in found]) if found else 0.0


def only(predicted, sense):
    """The same batches with the verdicts of one sense in place of both."""
    return [replace(j, both=getattr(j, sense)) for j in predicted]


def enter_level(normal, length, hours_per_alarm=HOURS_PER_ALARM):
    """The least threshold that keeps the allowed false alarms in the normal hours."""
    allowed = allowance(normal, hours_per_alarm)
    means = (full_means(j.both, j.decided, length)[j.label == 0] for j in normal)
    greatest = sorted((m.max() for m in means if len(m)), reverse=True)
    if not greatest:
        raise ValueError("the normal hours contain no second labelled 0; name batches of normal operation")
    level = greatest[min(allowed, len(greatest) - 1)]
    for above in (level, greatest[0]):
        # A step above the observed level, and at least 0.5.
        enter = min(max(np.floor(above * 1000 + 1) / 1000, 0.5), 1.0)
        if false_alarms(normal, Decision(length, enter, enter / 2))[0] <= allowed:
            break
    return float(enter)


def allowance(normal, hours_per_alarm=HOURS_PER_ALARM):
    """The false alarms allowed in these normal hours; at least one in half of hours_per_alarm or more."""
    hours = sum(int((j.label == 0).sum()) for j in normal) / 3600
    return max(int(round(hours / hours_per_alarm, 1)), 1 if hours >= hours_per_alarm / 2 else 0)


def leaving_cost(mixed, decision):
    """Median seconds until the state clears after an episode, plus the cost of leaving early."""
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

    Episodes that begin in the record's last CUT seconds are left out, detected or not:
    the record may end before they can be detected.
    """
    for onset in np.unique(predicted.onset[np.isfinite(predicted.onset)]):
        during = np.flatnonzero(predicted.onset == onset)
        scored = during[predicted.label[during] == 1]
        # Without a scored second the episode ended before it counts.
        if len(scored) and during[0] < len(predicted.label) - CUT:
            yield during, scored[-1]


def episodes(predicted, decision):
    """Delay of every episode from its onset in seconds, None if it was missed."""
    found = []
    for j in predicted:
        abnormal = states(j.both, j.decided, decision)
        for during, last in spans(j):
            hits = np.flatnonzero(abnormal[during[0] : last + 1])
            found.append(float(during[0] + hits[0] - j.onset[during[0]]) if len(hits) else None)
    return found


def false_alarms(predicted, decision, within=None):
    """The number of times that `abnormal` was entered in normal seconds, and their hours.

    within: count only so many first seconds of each batch.
    """
    alarms, seconds = 0, 0
    for j in predicted:
        abnormal = states(j.both, j.decided, decision)
        entered = abnormal & ~np.concatenate([[False], abnormal[:-1]])
        alarms += int((entered & (j.label == 0))[:within].sum())
        seconds += int((j.label == 0)[:within].sum())
    return alarms, seconds / 3600
