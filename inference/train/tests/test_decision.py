"""The state machine, the choice of thresholds, the figures, by hand."""

import dataclasses

import numpy as np
import pytest
from inference.train.data import layout, window
from inference.train.evaluation import metrics, operating_point, rule, suspicion
from inference.train.evaluation.streaming import Predictions
from inference.train.models import decision
from inference.train.models.closed_loop import ClosedLoop


def predicted(p, label, onset=None):
    p = np.asarray(p, float)
    onset = np.full(len(p), np.nan) if onset is None else onset
    return Predictions("toy", np.asarray(label), onset, np.ones(len(p), bool), p, p, p, p)


def test_means_are_full_or_none():
    decided = np.array([1, 1, 1, 0, 1, 1, 1, 1], bool)
    means = decision.full_means(np.array([1, 0, 0, 9, 3, 0, 0, 6.0]), decided, 3)
    none = -np.inf
    np.testing.assert_allclose(means, [none, none, 1 / 3, none, none, none, 1, 2])


def test_state_enters_at_once_and_leaves_after_the_hold():
    p = np.zeros(100)
    p[50:60] = 1
    d = decision.Decision(mean_seconds=1, enter=0.5, exit=0.25, hold_seconds=10)
    on = decision.states(p, np.ones(100, bool), d)
    # 60 is the first second under exit, 69 the tenth: it leaves in it.
    assert np.flatnonzero(on).tolist() == list(range(50, 69))


def test_a_second_without_verdict_empties_the_mean():
    d = decision.Decision(mean_seconds=5, enter=0.5, exit=0.25, hold_seconds=3)
    decided = np.ones(40, bool)
    decided[12] = False
    p = np.where(np.arange(40) < 30, 1.0, 0.0)
    on = decision.states(p, np.concatenate([np.zeros(10, bool), decided[10:]]), d)
    # Full at 13 … 17; then under exit from 33 (mean of 29 … 33 is 0.2) for 3 s.
    assert np.flatnonzero(on).tolist() == list(range(17, 35))
    decided[20:] = False
    assert decision.states(p, decided, d)[39], "an abnormal state waits for a verdict"


def test_means_and_filter_agree():
    rng = np.random.default_rng(0)
    p, decided = rng.random(500), rng.random(500) > 0.02
    d = decision.Decision(mean_seconds=5, enter=0.8, exit=0.8, hold_seconds=1)
    np.testing.assert_array_equal(decision.states(p, decided, d)[decided],
                                  held(decision.full_means(p, decided, 5) >= 0.8, decided, p)[decided])


def held(high, decided, p):
    """What hysteresis without width makes of the mean: kept while it is not full."""
    out, now = [], False
    full = np.isfinite(decision.full_means(p, decided, 5))
    for h, f in zip(high, full, strict=True):
        now = bool(h) if f else now
        out.append(now)
    return np.array(out)


def normal_hours(peaks, batches=60, seconds=3600):
    """Batches of normal seconds at p = 0.1, each with one stretch of 60 s at its peak."""
    out = []
    for i in range(batches):
        p = np.full(seconds, 0.1)
        if i < len(peaks):
            p[1000:1060] = peaks[i]
        out.append(predicted(p, np.zeros(seconds, int)))
    return out


def test_enter_lies_above_all_that_normal_hours_may_not_pass():
    normal = normal_hours([0.9, 0.8, 0.7])  # 60 h, so one may pass
    enter = operating_point.enter_level(normal, 10)
    assert 0.8 < enter < 0.81
    assert operating_point.false_alarms(normal, decision.Decision(10, enter, enter / 2)) == (1, 60)
    # 30 h may hold none.
    assert 0.9 < operating_point.enter_level(normal[:30], 10) < 0.91
    # Two stretches in the worst batch are two alarms.
    normal[0].both[2000:2060] = 0.9
    assert 0.9 < operating_point.enter_level(normal, 10) < 0.91
    assert operating_point.enter_level(normal_hours([]), 10) == 0.5


