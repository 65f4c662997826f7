"""When a clock offset is known: the features, the calibration, and what Go computes of the same curves."""

import json

import numpy as np
import pytest
from inference.train.commands import calibrate as command
from inference.train.data import cache
from inference.train.evaluation import calibrate, clock_offset, logistic, offset_calibration, offset_confidence, offset_curves
from inference.train.evaluation.batched import windows_of
from inference.train.evaluation.offset_curves import Course
from inference.train.export import model_card, release
from inference.train.models import codebook
from inference.train.models.closed_loop import Compiled

from . import offset_cases
from .conftest import QUIET

SHIFTS = np.array(codebook.SHIFTS)
MIDDLE = clock_offset.OFFSETS.index(0)


def course(late, deep, seed, windows=400, spread=1.0, bias=0.0):
    """Windows whose loss is least where the current is taken back by what it is delayed, and by the bias, with noise."""
    rng = np.random.default_rng(seed)
    curves = spread * rng.standard_normal((windows, len(SHIFTS))) - deep * np.exp(-((SHIFTS + late + bias) ** 2))
    return Course(np.arange(windows) + 15, curves, np.full(windows, float(late)))


def batches(count, deep, bias=0.0):
    return [[course(late, deep, 10 * n + i, bias=bias) for i, late in enumerate(clock_offset.OFFSETS)] for n in range(count)]


@pytest.fixture(scope="module")
def confidence():
    """Calibrated on records of all depths, in some of which nothing can be found."""
    known = [each for deep in (0.05, 0.2, 0.5) for each in batches(4, deep)]
    return offset_calibration.calibrated(known, strangers(8), 0.0)


def strangers(count):
    return [Course(c.seconds, c.curves, np.full(len(c.late), np.nan)) for c in (course(0, 0.0, 900 + n) for n in range(count))]


# The same as in Go.


def test_the_cases_are_those_of_this_code():
    """agent/align reads the same file; offset_cases.write() writes it anew."""
    kept = json.loads(offset_cases.PATH.read_text())
    made = json.loads(json.dumps(offset_cases.document()))
    assert kept["offset"] == made["offset"] and [c["name"] for c in kept["cases"]] == [c["name"] for c in made["cases"]]
    for old, new in zip(kept["cases"], made["cases"], strict=True):
        assert old["losses"] == new["losses"] and old["known"] == new["known"] and old["windows"] == new["windows"]
        np.testing.assert_allclose(old["confidence"], new["confidence"], atol=1e-8)
        assert [s is None for s in old["seconds"]] == [s is None for s in new["seconds"]]
        np.testing.assert_allclose([s for s in old["seconds"] if s is not None], [s for s in new["seconds"] if s is not None], atol=1e-8)
    assert any(any(c["known"]) for c in kept["cases"]) and not all(any(c["known"]) for c in kept["cases"])


# Features and estimates.


def test_features_tell_a_dip_from_noise():
    of = lambda c: offset_confidence.Pools(c.curves).measured([0], [400])
    dip, nothing = of(course(1.25, 1.0, 1)), of(course(0, 0.0, 2))
    assert dip.shift[0] == pytest.approx(-1.25, abs=0.15) and dip.inner[0]
    name = dict(zip(offset_confidence.FEATURES, range(3), strict=True))
    for feature, sign in (("height", 1), ("agreement", -1), ("significance", 1)):
        assert sign * (dip.features[0, name[feature]] - nothing.features[0, name[feature]]) > 0, feature


def test_significance_grows_with_the_windows():
    pools = [offset_confidence.Pools(course(1.0, 0.5, seed, windows=480).curves) for seed in range(20)]
    few, many = (np.mean([p.measured([0], [n]).features[0, 2] for p in pools]) for n in (120, 480))
    assert many > 1.3 * few


def test_an_edge_is_no_estimate_and_flat_curves_have_none():
    for curves in (np.tile(SHIFTS, (200, 1)) ** 3, np.zeros((200, len(SHIFTS)))):
        assert not offset_confidence.Pools(curves).measured([0], [200]).inner[0]


def test_no_estimate_before_the_least_number_of_windows(confidence):
    found = offset_confidence.estimates(confidence, course(2.0, 2.0, 4).curves)
    assert not found.known[: offset_confidence.LEAST - 1].any() and found.known[offset_confidence.LEAST :].all()
    assert (found.probability[: offset_confidence.LEAST - 1] == 0).all()
    np.testing.assert_allclose(-found.shift[found.known], 2.0, atol=0.2)
    assert not offset_confidence.estimates(confidence, np.zeros((0, len(SHIFTS)))).known.any()


