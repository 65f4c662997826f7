"""Familiarity: scores of each sense, their constants, and the levels at which a sense counts as unfamiliar."""

import json

import numpy as np
import pytest
from inference.train.data import layout
from inference.train.evaluation import calibrate, densities, familiarity, streaming
from inference.train.export import recover, model_card, release, saved_model
from inference.train.models import familiarity as scores
from inference.train.models.closed_loop import Runner
from inference.train.training import checkpoint

from .conftest import SECONDS

QUIET = {"log": lambda _: None}


def currents(rng, count, colour=0.0, spread=0.1):
    """Windows of relative current whose noise is coloured, and which samples are valid."""
    r = rng.standard_normal((count, 240, 3)).astype(np.float32)
    for t in range(1, 240):
        r[:, t] = colour * r[:, t - 1] + (1 - colour**2) ** 0.5 * r[:, t]
    return spread * r, np.ones((count, 240, 1), np.float32)


def test_a_current_is_told_by_its_shape_and_not_by_its_strength():
    rng = np.random.default_rng(1)
    quiet, lively, other = (np.asarray(scores.current_features(*currents(rng, 200, c, s))[0]) for c, s in ((0, 0.02), (0, 0.2), (0.8, 0.02)))
    apart = lambda a, b: np.abs(a.mean(0) - b.mean(0)) / a.std(0)
    assert apart(quiet, lively)[:-2].max() < 0.5  # the last two are levels of the phases
    assert apart(quiet, other).max() > 5


def test_a_current_with_few_neighbouring_samples_is_unknown():
    r, valid = currents(np.random.default_rng(1), 4)
    valid[1, ::2] = 0  # a meter of half the rate
    valid[2, :-40] = 0  # a record that has just begun
    valid[3] = 0
    features, known = scores.current_features(r * valid, valid)
    assert np.asarray(known)[:, 0].tolist() == [1, 0, 0, 0] and np.isfinite(np.asarray(features)).all()


def test_a_video_with_few_frames_is_unknown_and_masked_frames_hold_anything():
    tokens, seen = np.ones((3, 16, 4, 8), np.float32), np.ones((3, 16), np.float32)
    seen[1, :-8], seen[2, :-7] = 0, 0
    tokens[1, 0] = np.nan
    features, known = scores.video_features(tokens, seen)
    assert np.asarray(known)[:, 0].tolist() == [1, 1, 0]
    np.testing.assert_allclose(np.asarray(features), 1)


def test_windows_like_those_of_either_class_are_familiar_and_others_are_not():
    rng = np.random.default_rng(2)
    mix = lambda x: x @ np.random.default_rng(3).standard_normal((6, 6))  # a house's features depend on each other
    normal, abnormal = mix(rng.standard_normal((900, 6))), mix(rng.standard_normal((300, 6)) + 8)
    density = densities.fit(np.concatenate([normal, abnormal]), np.repeat([0, 1], [900, 300]))
    of = lambda x: np.asarray(density.familiarity(x.astype(np.float32), np.ones((len(x), 1), np.float32)))[:, 0]
    fresh, fresh_abnormal, stranger = (of(mix(rng.standard_normal((400, 6)) + by)) for by in (0, 8, 30))
    assert 0.35 < np.median(fresh) < 0.65 and 0.3 < np.median(fresh_abnormal) < 0.65
    assert stranger.max() < 0.05 and ((of(normal) > 0) & (of(normal) <= 1)).all()
    assert (np.asarray(density.familiarity(normal[:2].astype(np.float32), np.zeros((2, 1), np.float32))) == scores.MISSING).all()


def predictions(rng, count, level, spread=0.3, minutes=30):
    """Batches of half an hour whose current has about one familiarity each, and whose video has none."""
    odds = np.log(level / (1 - level)) + spread * rng.standard_normal((count, 1))
    current = 1 / (1 + np.exp(-(odds + rng.standard_normal((count, 60 * minutes)))))
    return [streaming.Predictions(f"{n}", np.arange(60 * minutes) % 2, np.full(60 * minutes, np.nan), np.ones(60 * minutes, bool), None, None,
                                  familiarity=np.stack([one, np.full(60 * minutes, scores.MISSING)])) for n, one in enumerate(current)]


