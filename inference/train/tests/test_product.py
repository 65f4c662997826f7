"""The network: masks, missing senses, pooling, losses."""

import numpy as np
import pytest
from keras import ops

from inference.train import configs, fusion, product

rng = np.random.default_rng(1)


def window(n=1):
    return {
        "tokens": rng.standard_normal((n, 16, 4, configs.Toy.dim)).astype(np.float32),
        "frame_mask": np.ones((n, 16), np.float32),
        "current": (15000 + 1500 * rng.standard_normal((n, 240, 3))).astype(np.float32),
        "sample_mask": np.ones((n, 240), np.float32),
        "set_point": np.full((n, 1), 15000, np.float32),
    }


def step(model, w):
    return {k: ops.convert_to_numpy(v) for k, v in model.step(**w).items()}


def test_outputs_keep_their_promises(model):
    out = step(model, window(2))
    assert {k: v.shape for k, v in out.items()} == {
        "p_abnormal": (2, 1), "alignment": (2, 1), "frame_weight": (2, 16)}
    assert (0 < out["p_abnormal"]).all() and (out["p_abnormal"] < 1).all()
    assert (np.abs(out["alignment"]) <= 1).all()
    np.testing.assert_allclose(out["frame_weight"].sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("frames", [0, 1])
@pytest.mark.parametrize("samples", [0, 1])
def test_a_missing_sense_is_a_case_like_any(model, frames, samples):
    w = window()
    w["frame_mask"] *= frames
    w["sample_mask"] *= samples
    out = step(model, w)
    assert all(np.isfinite(v).all() for v in out.values())
    if not frames:
        assert (out["frame_weight"] == 0).all()
    if not (frames and samples):
        assert out["alignment"] == 0


def test_a_masked_sense_cannot_be_heard(model):
    a, b = window(), window()
    for w in (a, b):
        w["frame_mask"] *= 0
    b |= {k: a[k] for k in ("current", "sample_mask", "set_point")}
    np.testing.assert_array_equal(step(model, a)["p_abnormal"], step(model, b)["p_abnormal"])


def test_a_masked_frame_cannot_be_heard(model):
    a = window()
    a["frame_mask"][0, 3] = 0
    b = {k: v.copy() for k, v in a.items()}
    b["tokens"][0, 3] = 1e3
    for name, value in step(model, a).items():
        np.testing.assert_array_equal(value, step(model, b)[name])
    assert step(model, a)["frame_weight"][0, 3] == 0


def test_each_sense_is_heard(model):
    a = window()
    p = step(model, a)["p_abnormal"]
    for sense in ("tokens", "current"):
        assert step(model, a | {sense: window()[sense]})["p_abnormal"] != p


def test_rows_of_a_batch_do_not_mix(model):
    w = window(3)
    alone = step(model, {k: v[1:2] for k, v in w.items()})["p_abnormal"]
    np.testing.assert_allclose(step(model, w)["p_abnormal"][1:2], alone, atol=1e-6)


def test_own_verdicts_do_not_see_the_other_sense(model):
    a, b = window(), window()
    b |= {k: a[k] for k in ("current", "sample_mask", "set_point")}
    np.testing.assert_allclose(model.judge(**a)["logit_current"], model.judge(**b)["logit_current"], atol=1e-6)


def test_pooling_ignores_masked_tokens():
    pool = fusion.AttentionPooling(8)
    pool.build(None)
    h = rng.standard_normal((2, 5, 8)).astype(np.float32)
    mask = np.float32([[1, 1, 0, 0, 1], [0, 0, 0, 1, 0]])
    read, weights = pool(h, mask)
    other = np.where(mask[:, :, None] > 0, h, 99)
    np.testing.assert_allclose(read, pool(other.astype(np.float32), mask)[0], atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(weights).sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(read)[1], h[1, 3], atol=1e-6)


def test_the_product_is_small():
    assert product.Product(configs.Run()).count_params() <= 500_000


def test_spot_loss_is_the_cross_entropy_of_where_to_look():
    spot = np.zeros((1, 2, 64), np.float32)
    spot[0, 0, [3, 4]] = 0.5  # the second frame has no spot
    evidence = np.full((1, 2, 64), 1 / 64, np.float32)
    np.testing.assert_allclose(product.spot_loss(spot, evidence), np.log(64), rtol=1e-3)
    evidence[0, 0] = spot[0, 0]
    np.testing.assert_allclose(product.spot_loss(spot, evidence), np.log(2), rtol=1e-3)


def test_alignment_loss_wants_senses_of_one_label_together():
    label = np.float32([[0], [1], [0], [1]])
    toward = np.where(label > 0, [[1, 0]], [[0, 1]]).astype(np.float32)
    together = product.alignment_loss(label, toward, toward)
    crossed = product.alignment_loss(label, toward, toward[::-1])
    np.testing.assert_allclose(together, np.log(2), rtol=1e-2)  # two equal positives each
    assert crossed > together + 5
    one_class = product.alignment_loss(0 * label, toward, toward)
    assert np.isfinite(one_class)