def test_a_delay_that_changes_is_withdrawn_and_found_again(confidence):
    before, after = course(2.0, 1.0, 5), course(-1.0, 1.0, 6)
    found = offset_confidence.estimates(confidence, np.concatenate([before.curves, after.curves]))
    assert found.known[399] and -found.shift[399] == pytest.approx(2.0, abs=0.2)
    new = np.flatnonzero(found.known[400:] & (np.abs(-found.shift[400:] + 1.0) < 0.5))
    assert len(new) and new[0] < 240  # the newest half of the pool is enough
    assert (np.abs(-found.shift[400 + new[0] :][found.known[400 + new[0] :]] + 1.0) < 0.5).all()


def test_the_earlier_rule_needs_its_pool_and_all_quarters():
    clear = np.concatenate([course(1.0, 1.0, 7).curves, course(1.0, 1.0, 8).curves])
    found = offset_confidence.agreed(clear)
    assert not found.known[: offset_confidence.MOST - 1].any() and found.known[offset_confidence.MOST - 1 :].all()
    parted = np.concatenate([course(2.0, 1.0, 7).curves[:240], course(-2.0, 1.0, 8).curves[:240]])
    assert not offset_confidence.agreed(parted).known.any()


# Calibration.


def test_what_is_known_is_right_and_strangers_are_unknown(confidence):
    fresh = [each for deep in (0.1, 0.4) for each in [[course(late, deep, 500 + i) for i, late in enumerate(clock_offset.OFFSETS)]]]
    got = offset_calibration.figures(confidence, fresh, strangers(4), 0.0)
    assert got["offset_known_right"] >= 0.95 and got["offset_known_share"] > 0.15
    assert got["offset_stranger_known_share"] < 0.05
    assert got["offset_records"] == 14 and 0 <= got["offset_records_never_known"] < 0.6
    assert got["offset_rule_known_share"] == 0  # a pool takes 480 windows
    assert "offset_rule_known_right" not in got and "offset_rule_first_median_seconds" not in got
    json.dumps(got, allow_nan=False)


def test_the_threshold_keeps_the_share_that_is_wanted(confidence):
    known = [each for deep in (0.05, 0.2, 0.5) for each in batches(4, deep)]
    tried = offset_calibration.Tried([c for each in known for c in each], confidence, 0.0)
    assert tried.enough(confidence.threshold)
    lower = [t for t in offset_calibration.THRESHOLDS if t < confidence.threshold]
    assert not any(tried.enough(t) for t in lower)


def test_nothing_is_calibrated_where_nothing_or_too_little_is_found():
    assert offset_calibration.calibrated(batches(3, 0.0), strangers(3), 0.0) is None  # no dip: no estimate is right but by chance
    assert offset_calibration.calibrated([[course(1.0, 1.0, 1)] * 7], [], 0.0) is None  # all are right: nothing tells what wrong looks like
    empty = Course(np.zeros(0, int), np.zeros((0, len(SHIFTS))), np.zeros(0))
    assert offset_calibration.calibrated([[empty] * 7], [empty], 0.0) is None


def test_the_excess_is_the_middle_of_what_most_records_allow():
    assert offset_calibration.excess(batches(2, 1.0, bias=0.5)) == pytest.approx(0.5, abs=0.1)
    assert offset_calibration.excess([]) == 0.0
    # A few records are far off: a median would leave them where they are, and so does this.
    odd = batches(4, 1.0, bias=0.5) + batches(1, 1.0, bias=-2.0)
    assert offset_calibration.excess(odd) == pytest.approx(0.5, abs=0.1)
    # Records of two kinds are both within a second of the middle.
    assert offset_calibration.excess(batches(3, 1.0, bias=0.8) + batches(1, 1.0, bias=-0.8)) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("count", [1, 7, 8, 60])
def test_every_changing_course_changes(count):
    each = [[Course(np.arange(40), np.zeros((40, 21)), np.full(40, float(late))) for late in clock_offset.OFFSETS] for _ in range(count)]
    for c in offset_calibration.changing(each):
        assert len(set(c.late.tolist())) == 2 and (np.diff(c.seconds) == 1).all()


def test_the_section_is_the_confidence(confidence):
    section = json.loads(json.dumps(offset_calibration.section(confidence), allow_nan=False))
    assert list(section["features"]) == list(offset_confidence.FEATURES) and section["threshold"] == confidence.threshold
    of, features = section["features"], np.array([[2.0, 0.5, 3.0]])
    logit = section["intercept"] + sum(v["weight"] * (x - v["mean"]) / v["std"] for x, v in zip(features[0], of.values(), strict=True))
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(confidence.probability(features)[0], abs=1e-4)


# What the network gives.


