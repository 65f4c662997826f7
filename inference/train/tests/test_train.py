"""From a data set to a model folder, in a few steps."""

import dataclasses
import hashlib
import json

import keras
import numpy as np
import pytest
from inference.train import models
from inference.train.commands import calibrate as calibrate_command
from inference.train.commands import train
from inference.train.data import cache, layout, sampler
from inference.train.evaluation import calibrate, offset_calibration, streaming
from inference.train.export import golden, model_card, recover, release, saved_model
from inference.train.export.exported import Exported
from inference.train.models.closed_loop import Runner
from inference.train.training import checkpoint, configs, fit

from . import offset_cases
from .conftest import SECONDS, SMALL

QUIET = {"log": lambda _: None}


def test_a_step_moves_every_weight_that_may_move(folder, unimodal, tokens):
    """The product's frame tokenizer and codebook are frozen; everything else is trained."""
    config = dataclasses.replace(configs.Toy(), steps=4)
    keras.utils.set_random_seed(config.seed)
    untrained = models.build(config)
    fit.inherit(untrained, unimodal)
    path = lambda v: v.path.split("/", 1)[-1]  # the network has a number in its name
    start = {path(v): np.array(v) for v in untrained.weights}
    after = fit.fit_on_tokens(config, cache.read(tokens, folder, "train"), unimodal, **QUIET)
    moved = {path(v) for v in after.weights if not np.array_equal(v, start[path(v)])}
    frozen = {p for p in start if "frames/" in p or "bank/" in p or p.startswith(("frames", "bank"))}
    assert not moved & frozen
    assert {path(v) for v in after.trainable_variables} <= moved