def early_and_late(n=3000):
    """A batch whose p rises over two minutes from its onset on, and normal hours with short peaks of 0.7 and 0.95."""
    label, onset, p = np.zeros(n, int), np.full(n, np.nan), np.full(n, 0.05)
    label[2000:2600], onset[2000:2600] = 1, 2000
    p[2000:2120], p[2120:2600] = np.linspace(0.05, 1, 120), 1.0
    quiet = normal_hours([0.95] * 3 + [0.7] * 40, batches=60)
    return [predicted(p, label, onset)], quiet


def test_suspicion_comes_sooner_within_its_limit():
    mixed, quiet = early_and_late()
    suspect = suspicion.choose(mixed, quiet)
    allowed = operating_point.allowance(quiet, suspicion.HOURS_PER_SUSPICION)
    assert allowed == 12 and operating_point.false_alarms(quiet, suspect)[0] <= allowed
    # 43 peaks reach 0.7, three reach 0.95: the threshold lies just above the first.
    assert 0.7 < suspect.enter < 0.72 and suspect.exit <= suspect.enter
    alarm = decision.Decision(30, 0.96, 0.672)
    m = suspicion.figures(mixed, quiet, alarm, suspect)
    assert m["suspect_onsets"] == 1 and m["suspect_onsets_missed"] == 0 and m["suspect_false_alarms"] == 3
    assert m["suspect_lead_median_seconds"] >= 20
    assert m["suspect_delay_median_seconds"] + m["suspect_lead_median_seconds"] == operating_point.episodes(mixed, alarm)[0]
    assert m["suspect_within_75_s"] == 0 and m["suspect_within_90_s"] == 1
    assert m["within_90_s"] == 0 and m["within_180_s"] == 1


def test_suspicion_of_few_hours_allows_none_that_are_false():
    mixed, quiet = early_and_late()
    suspect = suspicion.choose(mixed, quiet[:2])
    assert suspect.enter > 0.95 and operating_point.false_alarms(quiet[:2], suspect)[0] == 0


def abnormal_batch():
    n = 3000
    label, onset = np.zeros(n, int), np.full(n, np.nan)
    label[2000:2600], onset[2000:2600] = 1, 2000
    return predicted(np.where(label == 1, 0.9, 0.1), label, onset)


def test_choose_prefers_the_decision_that_comes_first():
    chosen = operating_point.choose([abnormal_batch()], normal_hours([]))
    assert chosen.mean_seconds == min(operating_point.LENGTHS)
    assert chosen.exit < chosen.enter == 0.5
    # A short mean that lets a peak of 20 s through has to ask for more than there is.
    peaked = normal_hours([0.95] * 3)
    for j in peaked:
        j.both[1020:1060] = 0.1
    chosen = operating_point.choose([abnormal_batch()], peaked)
    assert chosen.mean_seconds == 30 and chosen.enter > 0.6


def test_choose_prefers_the_longer_of_two_that_come_nearly_together():
    quiet = normal_hours([])
    for j in quiet[:3]:
        j.both[500:504] = 0.9
    # Over 5 s these 4 s reach 0.74, so the short mean comes after 5 s, and that of 10 s after 5 or 6 s.
    chosen = operating_point.choose([abnormal_batch()], quiet)
    assert chosen.mean_seconds == 10 and chosen.enter == 0.5


def test_other_furnaces_may_raise_an_alarm_in_40_hours():
    own, other = normal_hours([0.6]), normal_hours([0.8, 0.7, 0.65], batches=40)
    # The own furnace may raise one in these 60 h, the other one in 40 h.
    assert operating_point.choose([abnormal_batch()], own).enter == 0.5
    assert 0.7 < operating_point.choose([abnormal_batch()], own, other).enter < 0.71
    # Fewer than 20 h may hold none.
    assert 0.8 < operating_point.choose([abnormal_batch()], own, other[:19]).enter < 0.81


