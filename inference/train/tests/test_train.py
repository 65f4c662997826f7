"""From a data set to a model folder, in a few steps."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from inference.train import configs, export, figures, golden, judge, layout, release, timeline, train


@pytest.fixture(scope="module")
def trained(folder):
    return train.fit(configs.Toy(), layout.read_split(folder, "train"), log=lambda _: None)


def test_a_step_moves_every_weight(folder):
    from inference.train.product import Product
    import keras

    keras.utils.set_random_seed(configs.Toy.seed)
    start = [np.array(v) for v in Product(configs.Toy()).trainable_variables]
    after = train.fit(dataclasses.replace(configs.Toy(), steps=4),
                      layout.read_split(folder, "train"), log=lambda _: None)
    still = [v.path for v, a in zip(after.trainable_variables, start, strict=True) if np.array_equal(v, a)]
    assert not still


def test_training_repeats_by_seed(folder, trained):
    again = train.fit(configs.Toy(), layout.read_split(folder, "train"), log=lambda _: None)
    for a, b in zip(trained.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_judging_covers_every_second(folder, trained):
    batches = layout.read_split(folder, "test", rerolls=False)
    (judged,) = timeline.judge(timeline.Runner(trained), batches)
    for sense in ("both", "current", "video"):
        p = getattr(judged, sense)
        assert p.shape == batches[0].label.shape and ((p >= 0) & (p <= 1)).all()
    # Without a frame and without a sample, the walk and the batch agree.
    assert judged.both[0] == pytest.approx(judged.current[0], abs=1e-3)


def test_held_steps_repeat_the_second_before(folder, trained):
    batches = layout.read_split(folder, "test", rerolls=False)
    (judged,) = timeline.judge(timeline.Runner(trained), batches, every=2, alone=False)
    np.testing.assert_array_equal(judged.both[1::2], judged.both[0::2])
    assert judged.current is None


def test_verdicts_count_when_a_sense_has_shown_enough(folder, trained):
    batches = layout.read_split(folder, "test", rerolls=False)
    (judged,) = timeline.judge(timeline.Runner(trained), batches, alone=False)
    # Frame 15 of the toy comes at 15.4 s of its clock, long before 30 s of current do.
    assert np.flatnonzero(judged.decided)[0] == 15
    assert judged.decided[15:].all()


@pytest.fixture(scope="module")
def result(folder, trained):
    """The toy's one data set serves as mixed and as normal."""
    return judge.assess(trained, folder, folder, log=lambda _: None)


@pytest.fixture(scope="module")
def exported(folder, trained, result, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "toy"
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    manifest = release.release(trained, result, batch, out, commit="abc")
    return out, manifest


def test_the_page_of_figures_is_made_of_the_manifest(exported):
    _, manifest = exported
    page = figures.page(manifest)
    m = manifest["metrics"]
    assert f"{m['both_accuracy']:.4f}" in page and f"{m['rule_cv_120_mdr']:.4f}" in page
    assert f"{manifest['decision']['enter']:g}" in page


def test_manifest_names_every_file_by_its_hash(exported):
    out, manifest = exported
    assert json.loads((out / export.MANIFEST).read_text()) == manifest
    there = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert there == set(manifest["files"]) | {export.MANIFEST}
    for path, digest in manifest["files"].items():
        assert hashlib.sha256((out / path).read_bytes()).hexdigest() == digest


def test_signatures_are_static(exported):
    _, manifest = exported
    for signature in manifest["signatures"].values():
        for tensor in (*signature["inputs"].values(), *signature["outputs"].values()):
            assert all(n > 0 for n in tensor["shape"]) and tensor["shape"][0] == 1


def test_golden_vectors_come_back(exported, trained):
    out, manifest = exported
    loaded = export.load(out)
    count = 0
    for name, signature, inputs, outputs in golden.read(out / export.GOLDEN, manifest["signatures"]):
        for again in (loaded.run(signature, inputs), getattr(trained, signature)(**inputs)):
            for key, value in outputs.items():
                np.testing.assert_allclose(again[key], value, atol=manifest["golden"]["tolerance"], err_msg=name)
        assert all(np.isfinite(v).all() for v in outputs.values()), name
        count += 1
    assert count >= 20


def test_a_run_comes_back_from_its_folder(trained, tmp_path):
    train.save(trained, tmp_path)
    again = train.load(tmp_path)
    assert dataclasses.asdict(again.config) == dataclasses.asdict(trained.config)
    for a, b in zip(trained.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)
