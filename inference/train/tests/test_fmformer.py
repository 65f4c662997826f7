"""FmFormer, small and at its published size: size, shapes, masks, export."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from inference.train.data import window
from inference.train.export import fmformer as fmformer_export
from inference.train.export import golden, saved_model
from inference.train.models import fmformer, fmformer_b
from keras import ops

rng = np.random.default_rng(2)


@pytest.fixture(scope="module")
def published():
    keras.utils.set_random_seed(4)
    return fmformer_b.Published()


def raw_window(n=1):
    return {
        "tokens": rng.random((n, fmformer_b.FRAMES, 64, 192)).astype(np.float32),
        "frame_mask": np.ones((n, fmformer_b.FRAMES), np.float32),
        "current": rng.normal(15000, 1500, (n, 240, 3)).astype(np.float32),
        "sample_mask": np.ones((n, 240), np.float32),
        "set_point": np.full((n, 1), 15000, np.float32),
    }


def p(model, window):
    return ops.convert_to_numpy(model.step(**window)["p_abnormal"])


def test_b_has_the_published_size(published):
    assert (fmformer_b.B.video_tokens + 1, fmformer_b.B.current_tokens + 1) == (401, 241)
    assert published.count_params() == pytest.approx(1.92e6, rel=0.005)


def test_b_answers_a_probability_a_row(published):
    out = p(published, raw_window(2))
    assert out.shape == (2, 1) and ((0 < out) & (out < 1)).all()


@pytest.mark.parametrize("sense", ["tokens", "current"])
def test_b_hears_each_sense(published, sense):
    a = raw_window()
    assert p(published, a) != p(published, a | {sense: raw_window()[sense]})


def test_b_ignores_what_is_masked(published):
    a = raw_window()
    a["frame_mask"][0, 4] = 0
    a["sample_mask"][0, 100:110] = 0
    b = {k: v.copy() for k, v in a.items()}
    b["tokens"][0, 4] = 50
    b["current"][0, 100:105] = np.nan
    np.testing.assert_array_equal(p(published, a), p(published, b))
    # A token spans two frames: with one masked it cannot be told from nothing.
    b["tokens"][0, 5] = 50
    np.testing.assert_array_equal(p(published, a), p(published, b))


def test_b_survives_nothing_at_all(published):
    a = raw_window()
    assert np.isfinite(p(published, a | {"frame_mask": 0 * a["frame_mask"], "sample_mask": 0 * a["sample_mask"]}))


def test_coarse_tokens_are_every_second_pixel():
    frame = np.zeros((1, 64, 64, 3), np.float32)
    frame[0, :, :, 0], frame[0, :, :, 1] = np.arange(64)[:, None], np.arange(64)
    tokens = np.repeat(ops.convert_to_numpy(fmformer_b.patches(frame))[:, None], fmformer_b.FRAMES, axis=1)
    place = tokens[0, 0, 8 * 3 + 5].reshape(8, 8, 3)  # row 3, column 5
    np.testing.assert_array_equal(place[:, 0, 0], np.arange(24, 32))
    np.testing.assert_array_equal(place[0, :, 1], np.arange(40, 48))
    coarse = ops.convert_to_numpy(fmformer_b.halved(tokens))[0, 0, 4 * 1 + 2].reshape(8, 8, 3)
    np.testing.assert_array_equal(coarse[:, 0, 0], np.arange(16, 32, 2))
    np.testing.assert_array_equal(coarse[0, :, 1], np.arange(32, 48, 2))


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(4)
    model = fmformer.Small()
    model.build()
    return model


def token_window(n=1):
    return {
        "tokens": rng.standard_normal((n, 16, 4, 64)).astype(np.float32),
        "frame_mask": np.ones((n, 16), np.float32),
        "current": rng.standard_normal((n, 33, 64)).astype(np.float32),
        "current_mask": np.ones((n, 33), np.float32),
    }


def test_small_is_small_and_answers_a_logit_a_row(small):
    assert small.count_params() < 500_000
    assert small(**token_window(3)).shape == (3, 1)


@pytest.mark.parametrize(("sense", "mask", "at"), [("tokens", "frame_mask", 7), ("current", "current_mask", 20)])
def test_small_ignores_what_is_masked(small, sense, mask, at):
    a = token_window()
    b = {k: v.copy() for k, v in a.items()}
    b[sense][0, at] += 10
    assert not np.array_equal(small(**a), small(**b))
    a[mask][0, at] = b[mask][0, at] = 0
    np.testing.assert_array_equal(small(**a), small(**b))


def test_small_survives_nothing_at_all(small):
    a = token_window()
    assert np.isfinite(small(**(a | {"frame_mask": 0 * a["frame_mask"], "current_mask": 0 * a["current_mask"]})))


@pytest.mark.parametrize(("own", "sense"), [(0, "tokens"), (1, "current")])
def test_each_stream_looks_at_the_other(small, own, sense):
    """With a sense's own verdict silenced, it is still heard through the other's."""
    kernel = small.trunk.verdicts[own].kernel
    kept = np.array(kernel)
    kernel.assign(0 * kept)
    try:
        a = token_window()
        assert not np.array_equal(small(**a), small(**(a | {sense: token_window()[sense]})))
    finally:
        kernel.assign(kept)


def test_its_folder_is_the_contracts(tmp_path):
    """A narrow one; make bench writes the wide one and Go reads it."""
    keras.utils.set_random_seed(4)
    model = fmformer_b.Published(dataclasses.replace(fmformer_b.B, dim=12, depth=1, heads=2))
    manifest = fmformer_export.export(model, tmp_path / "b")
    assert json.loads((tmp_path / "b" / saved_model.MANIFEST).read_text()) == manifest
    assert manifest["signatures"]["step"]["inputs"]["tokens"]["shape"] == [1, 10, 64, 192]
    assert manifest["current"]["samples"] == window.SAMPLES
    loaded = saved_model.load(tmp_path / "b")
    for name, signature, inputs, outputs in golden.read(tmp_path / "b" / saved_model.GOLDEN, manifest["signatures"]):
        again = loaded.run(signature, inputs)
        live = getattr(model, signature)(**inputs)
        for key, value in outputs.items():
            np.testing.assert_allclose(again[key], value, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(live[key], value, atol=1e-5, err_msg=name)