def test_choose_does_not_leave_an_episode_for_a_gap():
    batch = abnormal_batch()
    batch.both[2300:2315] = 0.1
    chosen = operating_point.choose([batch], normal_hours([]))
    on = decision.states(batch.both, batch.decided, chosen)
    assert on[2300:2590].all()


def test_an_onset_at_the_very_end_is_not_counted():
    label, onset = np.zeros(1000, int), np.full(1000, np.nan)
    label[900:], onset[850:] = 1, 850
    assert list(operating_point.spans(predicted(np.zeros(1000), label, onset))) == []
    label[700:], onset[700:] = 1, 700
    ((during, last),) = operating_point.spans(predicted(np.zeros(1000), label, onset))
    assert (during[0], last) == (700, 999)


def test_episodes_and_false_alarms():
    n = 1000
    label, onset = np.zeros(n, int), np.full(n, np.nan)
    label[300:330], label[330:400], onset[300:400] = -1, 1, 300
    label[600:630], label[630:700], onset[600:700] = -1, 1, 600
    p = np.zeros(n)
    p[345:400] = 1
    p[800:803] = 1  # a false alarm
    d = decision.Decision(1, 0.5, 0.25)
    found = [predicted(p, label, onset)]
    assert operating_point.episodes(found, d) == [45.0, None]
    alarms, hours = operating_point.false_alarms(found, d)
    assert alarms == 1 and hours == pytest.approx(800 / 3600)


def test_figures_of_a_table_of_four():
    score = np.array([0.1, 0.6, 0.4, 0.9])
    label = np.array([0, 0, 1, 1])
    assert metrics.rates(score, label, 0.5) == (0.5, 0.5)
    assert metrics.auroc(score, label) == 0.75
    assert metrics.auroc(np.ones(4), label) == 0.5
    out = metrics.score(score, label, 0.5, "x")
    assert out["x_accuracy"] == 0.5 and out["x_f1"] == 0.5


def test_best_threshold_separates_what_can_be():
    score, label = np.array([3.0, 1.0, 2.0, 4.0]), np.array([1, 0, 0, 1])
    assert 2 < metrics.best_threshold(score, label) < 3


def test_errors_at_a_change_of_label_are_left_out_where_asked():
    label = np.repeat([0, 1], 100)
    np.testing.assert_array_equal(metrics.since_change(label), np.tile(np.arange(100), 2))
    late = np.where(np.arange(200) >= 110, 0.9, 0.1)  # both senses, 10 s late
    j = predicted(late, label)
    j.current, j.video = late.copy(), late.copy()
    j.current[150], j.video[170] = 0.1, 0.1  # each errs once by itself
    thresholds = {"current": 0.5, "video": 0.5}
    assert metrics.error_correlation([j], thresholds) > 0.8
    assert metrics.error_correlation([j], thresholds, settled=20) == pytest.approx(-1 / 79)


def test_the_rule_reads_the_quiet(folder):
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    cv = rule.variation(batch.currents[0], 120)
    # The toy's deviation is 1,500 A and then 100 A of 15 kA.
    assert cv[190] == pytest.approx(0.1, rel=0.15)
    assert cv[390] == pytest.approx(100 / 15000, rel=0.15)
    assert np.isnan(cv[0])
    # Three quarters of the span must be there, as the agent asks; 5 s are missing.
    assert np.isnan(cv[93]) and np.isfinite(cv[96])


def test_rule_levels_lie_under_all_but_what_is_allowed(folder):
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    # The toy's later half is abnormal and quiet; a level must not be taken from it.
    least = np.nanmin(rule.variation(batch.currents[0], 120)[batch.label == 0])
    assert least - 1e-4 <= rule.level([batch], 120, allowed=1) <= least
    lively = dataclasses.replace(batch, currents=[dataclasses.replace(
        batch.currents[0], amps=np.where(np.arange(len(batch.currents[0].mask))[:, None] < 380,
                                         batch.currents[0].amps, 0), mask=batch.currents[0].mask
        * (np.arange(len(batch.currents[0].mask)) < 380))])
    assert rule.level([lively], 120, 0) > 0.08
    assert rule.level([lively, batch], 120, 0) <= least
    assert rule.level([lively, batch], 120, 1) > 0.08


