"""The slow baseline of the current: what it follows, what it ignores, and that training's is the graph's."""

import dataclasses

import numpy as np
import pytest
from inference.train import models
from inference.train.data import current_baselines, sampler, window
from inference.train.data.records import Batch, Current
from inference.train.models import current_baseline, decision, tokenizers
from inference.train.models.closed_loop import ClosedLoop
from inference.train.training import checkpoint, configs, fit, spans, train
from keras import ops

from .test_systems import drawn

SECONDS = 700


def record(seed=0, level=14000.0, spread=0.08, lost=0.0, seconds=SECONDS):
    """A record whose fluctuation is a share of its level: a number, or one for each sample."""
    rng, count = np.random.default_rng(seed), 2 * seconds + 1
    amps = level * (1 + np.broadcast_to(spread, (count,))[:, None] * rng.normal(size=(count, 3)))
    mask = (rng.random(count) >= lost).astype(np.float32)
    return Current((amps * mask[:, None]).astype(np.float32), mask, np.full(count, 14000.0, np.float32), np.arange(seconds) * 2 + 1)


def batch(currents, label=None):
    label = np.zeros(SECONDS, np.int8) if label is None else label
    return Batch("b", np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64), np.uint8), np.zeros(SECONDS, int), currents, label, np.full(SECONDS, np.nan))


def followed(one, seconds, before=None):
    """The baseline by the graph after each second: (S,4)."""
    layer, state, out = tokenizers.CurrentTokens(8, baseline=True), np.zeros((1, 4), np.float32) if before is None else before, []
    for s in range(seconds):
        amps, mask, set_point = window.current_window(one, s)
        r, valid = tokenizers.relative_current(amps[None], mask[None], set_point[None])
        features, spans = layer.span_features(r, *split(r, valid))
        dropped = ops.mean(features[:, -1, 6:9], axis=1, keepdims=True) / 5.0
        _, state = current_baseline.follow(features[:, :, 11], features[:, -1, 10:11], dropped, features[:, 0, 12:13], spans, state)
        state = ops.convert_to_numpy(state)
        out.append(state[0])
    return np.array(out)


def split(r, valid):
    change, both = tokenizers.changes(r, valid)
    return change, valid, both


