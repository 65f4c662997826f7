"""Training a network further: it moves as a whole, and what holds it near the shipped one."""

import dataclasses

import numpy as np
import pytest
from inference.train.adaptation import shipped, student, windows
from inference.train.data import layout

from .test_adapt import FEW, QUIET


@pytest.fixture(scope="module")
def batches(folder):
    return [layout.read_batch(folder, f"batch-{i}", rerolls=False) for i in range(3)]


def test_training_further_moves_the_whole_network_and_is_pulled_to_the_shipped_one(model, batches, eager):
    before, some = [np.array(w) for w in model.weights], windows.drawn(batches[:1], [], model.config, FEW, FEW.steps, 1)
    free = student.Student(shipped.copied(model), model, dataclasses.replace(FEW, pull=0.0, rate=0.01))
    student.train(free, some, FEW.steps, QUIET)
    for a, b in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    x, y = some[0]
    out = free(x)
    unpulled = float(free.compute_loss(x, y, out))
    free.settings = dataclasses.replace(free.settings, pull=2.0)
    assert float(free.moved()) > 0.01
    assert float(free.compute_loss(x, y, out)) == pytest.approx(unpulled + 2 * float(free.moved()), rel=1e-4)
    moved = lambda layer: any(not np.array_equal(a, b) for a, b in zip(of_layer(free.model, layer), of_layer(model, layer), strict=True))
    of_layer = lambda network, layer: [np.array(w) for w in layer(network).weights]
    assert moved(lambda n: n.frames.convolutions[0]) and moved(lambda n: n.current) and moved(lambda n: n.verdicts["video"])
    # The codes stay, and the statistics of the batch normalisation.
    assert not moved(lambda n: n.bank)
    for a, b in zip(free.model.frames.norms, model.frames.norms, strict=True):
        np.testing.assert_array_equal(a.moving_mean, b.moving_mean)


def test_distillation_holds_what_is_right_and_nothing_else():
    label, told = np.float32([[1], [0]]), np.float32([[2, 2, -1], [-2, 3, -2]])
    error = lambda logits: float(student.distillation(label, np.float32(logits), told))
    assert error(told) == 0
    # The teacher is wrong about these two, which may go anywhere.
    assert error([[2, 2, 9], [-2, -9, -2]]) == 0
    assert error([[0, 2, -1], [-2, 3, -2]]) > 0.2


def test_attention_that_is_kept_costs_nothing():
    told = np.full((2, 16, 5), 0.2, np.float32)
    other = told.copy()
    other[0, 3] = [0.9, 0.05, 0.03, 0.01, 0.01]
    seen = np.ones((2, 16), np.float32)
    assert float(student.attention_loss(told, told, seen)) == pytest.approx(0, abs=1e-6)
    assert float(student.attention_loss(other, told, seen)) > 0.01
    seen[0, 3] = 0
    assert float(student.attention_loss(other, told, seen)) == pytest.approx(0, abs=1e-6)