def test_the_level_lies_under_what_was_seen_and_above_a_stranger():
    rng = np.random.default_rng(4)
    levels = familiarity.choose(predictions(rng, 60, 0.5))
    assert set(levels) == {"current"}  # the video is never known
    chosen = levels["current"]
    assert chosen["mean_minutes"] in familiarity.LENGTHS and chosen["hold_minutes"] == chosen["mean_minutes"] // 2
    own, stranger = predictions(rng, 200, 0.5), predictions(rng, 20, 0.05)
    assert sum(familiarity.events(p.familiarity[0], chosen) for p in own) == 0
    assert all(familiarity.events(p.familiarity[0], chosen) == 1 for p in stranger)
    m = familiarity.figures(own, levels)
    assert m["familiarity_current_events"] == 0 and m["familiarity_current_hours"] == pytest.approx(100) and m["familiarity_current_lowest_mean"] > 0.25
    assert m["familiarity_current_normal"] == pytest.approx(m["familiarity_current_abnormal"], abs=0.02)
    assert not any("video" in k for k in m)


def test_more_batches_that_scatter_more_lower_the_level():
    levels = [familiarity.level([(v, 30) for v in np.linspace(0.5 - w, 0.5 + w, 60)]) for w in (0.05, 0.1, 0.2)]
    assert levels[0] > levels[1] > levels[2] > 0
    assert familiarity.level([(0.2, 30)] * 5) == 0.18  # without scatter a step under the lowest


@pytest.mark.parametrize(("minutes", "count"), [
    ([0.1] * 5, 0),  # the mean of five minutes is under the level, and has not stayed there
    ([0.1] * 7, 1),
    ([0.1] * 7 + [0.9] * 7 + [0.1] * 12, 2),  # it was familiar in between
    ([0.1] * 7 + [0.5] + [0.1] * 12, 1),
    ([0.3] * 60, 0),
])
def test_events_follow_the_agents_rule(minutes, count):
    levels = {"mean_minutes": 5, "level": 0.2, "hold_minutes": 2}
    assert familiarity.events(np.repeat(minutes, 60), levels) == count
    unknown = np.full(90, scores.MISSING)  # does not count
    assert familiarity.events(np.concatenate([unknown, np.repeat(minutes, 60), unknown]), levels) == count