@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_the_baseline_of_training_is_that_of_the_graph(lost):
    one = record(lost=lost)
    one.mask[340:460], one.amps[340:460], one.amps[500:530] = 0, 0, 10.0
    kept = current_baselines.tracks(batch([one]))[0]
    graph = followed(one, 300)
    for s in range(current_baselines.STRIDE, 300, current_baselines.STRIDE):
        np.testing.assert_allclose(kept[0, s // current_baselines.STRIDE], graph[s - 1], atol=2e-3)
    np.testing.assert_array_equal(kept[0], kept[1])  # all of it is normal


def test_it_stops_while_abnormal_on_one_track_alone():
    quiet = np.where(np.arange(2 * SECONDS + 1) < 600, 0.08, 0.01)
    label = np.int8(np.arange(SECONDS) >= 300)
    kept = current_baselines.tracks(batch([record(spread=quiet)], label))[0]
    before, end = 300 // current_baselines.STRIDE, -1
    np.testing.assert_array_equal(kept[0, end], kept[0, before])
    assert np.all(kept[1, end, :3] < kept[0, end, :3] - 0.3)


def test_it_follows_a_livelier_current_sooner_than_a_quieter_one():
    usual = np.float32([[0.0, 0.0, 0.0, 900]])
    enough, one = np.ones((1, 3), np.float32), np.ones((1, 1), np.float32)
    move = lambda x: ops.convert_to_numpy(current_baseline.follow(np.full((1, 3), x, np.float32), one, 0 * one, 0 * one, enough, usual)[1])[0]
    assert move(1.0)[0] == pytest.approx(1 / current_baseline.RISE_SECONDS)
    assert move(-1.0)[0] == pytest.approx(-1 / current_baseline.FALL_SECONDS)


@pytest.mark.parametrize(("share", "dropped", "level"), [(0.2, 0.0, 0.0), (1.0, 0.1, 0.0), (1.0, 0.0, -0.9)])
def test_a_window_that_tells_nothing_of_the_work_leaves_it(share, dropped, level):
    usual = np.float32([[0.1, 0.2, 0.3, 50]])
    of = lambda v: np.float32([[v]])
    _, after = current_baseline.follow(np.full((1, 3), -2.0, np.float32), of(share), of(dropped), of(level), np.ones((1, 3), np.float32), usual)
    np.testing.assert_array_equal(after, usual)


def test_a_short_span_without_samples_leaves_its_own_alone():
    usual, one = np.float32([[0.1, 0.2, 0.3, 900]]), np.ones((1, 1), np.float32)
    _, after = current_baseline.follow(np.float32([[-4, 0, 0]]), one, 0 * one, 0 * one, np.float32([[0, 1, 1]]), usual)
    assert after[0, 0] == usual[0, 0] and after[0, 1] != usual[0, 1]


def test_a_broken_number_of_seconds_counts_as_nothing_known():
    one = np.ones((1, 1), np.float32)
    relative, _ = current_baseline.follow(np.zeros((1, 3), np.float32), one, 0 * one, 0 * one, np.ones((1, 3), np.float32), np.float32([[1, 1, 1, -5]]))
    np.testing.assert_array_equal(relative, np.zeros((1, 3, 2)))


@pytest.mark.parametrize("begins", [300, 420])
@pytest.mark.parametrize("how", ["stops", "is not read"])
def test_an_interruption_hardly_moves_it(how, begins):
    one, at = record(), slice(2 * begins, 2 * begins + 160)
    before = current_baselines.tracks(batch([one]))[0][0, begins // current_baselines.STRIDE]
    if how == "stops":
        one.amps[at] = 20.0
    else:
        one.amps[at], one.mask[at] = 0.0, 0.0
    kept = current_baselines.tracks(batch([one]))[0][0, begins // current_baselines.STRIDE :]
    assert np.abs(kept[:, :3] - before[:3]).max() < 0.08


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e9])
def test_a_broken_state_counts_as_nothing_known(broken):
    x, one = np.full((1, 3), -0.5, np.float32), np.ones((1, 1), np.float32)
    enough = np.ones((1, 3), np.float32)
    relative, after = current_baseline.follow(x, one, 0 * one, 0 * one, enough, np.float32([[broken, 0, 0, 900]]))
    np.testing.assert_array_equal(relative, np.zeros((1, 3, 2)))
    np.testing.assert_allclose(after, [[-0.5, -0.5, -0.5, 1]])


def test_what_is_drawn_is_of_the_record_or_nothing():
    kept = current_baselines.tracks(batch([record()]))[0]
    rng = np.random.default_rng(1)
    some = np.array([current_baselines.drawn(rng, kept, 600) for _ in range(400)])
    nothing = some[:, 3] == 0
    assert 0.05 < nothing.mean() < 0.3 and not some[nothing].any()
    assert np.abs(some[~nothing, :3] - kept[0, 120, :3]).max() < 0.6
    assert (some[:, 3] <= 600).all() and (some[~nothing, 3] < 240).any()


SMALL = {"dim": 16, "hidden": 16, "fusion_blocks": 0, "sparse_current": True}


@pytest.fixture(scope="module")
def grown():
    """A network without a baseline, and one that was grown from it."""
    config = configs.Product(**SMALL)
    old, new = models.build(config), models.build(dataclasses.replace(config, current_baseline=True))
    fit.inherit_all(new, old)
    return old, new


def test_a_network_that_gets_a_baseline_begins_as_it_was(grown):
    old, new = grown
    w = drawn(2)
    for state in (np.zeros((2, 4)), [[0.5, 0.5, 0.5, 900], [-1, 0, 1, 30]]):
        out = new.step(**w, current_baseline=np.float32(state))
        np.testing.assert_allclose(out["p_abnormal"], old.step(**w)["p_abnormal"], atol=1e-6)
        assert out["current_baseline"].shape == (2, 4)


def test_a_network_with_a_baseline_hears_it_only_with_the_current(grown):
    _, new = grown
    kernel = new.current.statistics.kernel
    kernel.assign(ops.convert_to_tensor(np.random.default_rng(2).normal(0, 0.3, kernel.shape)))
    usual, lively = np.float32([[0, 0, 0, 900]]), np.float32([[2, 2, 2, 900]])
    w, p = drawn(), lambda w, state: float(new.step(**w, current_baseline=state)["p_abnormal"][0, 0])
    assert p(w, usual) != p(w, lively)
    assert p(w, np.float32([[2, 2, 2, 0]])) == p(w, np.float32([[0, 0, 0, 0]]))  # nothing known
    w["sample_mask"] *= 0
    assert p(w, usual) == p(w, lively)


def test_a_network_with_a_baseline_is_not_trained_to_one_without(grown, folder, tmp_path):
    _, new = grown
    checkpoint.save(new, tmp_path / "new")
    config = dataclasses.replace(configs.ProductFinetune(), **SMALL | {"normalisation": "mean"})
    with pytest.raises(ValueError, match="current_baseline True, now False"):
        train.train_finetune(config, folder, tmp_path / "out", tmp_path / "new", log=lambda _: None)


@pytest.fixture
def furnaces():
    """Records of furnaces of which each is quiet, against its own usual, from second 400 on."""
    quieter = np.where(np.arange(2 * SECONDS + 1) < 800, 1.0, 0.4)
    return [batch([record(seed=n, spread=usual * quieter)], np.int8(np.arange(SECONDS) >= 400)) for n, usual in enumerate((0.05, 0.08, 0.12))]


def test_the_layers_of_the_statistics_learn_before_the_network(furnaces):
    config = configs.Product(**SMALL, current_baseline=True, spans_steps=60)
    network = models.build(config)
    verdict = [np.array(w) for w in network.verdicts["current"].weights]
    spans.pretrain(network, furnaces, log=lambda _: None)
    x, y = sampler.CurrentWindows(furnaces, config, 1, 7, 400)[0]
    found = ops.convert_to_numpy(spans.SpansAlone(network)(x))
    assert ((found > 0) == (y["label"] == 1)).mean() > 0.75  # the first minute after the change looks like both
    for now, then in zip(network.verdicts["current"].weights, verdict, strict=True):
        np.testing.assert_allclose(now, then * (1 - spans.STATISTICS_SHARE), rtol=1e-6)
    assert all(w.trainable for w in network.current.trainable_weights) and network.current.trainable


def test_a_window_of_the_current_alone_says_whether_it_shows(furnaces):
    hidden = dataclasses.replace(furnaces[0].currents[0], blind=np.ones(SECONDS, bool))
    blind = dataclasses.replace(furnaces[0], currents=[hidden])
    config = configs.Product(**SMALL, current_baseline=True)
    x, y = sampler.CurrentWindows([blind], config, 1, 1, 20)[0]
    assert x["current"].shape == (20, 240, 3) and x["current_baseline"].shape == (20, 4)
    np.testing.assert_array_equal(y["shows"], 1 - y["label"])


class Rising:
    """A runner whose p rises at a second, and whose baseline counts its steps."""

    baseline, token_shape = True, (window.FRAMES, 4, 2)
    freezing = decision.Freezing(0.5)

    def __init__(self, rises):
        self.rises, self.seconds = rises, 0

    def encode(self, frames, background):
        rows = len(frames)
        return {"tokens": np.zeros((rows, *self.token_shape[1:]), np.float32), "background": background * 0}

    def step(self, tokens, seen, current, mask, set_point, baseline):
        rows = len(current)
        p = np.full((rows, 1), 0.9 if self.seconds >= self.rises else 0.1, np.float32)
        self.seconds += 1
        after = baseline.copy()
        after[:, 3] += 1
        return {"p_abnormal": p, "alignment": 0 * p, "current_baseline": after}


def test_the_loop_passes_the_baseline_on_and_keeps_it_while_frozen():
    loop = ClosedLoop(Rising(100), [batch([record()])], decision.Decision(5, 0.8, 0.4), 1)
    for second in range(200):
        loop.advance(second)
    assert loop.baselines[0, 50, 3] == 50
    # The verdict of second 100 does not move it any more.
    assert loop.baselines[0, 100, 3] == loop.baselines[0, 199, 3] == 100


def test_seconds_without_a_step_move_the_baseline_too():
    loop = ClosedLoop(Rising(10**6), [batch([record()])], decision.Decision(5, 0.8, 0.4), 4)
    for second in range(200):
        loop.advance(second)
    assert loop.baselines[0, 196, 3] == pytest.approx(196, abs=9)
