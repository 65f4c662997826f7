"""Batch evaluation over cached tokens: the same windows as in service, offsets, conditions."""

import numpy as np
import pytest
from inference.train.data import cache, layout, window
from inference.train.evaluation import batched, clock_offset, metrics, streaming
from inference.train.models import codebook
from inference.train.models.closed_loop import Runner


@pytest.fixture(scope="module")
def tokenized(folder, tokens):
    (batch,) = cache.read(tokens, folder, "test", rerolls=False)
    return batch


@pytest.mark.parametrize("second", [0, 9, 22, 130, 399])
@pytest.mark.parametrize("shift", [0, -4, 3])
def test_windows_are_those_of_training_and_service(tokenized, second, shift):
    inputs = batched.windows_of(tokenized, [second], shift)
    amps, mask, set_point = window.current_window(tokenized.currents[0], second, shift)
    np.testing.assert_array_equal(inputs["current"][0], amps)
    np.testing.assert_array_equal(inputs["sample_mask"][0], mask)
    np.testing.assert_array_equal(inputs["set_point"][0], set_point)


def test_frames_stand_oldest_first_and_the_missing_are_masked(tokenized):
    inputs = batched.windows_of(tokenized, [5, 60])
    # A frame of x.4 s is the newest at second x + 1; those of 50.4 … 54.4 s are missing.
    assert list(inputs["frame_mask"][0]) == [0] * 11 + [1] * 5
    assert list(inputs["frame_mask"][1]) == [1] * 6 + [0] * 5 + [1] * 5
    np.testing.assert_array_equal(inputs["tokens"][1, -1], tokenized.tokens[0, 60].astype(np.float32))


def test_the_closed_loop_and_the_batch_agree(folder, tokenized, trained):
    """Unless the background freezes, the closed loop and the batch give the same."""
    runner = Runner(trained)
    (fast,) = batched.predict(runner.step, [tokenized], every=1, alone=1)
    assert fast.both.shape == tokenized.label.shape and ((fast.both >= 0) & (fast.both <= 1)).all()
    (slow,) = streaming.predict(runner, layout.read_split(folder, "test", rerolls=False))
    np.testing.assert_array_equal(fast.decided, slow.decided)
    # Current alone does not depend on any background.
    np.testing.assert_allclose(fast.current, slow.current, atol=1e-3)


def test_held_verdicts_repeat(tokenized, trained):
    (predicted,) = batched.predict(Runner(trained).step, [tokenized], every=4)
    np.testing.assert_array_equal(predicted.both[1:396:4], predicted.both[0:396:4])
    assert predicted.current is None and len(predicted.both) == len(tokenized.label)


def test_held_verdicts_are_not_scored(tokenized, trained):
    (predicted,) = batched.predict(Runner(trained).step, [tokenized], every=4, alone=8)
    for sense, every in (("both", 4), ("current", 8)):
        values, labels = metrics.scored([predicted], sense)
        kept = np.arange(0, 400, every)
        kept = kept[(tokenized.label[kept] >= 0) & predicted.decided[kept]]
        np.testing.assert_array_equal(labels, tokenized.label[kept])
        np.testing.assert_array_equal(values, getattr(predicted, sense)[kept])


def test_conditions_take_away_what_they_say(tokenized):
    inputs, rng = batched.windows_of(tokenized, np.arange(130, 200)), np.random.default_rng(1)
    share = lambda name, key: batched.CONDITIONS[name](inputs, rng)[key].mean() / inputs[key].mean()
    assert share("no camera", "frame_mask") == 0 and share("no camera", "sample_mask") == 1
    assert share("no current", "sample_mask") == 0
    assert 0.67 < share("30 % of samples lost", "sample_mask") < 0.73
    assert 0.6 < share("30 % of frames lost", "frame_mask") < 0.8


def test_least_finds_the_bottom_between_grid_points():
    shifts = np.array(codebook.SHIFTS)
    assert clock_offset.least((shifts - 1.2) ** 2) == pytest.approx(1.2)
    assert np.isnan(clock_offset.least(shifts))  # at the edge: nothing found


@pytest.mark.parametrize("injected", [-3, 0, 2])
def test_an_injected_offset_moves_the_window(tokenized, injected):
    """A curve made of the current itself: where the newest sample of each window stands."""
    seen = []

    def losses(inputs):
        seen.append(inputs["current"][:, -1, 0])
        return np.zeros((len(inputs["set_point"]), len(codebook.SHIFTS)))

    clock_offset.offset_curves(losses, tokenized, injected)
    record = tokenized.currents[0]
    at = record.last[np.arange(120, 400, clock_offset.HOP)] + 2 * injected
    inside = at < len(record.amps)
    np.testing.assert_array_equal(seen[0][inside], record.amps[at[inside], 0])


def test_pools_are_means_of_stretches_in_a_row():
    curves = np.arange(10.0)[:, None] * np.ones(len(codebook.SHIFTS))
    assert clock_offset.pooled(curves, 4)[:, 0].tolist() == [1.5, 5.5]
    assert clock_offset.pooled(curves[:3], 4).shape == (0, len(codebook.SHIFTS))


def test_what_is_found_has_the_sign_of_what_was_injected():
    """Current taken 2 s later fits best where it is taken 2 s earlier again."""
    curve = (np.array(codebook.SHIFTS) + 2.25) ** 2
    assert clock_offset.offset_errors(curve[None], 2) == pytest.approx([0.25])


def test_a_dip_shows_through_a_slope_that_hides_it():
    """The least value of the sum lies at the slope's foot, far from the dip."""
    shifts = np.array(codebook.SHIFTS)
    curve = 0.3 * shifts - np.exp(-((shifts - 1.25) ** 2))
    assert np.isnan(clock_offset.least(curve))
    assert clock_offset.least(clock_offset.dip(curve[None])[0]) == pytest.approx(1.25, abs=0.05)


def test_a_dip_is_the_distance_from_the_losses_beside_it():
    curve = np.arange(21.0) ** 2
    # 1.5 s are three shifts: x² − ((x − 3)² + (x + 3)²) / 2; the ends' values go on beyond them.
    assert clock_offset.dip(curve[None])[0, 3:18].tolist() == [-9] * 15
    assert clock_offset.dip(curve[None])[0, 0] == -4.5
    assert (clock_offset.dip(np.ones((2, 21))) == 0).all()


def test_the_figures_tell_the_dip_from_the_least_loss(tokenized):
    """A loss that dips at no shift, whatever is injected, on a slope that hides it from the least loss."""
    shifts = np.array(codebook.SHIFTS)
    sloped = (0.3 * shifts - np.exp(-(shifts**2))).astype("float32")

    class Sloped:
        def infer(self, *inputs):
            return inputs

        def local_losses(self, inputs):
            return sloped + 0 * inputs[4]  # the last of step's inputs, (B,1), gives the curve its rows

    got = clock_offset.found_offsets(Sloped(), [tokenized], [tokenized])
    assert got["within_1_s"][120]["0"] == 1 and got["within_1_s"][120]["3"] == 0
    assert got["by_least_loss"][120] == 0 and abs(got["bias_s"]) < 0.1


def test_events_are_changes_of_some_phase(tokenized):
    assert clock_offset.has_event(tokenized, 60, 180)  # 1.5 kA of noise a sample
    assert not clock_offset.has_event(tokenized, 300, 390)  # 100 A