def frozen(freezing, p, senses, abnormal=None):
    """Which seconds the background of one furnace stands still after: p (S,), senses (2,S)."""
    machine = decision.Freeze(freezing, 1)
    quiet = np.zeros(len(p), bool) if abnormal is None else abnormal
    one = np.ones(1, bool)
    return np.array([machine.step(p[i : i + 1], senses[:, i : i + 1], one, quiet[i : i + 1])[0] for i in range(len(p))])


def test_either_sense_alone_freezes_the_background_for_a_while():
    freezing = decision.Freezing(0.5, 0.7, 20)
    p, senses = np.zeros(200), np.full((2, 200), 0.1)
    senses[1, 10:100] = 0.8  # a reflection
    senses[0, 130:140] = 0.9
    on = frozen(freezing, p, senses)
    assert np.flatnonzero(on).tolist() == [*range(10, 30), *range(130, 140)]
    assert not frozen(decision.Freezing(0.5), p, senses).any()
    senses[0, 110:130] = 0.9  # after 10 calm seconds of the 20 that it takes
    assert not frozen(freezing, p, senses)[100:140].any()


def test_a_missing_sense_and_a_second_without_verdict_do_not_freeze():
    freezing = decision.Freezing(0.5, 0.7, 20)
    machine = decision.Freeze(freezing, 2)
    senses = np.array([[-1.0, -1.0], [0.9, 0.9]])
    assert machine.step(np.zeros(2), senses, np.array([True, False]), np.zeros(2, bool)).tolist() == [True, False]


def test_an_alarm_freezes_as_long_as_it_lasts_and_is_not_counted():
    freezing, seconds = decision.Freezing(0.5, 0.7, 20), np.arange(120)
    senses = np.where(seconds < 70, 0.9, 0.1) * np.ones((2, 1))
    senses[:, 80:90] = 0.9
    for p, abnormal in ((np.where(seconds < 60, 0.9, 0.1), None), (np.zeros(120), seconds < 60)):
        on = frozen(freezing, p, senses, abnormal)
        assert np.flatnonzero(on).tolist() == [*range(70), *range(80, 90)]


class Suspicious:
    """A network whose video alone is suspicious, and whose background counts its updates."""

    baseline, token_shape = False, (window.FRAMES, window.FRAME_TOKENS, 1)

    def __init__(self, freezing):
        self.freezing = freezing

    def encode(self, frames, background):
        return {"tokens": np.zeros((len(frames), window.FRAME_TOKENS, 1)), "background": background + 1}

    def step(self, tokens, seen, current, mask, set_point):
        of = lambda p: np.full((len(tokens), 1), p, np.float32)
        return {"p_abnormal": of(0.1), "alignment": of(0), "p_current": of(-1), "p_video": of(0.9)}


@pytest.mark.parametrize("freezing,still", [(decision.Freezing(0.5), 0), (decision.Freezing(0.5, 0.7, 20), 20)])
def test_one_sense_alone_freezes_the_background_of_the_closed_loop(freezing, still):
    seconds, side = 100, window.SIZE
    record = layout.Current(amps=np.ones((200, 3), np.float32), mask=np.ones(200, np.float32), set_point=np.ones(200, np.float32),
                            last=window.SAMPLE_HZ * np.arange(seconds) + 1)
    batch = layout.Batch(name="toy", frames=np.zeros((1, side, side, 3), np.uint8), spot=np.zeros((1, 64), np.uint8),
                         frame_at=np.zeros(seconds, int), currents=[record], label=np.zeros(seconds, np.int8),
                         onset=np.full(seconds, np.nan))
    loop = ClosedLoop(Suspicious(freezing), [batch], decision.PROVISIONAL, every=2)
    for second in range(seconds):
        loop.advance(second)
    assert (loop.background == -1 + seconds - still).all()
