"""From a data set to a model folder, in a few steps."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from inference.train import configs, export, golden, layout, release, timeline, train


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
    (judged,) = timeline.judge(trained, batches)
    for sense in ("both", "current", "video"):
        p = getattr(judged, sense)
        assert p.shape == batches[0].label.shape and ((p >= 0) & (p <= 1)).all()
    # Without a frame and without a sample, the walk and the batch agree.
    assert judged.both[0] == pytest.approx(judged.current[0], abs=1e-3)


@pytest.fixture(scope="module")
def exported(folder, trained, tmp_path_factory):
    result = {"decision": {"mean_seconds": 10, "enter": 0.6, "exit": 0.3, "hold_seconds": 10},
              "rule": {"cv_120": 0.05, "cv_45": 0.04}, "metrics": {"both_accuracy": 0.5}}
    out = tmp_path_factory.mktemp("model") / "toy"
    batch = layout.read_split(folder, "test", rerolls=False)[0]
    manifest = release.release(trained, result, batch, out, commit="abc")
    return out, manifest


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


def test_a_run_comes_back_from_its_folder(folder, trained, tmp_path):
    trained.save_weights(tmp_path / train.WEIGHTS)
    config = dataclasses.asdict(trained.config)
    (tmp_path / train.RESULT).write_text(json.dumps({"config": config}))
    again, _ = release.load_run(tmp_path)
    for a, b in zip(trained.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b)
