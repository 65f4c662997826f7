"""The state machine, the choice of thresholds, the figures, by hand."""

import numpy as np
import pytest

from inference.train import decision, evaluate, layout, rule
from inference.train.timeline import Judged


def judged(p, label, onset=None):
    p = np.asarray(p, float)
    onset = np.full(len(p), np.nan) if onset is None else onset
    return Judged("toy", np.asarray(label), onset, p, p, p, p)


def test_running_mean_is_shorter_at_the_start():
    np.testing.assert_allclose(decision.running_mean([1, 0, 0, 4], 3), [1, 0.5, 1 / 3, 4 / 3])


def test_state_enters_at_once_and_leaves_after_the_hold():
    p = np.zeros(100)
    p[50:60] = 1
    d = decision.Decision(mean_seconds=1, enter=0.5, exit=0.25, hold_seconds=10)
    on = decision.states(p, d)
    # 60 is the first second under exit, 69 the tenth: it leaves after it.
    assert np.flatnonzero(on).tolist() == list(range(50, 70))
    p[:40] = 1  # before 30 s there is no verdict
    assert np.flatnonzero(decision.states(p, d))[0] == decision.WARM


def test_rare_level_extrapolates_a_known_distribution():
    rng = np.random.default_rng(0)
    maxima = rng.gumbel(0, 1, 20000)
    want = -np.log(-np.log(1 - decision.BLOCK / (60 * 3600)))
    assert decision.rare_level(maxima[:300]) == pytest.approx(want, abs=0.8)
    assert decision.rare_level([1.0, 1.0, 1.0]) == 1.0


def test_choose_prefers_the_decision_that_comes_first():
    rng = np.random.default_rng(0)
    n = 3000
    label, onset = np.zeros(n, int), np.full(n, np.nan)
    label[2000:2600], onset[2000:2600] = 1, 2000
    p = np.clip(np.where(label == 1, 0.9, 0.1) + 0.02 * rng.standard_normal(n), 0.01, 0.99)
    chosen = decision.choose([judged(p, label, onset)])
    assert chosen.mean_seconds == min(decision.LENGTHS)
    assert chosen.exit < chosen.enter < 0.9


def test_episodes_and_false_alarms():
    n = 1000
    label, onset = np.zeros(n, int), np.full(n, np.nan)
    label[300:330], label[330:400], onset[300:400] = -1, 1, 300
    label[600:630], label[630:700], onset[600:700] = -1, 1, 600
    p = np.zeros(n)
    p[345:400] = 1
    p[800:803] = 1  # a false alarm
    d = decision.Decision(1, 0.5, 0.25)
    found = [judged(p, label, onset)]
    assert decision.episodes(found, d) == [45.0, None]
    alarms, hours = decision.false_alarms(found, d)
    assert alarms == 1 and hours == pytest.approx(800 / 3600)


def test_figures_of_a_table_of_four():
    score = np.array([0.1, 0.6, 0.4, 0.9])
    label = np.array([0, 0, 1, 1])
    assert evaluate.rates(score, label, 0.5) == (0.5, 0.5)
    assert evaluate.auroc(score, label) == 0.75
    assert evaluate.auroc(np.ones(4), label) == 0.5
    out = evaluate.score(score, label, 0.5, "x")
    assert out["x_accuracy"] == 0.5 and out["x_f1"] == 0.5


def test_best_threshold_separates_what_can_be():
    score, label = np.array([3.0, 1.0, 2.0, 4.0]), np.array([1, 0, 0, 1])
    assert 2 < evaluate.best_threshold(score, label) < 3


def test_the_rule_reads_the_quiet(folder):
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    cv = rule.variation(batch.currents[0], 120)
    # The toy's deviation is 1,500 A and then 100 A of 15 kA.
    assert cv[190] == pytest.approx(0.1, rel=0.15)
    assert cv[390] == pytest.approx(100 / 15000, rel=0.15)
    assert np.isnan(cv[0])