def test_one_pass_of_the_frames_serves_every_offset(folder, tokens, trained):
    """The curves are those of the network on the shifted windows, and only seconds with an event and both senses count."""
    (batch,) = cache.read(tokens, folder, "test", rerolls=False)
    whole = Compiled(lambda *inputs: trained.local_losses(trained.infer(*inputs)))
    for late, got in zip((-2, 0, 3), offset_curves.Observer(trained).courses(batch, (-2, 0, 3)), strict=True):
        samples = round((batch.lags[0] + late) * 2)
        assert len(got.seconds) > 50 and set(got.late) == {samples / 2 - batch.lags[0]}
        inputs = windows_of(batch, got.seconds, samples)
        np.testing.assert_allclose(got.curves, whole.predict_on_batch(list(inputs.values())), atol=1e-4)
        assert (inputs["frame_mask"].mean(1) > 0.9).all() and (np.abs(np.diff(inputs["current"][:, -32:], axis=1)).max((1, 2)) > 3000).all()


def test_a_gap_of_the_current_is_no_event():
    current, mask = np.zeros((3, 240, 3), np.float32), np.ones((3, 240), np.float32)
    current[0, 230:, 1] = 4000  # a step
    current[1, 230:, 1], mask[1, 229] = 4000, 0  # across a gap: its speed is unknown
    current[2, 100:, 1] = 4000  # before the frames' seconds
    assert offset_curves.swing(current, mask).tolist() == [4000, 0, 0]


def test_a_stranger_has_no_right_offset(folder, tokens, trained):
    (batch,) = cache.read(tokens, folder, "test", rerolls=False)
    known, stranger = offset_curves.Observer(trained).courses(batch, (0,), batch)
    assert np.isnan(stranger.late).all() and len(stranger.late) and not np.isnan(known.late).any()
    assert not offset_calibration.right(np.zeros(len(stranger.late)), stranger.late, 0.0).any()


# The command, and what it leaves for the release.


OLDER = {"decision": {"enter": 0.9}, "rule": {"cv_120": 0.05}, "offset_confidence": {"threshold": 0.1},
         "metrics": {"both_accuracy": 0.5, "offset_bias_s": 9.0, "offset_known_right": 0.1}}


def test_the_offset_is_calibrated_alone_and_a_stale_confidence_does_not_stay(trained, folder):
    """The toy's one batch shows nothing: the release keeps the earlier rule."""
    got = calibrate.clocked(trained, OLDER, folder, **QUIET)
    assert "offset_confidence" not in got and got["decision"] == OLDER["decision"]
    assert got["metrics"]["both_accuracy"] == 0.5 and "offset_known_right" not in got["metrics"]
    assert abs(got["metrics"]["offset_bias_s"]) <= 3
    sections = release.sections(trained.config, got, "abc")
    assert "confidence" not in sections["offset"] and not list(model_card.known_offset(sections))


def test_the_manifest_and_the_page_tell_the_confidence(trained, folder, confidence, monkeypatch):
    monkeypatch.setattr(offset_calibration, "calibrated", lambda *_: confidence)
    got = calibrate.clocked(trained, OLDER, folder, houses=[folder], **QUIET)
    sections = release.sections(trained.config, got, "abc")
    assert sections["offset"]["confidence"] == offset_calibration.section(confidence)
    m = got["metrics"]
    assert m["offset_records"] == 7 and m["house_scene_arcs_offset_records"] == 7
    page = "\n".join(model_card.known_offset(sections))
    assert f"from a confidence of {confidence.threshold:g} on" in page
    rows = [line for line in page.splitlines() if line.startswith(("| test batches", "| scene + arcs"))]
    assert len(rows) == 4 and rows[0].startswith("| test batches | 7 | confidence |") and "earlier rule" in rows[3]


def test_the_command_asks_for_normal_hours_but_with_the_offset_alone(folder, tmp_path, capsys):
    arguments = ["--mixed", str(folder), "--run", str(tmp_path)]
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "--normal" in capsys.readouterr().err
    with pytest.raises(ValueError, match="result.json: is missing; calibrate the run first, without --offset-alone"):
        command.main([*arguments, "--offset-alone"])


# The regression, which the welds' confidence uses too.


def test_a_regression_finds_the_probability_behind_its_answers():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4000, 2))
    truth = rng.random(4000) < 1 / (1 + np.exp(-(0.5 + 2 * x[:, 0])))
    found = logistic.regression(x, truth)
    np.testing.assert_allclose(found.probability(np.array([[0.0, 0.0], [1.0, 0.0]])), 1 / (1 + np.exp([-0.5, -2.5])), atol=0.04)
    assert not logistic.unknowing(2).known(x).any()
