"""Losses against cases worked out by hand."""

import numpy as np
import pytest
from inference.train.models import losses
from keras import ops

LABEL = np.float32([[0], [1], [0], [1]])


def test_label_contrast_by_hand():
    """Four windows on two axes: each has one positive at cosine 1 and two negatives at 0."""
    z = np.float32([[1, 0], [0, 1], [1, 0], [0, 1]])
    wanted = -np.log(np.e**10 / (np.e**10 + 2))
    assert float(losses.label_contrast(z, LABEL)) == pytest.approx(wanted, abs=1e-5)


def test_label_contrast_of_the_wrong_gathering():
    z = np.float32([[1, 0], [1, 0], [0, 1], [0, 1]])
    # The positive stands at 0, one negative at 1 and one at 0.
    wanted = -np.log(1 / (np.e**10 + 2))
    assert float(losses.label_contrast(z, LABEL)) == pytest.approx(wanted, rel=1e-5)


def test_label_matrix_of_a_batch_of_four():
    """What each row counts as positive shows in where a change of one vector is felt."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4, 8)).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    scores = z @ z.T / losses.TEMPERATURE
    wanted = []
    for i in range(4):
        others = [j for j in range(4) if j != i]
        total = np.log(np.exp(scores[i, others]).sum())
        wanted += [np.mean([total - scores[i, j] for j in others if LABEL[j] == LABEL[i]])]
    assert float(losses.label_contrast(z, LABEL)) == pytest.approx(np.mean(wanted), rel=1e-5)


@pytest.mark.parametrize("label", [np.zeros((4, 1)), np.ones((4, 1))])
def test_one_class_is_no_nan(label):
    z = np.eye(4, dtype=np.float32)
    assert np.isfinite(float(losses.label_contrast(z, label.astype(np.float32))))
    single = losses.label_contrast(z[:1], label[:1].astype(np.float32))
    assert float(single) == 0


def test_data_contrast_has_its_positives_on_the_diagonal():
    z = np.eye(3, dtype=np.float32)
    together = float(losses.data_contrast(z, z))
    assert together == pytest.approx(-np.log(np.e**10 / (np.e**10 + 2)), abs=1e-5)
    assert float(losses.data_contrast(z, z[[1, 2, 0]])) == pytest.approx(10 + np.log(1 + 2 * np.e**-10), rel=1e-4)


def test_pair_targets():
    paired, there = np.float32([[1], [0], [1], [1]]), np.float32([[1], [1], [1], [0]])
    target = ops.convert_to_numpy(losses.pair_targets(LABEL, paired, there))
    # The own partner and the one other of its label; nobody where a sense is missing.
    np.testing.assert_allclose(target, [[2, 0, 1, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]])


def test_contrast_leaves_out_rows_without_a_partner():
    z = np.eye(3, dtype=np.float32)
    target = np.diag([1.0, 1.0, 0.0]).astype(np.float32)
    assert float(losses.soft_contrast(z, z, target)) == pytest.approx(-np.log(np.e**10 / (np.e**10 + 2)), abs=1e-5)
    assert float(losses.soft_contrast(z, z, 0 * target)) == 0


def test_huber():
    np.testing.assert_allclose(losses.huber(np.float32([0, 0.5, -1, 3])), [0, 0.125, 0.5, 2.5])


def test_verdict_of_logit_zero_is_ln_2():
    assert float(losses.verdict(LABEL, 0 * LABEL)) == pytest.approx(np.log(2), rel=1e-6)
