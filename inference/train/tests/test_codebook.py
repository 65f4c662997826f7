"""The codebook, the local loss and its shifts."""

import numpy as np
import pytest
from inference.train.data import window
from inference.train.models import codebook
from keras import ops


def one_hot(ids):
    return np.eye(codebook.CODES, dtype=np.float32)[ids]


@pytest.fixture(scope="module")
def windows():
    return codebook.windows_of_frames()


@pytest.fixture(scope="module")
def ids():
    """A window in which neighbouring samples have different codes."""
    return (np.arange(window.SAMPLES) * 7 % codebook.CODES)[None]


def test_each_frame_has_three_samples_and_the_last_is_clamped(windows):
    assert (windows.sum(1) == 3).all()
    assert list(np.flatnonzero(windows[0])) == [208, 209, 210]
    assert windows[15, 238] == 1 and windows[15, 239] == 2


def test_counts_are_the_shares_of_the_own_samples(windows, ids):
    share, counted = codebook.counts(one_hot(ids), np.ones((1, 240, 1), np.float32), windows)
    share = ops.convert_to_numpy(share)
    np.testing.assert_allclose(share.sum(2), 1, rtol=1e-6)
    assert counted.shape == (1, 16) and (ops.convert_to_numpy(counted) == 1).all()
    np.testing.assert_allclose(share[0, 0, ids[0, 208:211]], 1 / 3, rtol=1e-6)


def test_a_frame_without_samples_does_not_count(windows, ids):
    valid = np.ones((1, 240, 1), np.float32)
    valid[0, 208:211] = 0
    share, counted = codebook.counts(one_hot(ids), valid, windows)
    assert counted[0, 0] == 0 and (ops.convert_to_numpy(share)[0, 0] == 0).all() and counted[0, 1] == 1


def test_local_loss_by_hand():
    """Two frames, three codes: all mass right costs 0, half of it ln 2."""
    attention = np.float32([[[1, 0, 0], [0.5, 0.25, 0.25]]])
    y = np.float32([[[1, 0, 0], [1, 0, 0]]])
    counted = np.ones((1, 2), np.float32)
    assert float(codebook.local_loss(attention, y, counted)[0]) == pytest.approx(np.log(2) / 2, abs=1e-6)
    assert float(codebook.local_loss(attention, y, counted * np.float32([[1, 0]]))[0]) == pytest.approx(0, abs=1e-6)


def test_uniform_attention_over_three_codes_costs_ln_3():
    attention = np.full((1, 4, 3), 1 / 3, np.float32)
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]][None]
    assert float(codebook.local_loss(attention, y, np.ones((1, 4), np.float32))[0]) == pytest.approx(np.log(3), abs=1e-6)


@pytest.mark.parametrize("late", [-6, -3, 0, 1, 6])
def test_the_shift_of_least_loss_is_the_one_that_was_made(ids, late):
    """Attention sure of the samples `late` after a frame's own; the loss is least at that shift."""
    attention = np.full((1, 16, codebook.CODES), 1e-4, np.float32)
    for k in range(window.FRAMES):
        for i in range(3):
            at = window.samples_of_frame(k)[0] + i + late
            if at < window.SAMPLES:
                attention[0, k, ids[0, at]] += 1 / 3
    curve = codebook.shifted_loss(attention, one_hot(ids), np.ones((1, 240, 1), np.float32),
                               np.ones((1, 16), np.float32), codebook.shift_matrix())
    assert curve.shape == (1, len(codebook.SHIFTS))
    assert codebook.SHIFTS[int(np.argmin(curve[0]))] * window.SAMPLE_HZ == late


def test_shifts_without_any_frame_or_sample_cost_nothing_and_are_no_nan(ids):
    attention = np.full((1, 16, codebook.CODES), 1 / codebook.CODES, np.float32)
    whole = (np.ones((1, 240, 1), np.float32), np.ones((1, 16), np.float32))
    for valid, seen in ((0 * whole[0], whole[1]), (whole[0], 0 * whole[1])):
        curve = ops.convert_to_numpy(codebook.shifted_loss(attention, one_hot(ids), valid, seen, codebook.shift_matrix()))
        assert (curve == 0).all()
    flat = ops.convert_to_numpy(codebook.shifted_loss(attention, one_hot(ids), *whole, codebook.shift_matrix()))
    np.testing.assert_allclose(flat, 0, atol=1e-5)  # frames that know nothing of their own seconds


def test_what_all_frames_expect_alike_says_nothing_of_the_shift():
    """Attention that is the same in every frame, however well it fits, has a flat curve."""
    steady = np.full((1, 16, codebook.CODES), 0.01, np.float32)
    steady[:, :, 3] = 1 - 0.01 * (codebook.CODES - 1)
    ids = np.where(np.arange(window.SAMPLES) > 220, 3, 5)[None]
    curve = ops.convert_to_numpy(codebook.shifted_loss(steady, one_hot(ids), np.ones((1, 240, 1), np.float32),
                                                    np.ones((1, 16), np.float32), codebook.shift_matrix()))
    np.testing.assert_allclose(curve, 0, atol=1e-5)


def test_nearest_is_the_nearest():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 5, codebook.QUANTITIES)).astype(np.float32)
    centres = rng.standard_normal((codebook.CODES, codebook.QUANTITIES)).astype(np.float32)
    found = ops.convert_to_numpy(codebook.nearest(x, centres)).argmax(2)
    wanted = ((x[:, :, None] - centres) ** 2).sum(3).argmin(2)
    np.testing.assert_array_equal(found, wanted)
