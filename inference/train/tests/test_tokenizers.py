"""No input produces NaN, and amplitude is kept."""

import numpy as np
import pytest
from inference.train.data import background
from inference.train.models import tokenizers
from keras import ops

rng = np.random.default_rng(0)


def whole():
    current = (15000 + 1500 * rng.standard_normal((1, 240, 3))).astype(np.float32)
    return current, np.ones((1, 240), np.float32), np.full((1, 1), 15000, np.float32)


def broken_currents():
    current, mask, set_point = whole()
    yield "whole", current, mask, set_point
    yield "all masked", current, 0 * mask, set_point
    yield "no current", 0 * current, mask, set_point
    yield "nothing at all", 0 * current, 0 * mask, 0 * set_point
    yield "no set-point", current, mask, 0 * set_point
    yield "one phase dead", current * np.float32([1, 0, 1]), mask, set_point
    yield "no numbers", np.full_like(current, np.nan), mask, set_point
    yield "infinite", np.full_like(current, np.inf), mask, set_point
    yield "negative", -current, mask, set_point
    yield "absurd", np.full_like(current, 1e30), mask, set_point
    yield "absurd set-point", current, mask, np.full_like(set_point, 1e30)
    yield "constant", np.full_like(current, 15000), mask, set_point


@pytest.mark.parametrize("name,current,mask,set_point", broken_currents(), ids=lambda v: v if isinstance(v, str) else "")
def test_current_tokens_are_numbers(model, name, current, mask, set_point):
    tokens, token_mask = model.current(current, mask, set_point)
    assert np.isfinite(ops.convert_to_numpy(tokens)).all()
    assert set(np.unique(ops.convert_to_numpy(token_mask))) <= {0.0, 1.0}


def test_what_a_masked_sample_holds_is_no_matter(model):
    current, mask, set_point = whole()
    mask[0, 50:60] = 0
    changed = current.copy()
    changed[0, 50:60] = 123
    for a, b in zip(model.current(current, mask, set_point), model.current(changed, mask, set_point), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_dead_sample_counts_as_masked(model):
    current, mask, set_point = whole()
    dead, without = current.copy(), mask.copy()
    dead[0, 50] = np.nan
    without[0, 50] = 0
    np.testing.assert_array_equal(model.current(dead, mask, set_point)[0],
                                  model.current(current, without, set_point)[0])


def test_spans_read_the_coefficient_of_variation(model):
    current, mask, set_point = whole()
    r, valid = tokenizers.relative_current(current, mask, set_point)
    change, both = tokenizers.changes(r, valid)
    features = ops.convert_to_numpy(model.current.span_features(r, change, valid, both)[0])[0]
    for row, seconds in zip(features, model.current.SPANS, strict=True):
        last = current[0, -2 * seconds:]
        cv = last.std(axis=0) / last.mean(axis=0)
        np.testing.assert_allclose(row[:3], np.log(cv + 1e-3) + 2.75, atol=0.01)


def test_normalisation_folds_into_the_kernel(model):
    x = rng.standard_normal((2, 64, 64, 5)).astype(np.float32)
    convolution, norm = model.frames.convolutions[0], model.frames.norms[0]
    apart = norm(convolution(x), training=False)
    np.testing.assert_allclose(tokenizers.convolved(x, convolution, norm, False), apart, atol=1e-4)


def test_amplitude_survives(model):
    """A quiet current must not look like a lively one scaled down."""
    current, mask, set_point = whole()
    quiet = 15000 + (current - 15000) / 10
    lively_tokens = ops.convert_to_numpy(model.current(current, mask, set_point)[0])
    quiet_tokens = ops.convert_to_numpy(model.current(quiet, mask, set_point)[0])
    assert np.abs(lively_tokens - quiet_tokens).mean() > 0.05


def test_an_unknown_set_point_is_the_mean(model):
    current, mask, _ = whole()
    mean = np.float32([[current.mean()]])
    np.testing.assert_allclose(model.current(current, mask, 0 * mean)[0],
                               model.current(current, mask, mean)[0], atol=1e-3)


@pytest.mark.parametrize("level", [0, 1, 128, 255])
@pytest.mark.parametrize("start", [-1.0, 0.0, 1.0, 1e30])
def test_frame_tokens_are_numbers(model, level, start):
    frame = np.full((1, 64, 64, 3), level, np.uint8)
    for out in model.frames(frame, np.full((1, 64, 64, 1), start, np.float32))[:3]:
        assert np.isfinite(ops.convert_to_numpy(out)).all()


def test_evidence_sums_to_one(model):
    frame = rng.integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    _, _, evidence, _ = model.frames(frame, np.full((3, 64, 64, 1), -1, np.float32))
    np.testing.assert_allclose(ops.convert_to_numpy(evidence).sum((1, 2)), 1, atol=1e-5)


def test_the_background_starts_from_the_frame_and_follows_in_a_minute():
    frame = rng.integers(50, 200, (1, 64, 64, 3)).astype(np.uint8)
    grey = background.grey(frame)[..., None]
    known, following = tokenizers.follow(np.full_like(grey, -1), grey)
    np.testing.assert_allclose(known, grey)
    np.testing.assert_allclose(following, grey, atol=1e-6)
    state = 0 * grey
    for _ in range(60):
        _, state = tokenizers.follow(state, grey)
    # One time constant leaves (1 − 1/60)^60 = 0.365 of the difference.
    np.testing.assert_allclose(state, grey * (1 - (1 - 1 / 60) ** 60), rtol=1e-4)


def test_training_and_graph_agree_on_grey():
    frame = rng.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    balanced, _ = tokenizers.normalized_frame(frame)
    np.testing.assert_allclose(ops.convert_to_numpy(balanced).mean(-1), background.grey(frame), atol=1e-5)


def test_exposure_does_not_reach_the_residual():
    frame = rng.integers(20, 100, (1, 64, 64, 3)).astype(np.uint8)
    a, _ = tokenizers.normalized_frame(frame)
    b, _ = tokenizers.normalized_frame(frame * np.uint8(2))
    np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(b), atol=1e-4)
