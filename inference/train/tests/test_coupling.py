"""How well a frame predicts the current around it."""

import types

import numpy as np
import pytest
from inference.train.comparison import coupling
from inference.train.data.layout import Current

rng = np.random.default_rng(4)


def batch(follows, lag=0.0, seconds=600):
    """Frames whose one feature is the change of the current `follows` samples earlier; the current stamped later by lag."""
    shift = round(lag * 2)
    amps = 15000 + 1000 * rng.standard_normal((2 * seconds + 40, 3))
    step = np.abs(np.diff(amps, axis=0, prepend=amps[:1])).mean(1)
    last = 2 * np.arange(seconds) + 20
    tokens = np.zeros((1, seconds, 4, 2), np.float32)
    tokens[0, :, 0, 0] = step[last + shift - follows] + 20 * rng.standard_normal(seconds)
    return types.SimpleNamespace(
        currents=[Current(amps, np.ones(len(amps)), np.full(len(amps), 15000.0), last)], lags=[lag],
        label=np.zeros(seconds), seen=np.ones(seconds), tokens=tokens)


@pytest.mark.parametrize("lag", [0.0, 1.5])
def test_the_sample_that_a_frame_follows_is_found(lag):
    found = coupling.told(coupling.pairs([batch(3, lag)]), coupling.pairs([batch(3, lag)]))
    assert coupling.LAGS[found.argmax()] == -3 and found.max() > 0.8
    assert found[np.abs(coupling.LAGS + 3) > 1].max() < 0.1


def test_what_is_not_there_is_left_out():
    gaps = batch(3)
    gaps.currents[0].mask[200:400] = 0
    gaps.seen[:50] = 0
    tokens, changes = coupling.pairs([gaps])
    assert 0 < len(tokens) == len(changes) < len(coupling.pairs([batch(3)])[0])