def test_the_body_stands_still_in_the_last_phase(folder, unimodal, tokens):
    config = configs.OneLLM(**SMALL | {"steps": 6})
    kept = []

    class Watched(models.SYSTEMS["OneLLM"]):
        def phase(self, number, count):
            super().phase(number, count)
            kept.append([np.array(w) for block in self.body for w in block.weights])

    keras.utils.set_random_seed(1)
    model = Watched(config)
    fit.inherit(model, unimodal)
    batches = cache.read(tokens, folder, "train")
    fit.fit(model, lambda steps, seed: sampler.TokenWindows(batches, config, steps, seed), **QUIET)
    after = [np.array(w) for block in model.body for w in block.weights]
    assert any((a != b).any() for a, b in zip(kept[0], kept[1], strict=True))
    for a, b in zip(kept[1], after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_repeats_by_seed(folder, unimodal, tokens, trained):
    again = fit.fit_on_tokens(configs.Toy(), cache.read(tokens, folder, "train"), unimodal, **QUIET)
    for a, b in zip(trained.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("kind", [configs.QFormer, configs.CLMLF],
                         ids=lambda k: k().name)
def test_every_kind_of_system_trains(folder, unimodal, tokens, kind):
    model = fit.fit_on_tokens(kind(**SMALL), cache.read(tokens, folder, "train"), unimodal, **QUIET)
    assert all(np.isfinite(v).all() for v in model.weights)


def test_tokens_of_another_width_are_refused(folder, unimodal, tokens):
    with pytest.raises(ValueError, match="tokens of 16 features, product needs 64"):
        fit.fit_on_tokens(configs.Product(), cache.read(tokens, folder, "train"), unimodal, **QUIET)


def test_a_missing_step_is_named(folder, tokens, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "train.json").write_text("[]")
    (tmp_path / "val.json").write_text("[]")
    into = ["--run", str(tmp_path / "run")]
    for main, args, words in (
            (train.main, ["--data", str(tmp_path), *into], "no batch is assigned to train; name some"),
            (calibrate_command.main, ["--mixed", str(folder), "--normal", str(folder), *into], "config.json: is missing; name"),
    ):
        with pytest.raises(ValueError, match=words):
            main(args)
    with pytest.raises(ValueError, match="result.json: is missing; calibrate the run first"):
        release.calibrated(tmp_path / "result.json")
    (tmp_path / "train.json").write_text('["melt-of-others"]')
    with pytest.raises(ValueError, match="tokens of melt-of-others are missing, so they were made from other data; give"):
        cache.read(tokens, tmp_path, "train")


def test_views_show_the_same_second_in_other_ways(folder, tokens):
    (batch,) = cache.read(tokens, folder, "train")
    assert batch.tokens.shape == (2, SECONDS, 4, 16) and batch.seen.sum() == SECONDS - 6  # five lost, and none before the first
    a, b = (batch.tokens[i].astype(np.float32) for i in range(2))
    assert np.abs(a - b).max() > 0.05 and np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.5


def test_streaming_covers_every_second(folder, trained):
    batches = layout.read_split(folder, "test", rerolls=False)
    (predicted,) = streaming.predict(Runner(trained), batches)
    for sense in ("both", "current", "video"):
        p = getattr(predicted, sense)
        assert p.shape == batches[0].label.shape and ((p >= 0) & (p <= 1)).all()
    # Without a frame and without a sample, both senses and current alone agree.
    assert predicted.both[0] == pytest.approx(predicted.current[0], abs=1e-3)


def test_held_steps_repeat_the_second_before(folder, trained):
    batches = layout.read_split(folder, "test", rerolls=False)
    (predicted,) = streaming.predict(Runner(trained), batches, every=2, alone=False)
    np.testing.assert_array_equal(predicted.both[1::2], predicted.both[0::2])
    assert predicted.current is None


def test_verdicts_count_when_a_sense_has_shown_enough(folder, trained):
    batches = layout.read_split(folder, "test", rerolls=False)
    (predicted,) = streaming.predict(Runner(trained), batches, alone=False)
    # Frame 15 of the toy comes at 15.4 s of its clock, long before 30 s of current do.
    assert np.flatnonzero(predicted.decided)[0] == 15
    assert predicted.decided[15:].all()


@pytest.fixture(scope="module")
def result(folder, trained):
    """The toy's one data set serves as mixed and as normal."""
    return calibrate.assess(trained, folder, folder, log=lambda _: None)


@pytest.fixture(scope="module")
def exported(folder, trained, result, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "toy"
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    manifest = release.release(trained, result, batch, out, commit="abc", called={"name": "own"})
    return out, manifest


@pytest.mark.parametrize("bias", [-3.1, -4.6, 0.44, 3.1])
def test_the_agent_takes_what_is_released(folder, trained, result, tmp_path, bias):
    """The release runs the agent's own check, for any bias of the offset, and with a confidence of it."""
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    confidence = offset_calibration.section(offset_cases.CONFIDENCE)
    biased = result | {"metrics": result["metrics"] | {"offset_bias_s": bias}} | ({"offset_confidence": confidence} if bias > 0 else {})
    manifest = release.release_checked(trained, biased, batch, tmp_path / "model", "abc")
    assert (tmp_path / "model" / saved_model.MANIFEST).exists() and not (tmp_path / "model.new").exists()
    offset = manifest["offset"]
    assert offset.get("confidence", confidence) == confidence and ("confidence" in offset) == (bias > 0)
    assert 0 < offset["most_s"] <= min(-offset["shifts_s"][0], offset["shifts_s"][-1])


def test_what_the_agent_refuses_replaces_nothing(folder, trained, result, tmp_path):
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    out = tmp_path / "model"
    out.mkdir()
    (out / "kept").write_text("an earlier release")
    backwards = result | {"decision": result["decision"] | {"enter": 0.5, "exit": 0.7}}
    with pytest.raises(ValueError, match="decision.exit"):
        release.release_checked(trained, backwards, batch, out, "abc")
    assert (out / "kept").exists()
    with pytest.raises(ValueError, match="make build"):
        release.release_checked(trained, result, batch, out, "abc", agent=tmp_path / "missing")
    assert (out / "kept").exists()


def test_a_model_worse_than_one_of_its_senses_is_called_so(exported):
    _, manifest = exported
    m = manifest["metrics"] | {"both_accuracy": 0.93, "current_accuracy": 0.91, "video_accuracy": 0.95, "offset_bias_s": 0.1}
    (warning,) = release.warnings(m)
    assert "93.0 %" in warning and "video alone in 95.0 %" in warning
    assert warning in model_card.page(manifest | {"metrics": m})
    assert not list(release.warnings(m | {"both_accuracy": 0.96}))
    assert "Warning" not in model_card.page(manifest | {"metrics": m | {"both_accuracy": 0.96}})
    assert len(list(release.warnings(m | {"both_accuracy": 0.96, "offset_bias_s": -3.1}))) == 1


def test_the_page_of_figures_is_made_of_the_manifest(exported):
    _, manifest = exported
    page = model_card.page(manifest)
    m = manifest["metrics"]
    assert page.startswith(f"# Figures of own {configs.Product().version}")
    assert f"{m['both_accuracy']:.4f}" in page and f"{m['rule_cv_120_mdr']:.4f}" in page
    assert f"{manifest['decision']['enter']:g}" in page


def test_the_manifest_and_the_page_tell_the_suspicion(exported, result):
    out, manifest = exported
    suspect, m = manifest["decision"]["suspect"], manifest["metrics"]
    assert suspect == result["suspect"] and suspect["exit"] <= suspect["enter"] <= 1
    assert vars(Exported(out).suspect) == suspect
    page = model_card.page(manifest)
    row = next(line for line in page.splitlines() if line.startswith("| `suspected` |"))
    assert f"| {m['suspect_onsets']:.0f} | {m['suspect_onsets_missed']:.0f} |" in row and f"{m['suspect_false_alarms_per_hour']:.3f}" in row
    # A result of an older calibration has none: nothing is written about it.
    sections = release.sections(configs.Product(), {k: v for k, v in result.items() if k != "suspect"}, "abc")
    assert "suspect" not in sections["decision"] and not list(model_card.suspicion(sections))


def test_the_suspicion_can_be_chosen_alone(trained, folder, result):
    older = {k: v for k, v in result.items() if k != "suspect"} | {"metrics": {"both_accuracy": 0.5}}
    again = calibrate.suspected(trained, older, folder, folder, log=lambda _: None)
    assert again["decision"] == result["decision"] and again["metrics"]["both_accuracy"] == 0.5
    assert set(again["suspect"]) == set(result["suspect"]) and "suspect_onsets" in again["metrics"]


def test_the_page_leads_with_other_families(tmp_path):
    figures = {"both_accuracy": 0.9, "onsets": 38.0, "onsets_missed": 4.0, "lone_video_seconds": 7.0}
    (tmp_path / "houses.json").write_text(json.dumps({"metal + arclength": figures}))
    m = release.of_houses([tmp_path / "houses.json"])
    assert m == {"house_metal_arclength_both_accuracy": 0.9, "house_metal_arclength_onsets": 38.0, "house_metal_arclength_onsets_missed": 4.0}
    row = [line for part in model_card.houses(m) for line in part.splitlines() if line.startswith("| metal")]
    assert row == ["| metal | arclength | 0.900 | – | – | – | 38 | 4 | – | – | – | – | – | – |"]
    assert not list(model_card.houses({}))


def test_manifest_names_every_file_by_its_hash(exported):
    out, manifest = exported
    assert json.loads((out / saved_model.MANIFEST).read_text()) == manifest
    there = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert there == set(manifest["files"]) | {saved_model.MANIFEST}
    for path, digest in manifest["files"].items():
        assert hashlib.sha256((out / path).read_bytes()).hexdigest() == digest


def test_signatures_are_static(exported):
    _, manifest = exported
    for signature in manifest["signatures"].values():
        for tensor in (*signature["inputs"].values(), *signature["outputs"].values()):
            assert all(n > 0 for n in tensor["shape"]) and tensor["shape"][0] == 1


def test_golden_vectors_come_back(exported, trained):
    out, manifest = exported
    loaded = saved_model.load(out)
    count = 0
    for name, signature, inputs, outputs in golden.read(out / saved_model.GOLDEN, manifest["signatures"]):
        for again in (loaded.run(signature, inputs), getattr(trained, signature)(**inputs)):
            for key, value in outputs.items():
                np.testing.assert_allclose(again[key], value, atol=manifest["golden"]["tolerance"], err_msg=name)
        assert all(np.isfinite(v).all() for v in outputs.values()), name
        count += 1
    assert count >= 20


def test_a_run_comes_back_from_its_folder(trained, tmp_path):
    checkpoint.save(trained, tmp_path)
    again = checkpoint.load(tmp_path)
    assert dataclasses.asdict(again.config) == dataclasses.asdict(trained.config)
    for a, b in zip(trained.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_come_back_from_an_export(exported, trained):
    out, _ = exported
    again = recover.recovered(out, dataclasses.replace(configs.Toy(), lone_witness=True, offset=2.0, offset_alone=1.0))
    for a, b in zip(recover.weights(trained), recover.weights(again), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_the_result_comes_back_from_a_manifest(exported):
    _, manifest = exported
    sections = release.sections(configs.Toy(), recover.result_of(manifest), manifest["commit"])
    for key in ("decision", "rule", "metrics", "offset"):
        assert sections[key] == manifest[key]


def test_weights_of_another_network_are_refused(exported):
    out, _ = exported
    with pytest.raises(ValueError, match="another network or version; check out the commit"):
        recover.recovered(out, dataclasses.replace(configs.Toy(), hidden=24))