@pytest.fixture(scope="module")
def learnt(folder, trained):
    """The toy with constants of its one training melt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(familiarity, "LEAST_WINDOWS", 5)
        trained.densities = familiarity.learnt(trained, folder, **QUIET)
    yield trained
    trained.densities = {}


def test_a_sense_of_which_training_holds_too_little_is_left_out(folder, trained):
    said = []
    assert familiarity.learnt(trained, folder, log=said.append) == {}
    assert any("familiarity of the current: left out" in line for line in said)


def test_few_batches_choose_no_level():
    assert familiarity.choose(predictions(np.random.default_rng(4), familiarity.LEAST_BATCHES - 1, 0.5)) == {}


def test_a_network_tells_familiarity_once_it_has_its_constants(folder, learnt):
    (predicted,) = streaming.predict(Runner(learnt), layout.read_split(folder, "test", rerolls=False), alone=False)
    assert predicted.familiarity.shape == (2, SECONDS)
    assert (predicted.familiarity[:, 5] == scores.MISSING).all() and ((predicted.familiarity[:, 150] > 0) & (predicted.familiarity[:, 150] <= 1)).all()
    densities_of, learnt.densities = learnt.densities, {}
    (without,) = streaming.predict(Runner(learnt), layout.read_split(folder, "test", rerolls=False), alone=False)
    learnt.densities = densities_of
    assert (without.familiarity == scores.MISSING).all()
    np.testing.assert_allclose(without.both, predicted.both, atol=1e-6)


def test_constants_are_kept_beside_the_weights_and_go_with_them(learnt, tmp_path):
    checkpoint.save(learnt, tmp_path)
    scores.save(learnt.densities, tmp_path)
    again = checkpoint.load(tmp_path)
    for sense in scores.SENSES:
        for name, value in vars(learnt.densities[sense]).items():
            np.testing.assert_array_equal(getattr(again.densities[sense], name), value)
    checkpoint.save(learnt, tmp_path)  # other weights
    assert checkpoint.load(tmp_path).densities == {}


LEVELS = {sense: {"mean_minutes": 5, "level": 0.1, "hold_minutes": 2} for sense in scores.SENSES}
RESULT = {"decision": {"mean_seconds": 10, "enter": 0.9, "exit": 0.5, "hold_seconds": 10}, "rule": {"cv_120": 0.05, "cv_45": 0.03},
          "metrics": {"both_accuracy": 0.5}}


def test_the_agent_takes_a_model_with_familiarity(folder, learnt, tmp_path):
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    manifest = release.release_checked(learnt, RESULT | {"familiarity": LEVELS}, batch, tmp_path / "model", "abc")
    outputs = manifest["signatures"]["step"]["outputs"]
    assert outputs["familiarity_current"] == outputs["familiarity_video"] == {"dtype": "float32", "shape": [1, 1]}
    assert manifest["familiarity"] == LEVELS and "familiarity" not in release.sections(learnt.config, RESULT, "abc")
    (window,) = [v for v in release.golden_inputs(learnt, batch) if v[0] == "no video"]
    found = saved_model.load(tmp_path / "model").run("step", window[2])
    assert found["familiarity_video"] == scores.MISSING and found["familiarity_current"] >= 0
    again = recover.recovered(tmp_path / "model", learnt.config)  # its golden vectors come out as they went in
    for sense in scores.SENSES:
        np.testing.assert_array_equal(again.densities[sense].centres, learnt.densities[sense].centres)


def test_levels_without_their_constants_are_refused(folder, learnt, tmp_path):
    checkpoint.save(learnt, tmp_path)
    (tmp_path / "result.json").write_text(json.dumps(RESULT | {"familiarity": LEVELS}))
    with pytest.raises(ValueError, match="calibrate the run again, with --learnt"):
        release.release_run(tmp_path, folder, tmp_path / "model")


def test_familiarity_can_be_chosen_alone(folder, learnt, tmp_path, monkeypatch):
    monkeypatch.setattr(familiarity, "LEAST_WINDOWS", 5)
    checkpoint.save(learnt, tmp_path)
    with pytest.raises(ValueError, match="calibrate the run first, without --familiarity-alone"):
        calibrate.calibrate(tmp_path, folder, folder, alone="familiarity")
    (tmp_path / "result.json").write_text(json.dumps(RESULT))
    with pytest.raises(ValueError, match="has no constants of familiarity; name the data set"):
        calibrate.calibrate(tmp_path, folder, folder, alone="familiarity")
    calibrate.calibrate(tmp_path, folder, folder, learnt=folder, alone="familiarity")
    again = json.loads((tmp_path / "result.json").read_text())
    assert again["decision"] == RESULT["decision"] and again["metrics"]["both_accuracy"] == 0.5 and "familiarity" in again
    assert (tmp_path / scores.FILE).exists()


def test_the_page_tells_familiarity():
    m = {f"familiarity_{s}_{k}": v for s in scores.SENSES for k, v in
         (("normal", 0.5), ("abnormal", 0.45), ("lowest_mean", 0.2), ("events", 0.0), ("hours", 330.0))}
    rows = [line for part in model_card.familiarity({"metrics": m, "familiarity": LEVELS}) for line in part.splitlines() if line.startswith("| video")]
    assert rows == ["| video | 0.50 | 0.45 | 0.1 | 5 min | 2 min | 0.20 | 0 | 330 |"]
    assert not list(model_card.familiarity({"metrics": m})) and not list(model_card.familiarity({"metrics": {}, "familiarity": LEVELS}))
