"""Properties of each compared network by construction, with initial weights."""

import dataclasses

import numpy as np
import pytest
from inference.train import models
from inference.train.data import window
from inference.train.models import codebook, fusion, onellm, qformer
from inference.train.models.product import Product
from inference.train.models.qformer import QUERIES
from inference.train.training import configs
from keras import ops

rng = np.random.default_rng(1)
SMALL = {"dim": 16, "hidden": 16}


def small(kind, **changes):
    return models.build(kind(**SMALL, **changes))


def drawn(n=1, seed=3):
    r = np.random.default_rng(seed)
    return {
        "tokens": r.standard_normal((n, 16, 4, 16)).astype(np.float32),
        "frame_mask": np.ones((n, 16), np.float32),
        "current": (15000 + 1500 * r.standard_normal((n, 240, 3))).astype(np.float32),
        "sample_mask": np.ones((n, 240), np.float32),
        "set_point": np.full((n, 1), 15000, np.float32),
    }


def numbers(out):
    return {k: ops.convert_to_numpy(v) for k, v in out.items()}


@pytest.fixture(scope="module", params=[r for r in configs.ROWS if r not in (
    configs.MLFLabel, configs.MLFData, configs.CLMLF, configs.AlignLocal)] + [configs.Unimodal], ids=lambda r: r().name)
def model(request):
    return small(request.param)


def test_outputs_keep_their_promises(model):
    out = numbers(model.step(**drawn(2)))
    assert {k: out[k].shape for k in ("p_abnormal", "alignment", "frame_weight")} == {
        "p_abnormal": (2, 1), "alignment": (2, 1), "frame_weight": (2, 16)}
    assert (0 < out["p_abnormal"]).all() and (out["p_abnormal"] < 1).all()
    assert (np.abs(out["alignment"]) <= 1).all()
    np.testing.assert_allclose(out["frame_weight"].sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("frames", [0, 1])
@pytest.mark.parametrize("samples", [0, 1])
def test_a_missing_sense_is_a_case_like_any(model, frames, samples):
    w = drawn()
    w["frame_mask"] *= frames
    w["sample_mask"] *= samples
    out = numbers(model.step(**w))
    assert all(np.isfinite(v).all() for v in out.values())
    if not frames:
        assert (out["frame_weight"] == 0).all()
    if not (frames and samples):
        assert out["alignment"] == 0


@pytest.mark.parametrize("sense", ["video", "current"])
def test_a_masked_sense_cannot_be_heard(model, sense):
    a, b = drawn(seed=3), drawn(seed=4)
    inputs = {"video": ("tokens",), "current": ("current",)}[sense]
    for w in (a, b):
        w[{"video": "frame_mask", "current": "sample_mask"}[sense]] *= 0
    b |= {k: a[k] for k in a if k not in inputs}
    np.testing.assert_array_equal(model.step(**a)["p_abnormal"], model.step(**b)["p_abnormal"])


def test_a_masked_frame_cannot_be_heard_whatever_it_holds(model):
    a = drawn()
    a["frame_mask"][0, 3] = 0
    b = {k: v.copy() for k, v in a.items()}
    b["tokens"][0, 3] = np.nan
    for name, value in numbers(model.step(**a)).items():
        np.testing.assert_array_equal(value, numbers(model.step(**b))[name], err_msg=name)


def test_each_sense_is_heard(model):
    a, b = drawn(seed=3), drawn(seed=4)
    p = model.infer(**a)["logit"]
    if isinstance(model, Product):  # its correction starts from nothing
        model.correct.kernel.assign(rng.standard_normal(model.correct.kernel.shape))
    for sense in ("tokens", "current"):
        assert model.infer(**a | {sense: b[sense]})["logit"] != p


def test_rows_of_a_batch_do_not_mix(model):
    w = drawn(3)
    alone = model.step(**{k: v[1:2] for k, v in w.items()})["p_abnormal"]
    np.testing.assert_allclose(model.step(**w)["p_abnormal"][1:2], alone, atol=1e-5)


@pytest.mark.parametrize("kind", configs.ROWS, ids=lambda r: r().name)
def test_full_size_is_at_most_half_a_million_parameters(kind):
    assert models.build(kind()).count_params() <= 500_000


def test_an_unknown_system_is_named():
    with pytest.raises(ValueError, match="unknown system 'Perceiver'; name one of AlignVSR"):
        models.build(configs.Run(system="Perceiver"))


# Row 1.


@pytest.fixture(scope="module")
def former():
    return small(configs.QFormer)


def passed(former, task, c, v):
    ones = lambda x: np.ones(x.shape[:2], np.float32)
    queries, current, _ = former.transform(task, c, ones(c), v, ones(v))
    return ops.convert_to_numpy(queries), ops.convert_to_numpy(current)


def sequences():
    return (rng.standard_normal((1, n, 16)).astype(np.float32) for n in (34, 17))


def test_queries_hear_the_current_in_matching_only(former):
    c, v = sequences()
    other = c.copy()
    other[0, 5] += 1
    queries = lambda task, x: passed(former, task, x, v)[0]
    for task in ("contrast", "generate"):
        np.testing.assert_array_equal(queries(task, c), queries(task, other))
    assert np.abs(queries("match", c) - queries("match", other)).max() > 1e-4


def test_current_does_not_hear_the_video_in_contrast(former):
    c, v = sequences()
    np.testing.assert_array_equal(passed(former, "contrast", c, v)[1], passed(former, "contrast", c, v + 1)[1])
    assert np.abs(passed(former, "generate", c, v)[1] - passed(former, "generate", c, v + 1)[1]).max() > 1e-5


@pytest.mark.parametrize("t", [3, 17, 29])
def test_generation_does_not_look_ahead(former, t):
    c, v = sequences()
    later = c.copy()
    later[0, t + 1 :] += 1  # later patches and the statistics of the whole window
    before, after = passed(former, "generate", c, v)[1], passed(former, "generate", later, v)[1]
    np.testing.assert_array_equal(before[0, : t + 1], after[0, : t + 1])
    assert np.abs(before[0, t + 1] - after[0, t + 1]).max() > 1e-4


def test_without_places_in_time_the_order_of_frames_is_no_matter(former):
    c, v = sequences()
    order = np.concatenate([[0], 1 + rng.permutation(16)])
    np.testing.assert_allclose(passed(former, "match", c, v)[0], passed(former, "match", c, v[:, order])[0], atol=1e-5)


def test_masks_have_the_shape_of_the_three_tasks():
    m = qformer.masks()
    assert (m["match"] == 0).all()
    assert (m["contrast"][:QUERIES, QUERIES:] < 0).all() and (m["contrast"][QUERIES:, :QUERIES] < 0).all()
    assert (np.diag(m["generate"]) == 0).all()


# Rows 2 and 3.


@pytest.fixture(scope="module")
def aligned():
    model = small(configs.AlignLocal)
    model.bank.centres.assign(rng.standard_normal(model.bank.centres.shape))
    return model


def test_attention_over_the_codes_sums_to_one(aligned):
    attention = ops.convert_to_numpy(aligned.infer(**drawn(2))["attention"])
    np.testing.assert_allclose(attention.sum(2), 1, atol=1e-5)


def test_the_codebook_is_frozen(aligned):
    assert not [v.path for v in aligned.trainable_variables if "bank" in v.path]


def test_another_order_of_the_codebook_changes_the_order_of_the_attention_only(aligned):
    before = aligned.infer(**drawn(2))
    order = rng.permutation(32)
    kept = [np.array(w) for w in aligned.bank.weights]
    for w, k in zip(aligned.bank.weights, kept, strict=True):
        w.assign(k[order])
    after = aligned.infer(**drawn(2))
    np.testing.assert_allclose(before["logit"], after["logit"], atol=1e-5)
    for name in ("attention", "code"):
        np.testing.assert_allclose(ops.convert_to_numpy(before[name])[:, :, order], after[name], atol=1e-5)
    np.testing.assert_allclose(aligned.local_losses(before), aligned.local_losses(after), atol=1e-4)
    for w, k in zip(aligned.bank.weights, kept, strict=True):
        w.assign(k)


def test_the_local_loss_asks_for_the_codes_of_the_frames_own_current(aligned):
    """Uniform attention costs ln 32 for any codes; attention on the own code alone costs nothing."""
    w = drawn(2)
    own = {"own_current": w["current"], "own_mask": w["sample_mask"], "own_set_point": w["set_point"]}
    seen = np.ones((2, 16), np.float32)
    loss = lambda attention, seen=seen: float(aligned.bank.local_loss(own, attention, seen))
    assert loss(np.full((2, 16, 32), 1 / 32, np.float32)) == pytest.approx(np.log(32), abs=1e-4)
    unit = aligned.infer(**w)["code"]
    share = ops.convert_to_numpy(codebook.counts(unit, np.ones((2, 240, 1), np.float32), codebook.windows_of_frames())[0])
    entropy = -(share * np.log(share + 1e-8)).sum(2).mean()
    assert loss(share) == pytest.approx(entropy, abs=1e-4)
    # A window without frames asks for nothing, and one without any of them is not divided by.
    wrong = np.concatenate([share[:1], np.full((1, 16, 32), 1 / 32, np.float32)])
    first = np.float32([[1.0], [0.0]]) * seen
    assert loss(wrong, first) == pytest.approx(-(share[0] * np.log(share[0] + 1e-8)).sum(1).mean(), abs=1e-4)
    assert loss(wrong, 0 * seen) == 0


# Rows 4–7.


def test_mean_pooling_counts_what_is_there():
    x = np.float32([[[1], [2], [9]]])
    assert fusion.mean(x, np.float32([[1, 1, 0]]))[0, 0] == 1.5
    assert fusion.mean(x, np.float32([[0, 0, 0]]))[0, 0] == 0


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


# Row 8.


@pytest.mark.parametrize("kind", onellm.ROUTERS)
def test_router_weights_sum_to_one(kind):
    router = onellm.Router(16, 3, kind)
    router.build(None)
    x, mask = rng.standard_normal((5, 7, 16)).astype(np.float32), np.ones((5, 7), np.float32)
    weights = ops.convert_to_numpy(router(x, mask))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    if kind == "constant":
        np.testing.assert_allclose(weights, 1 / 3, atol=1e-6)
    if kind == "sparse":
        np.testing.assert_allclose(np.sort(weights, axis=1), np.tile([0, 0, 1], (5, 1)), atol=1e-6)


def test_one_expert_is_that_expert():
    model = small(configs.OneLLMOneExpert)
    x, mask = rng.standard_normal((2, 7, 16)).astype(np.float32), np.ones((2, 7), np.float32)
    told, weights = model.upm(x, mask, sense="video")
    np.testing.assert_allclose(weights, 1)
    y = np.concatenate([np.tile(model.upm.queries["video"], (2, 1, 1)), x], axis=1)
    alone = model.upm.experts[0](y, np.zeros((1, 1, 1, 1), np.float32))[:, :onellm.QUERIES]
    np.testing.assert_allclose(told, alone, atol=1e-6)


def test_the_mean_of_frames_leaves_out_those_not_seen():
    model = small(configs.OneLLMMean)
    w = drawn()
    w["frame_mask"][0, 4:] = 0
    tokens, mask = model.frames_of(model.sequences(**w))
    assert tokens.shape == (1, 5, 16) and (ops.convert_to_numpy(mask) == 1).all()
    whole = ops.convert_to_numpy(model.sequences(**w).v)[0, 1:].reshape(16, 4, 16)
    np.testing.assert_allclose(tokens[0, 1:], whole[:4].mean(0), atol=1e-5)


def test_balance_is_least_when_all_carry_alike():
    assert float(onellm.balance(np.full((4, 3), 1 / 3, np.float32))) == pytest.approx(1)
    assert float(onellm.balance(np.eye(3, dtype=np.float32)[[0, 0, 0]])) == pytest.approx(3)


@pytest.mark.parametrize("change", [{"router": "random"}, {"frame_tokens": "first"}])
def test_a_wrong_choice_is_named(change):
    with pytest.raises(ValueError, match="unknown"):
        models.build(dataclasses.replace(configs.OneLLM(), **change))


# Row 10.


def test_surprise_looks_at_what_came_not_at_what_was_foreseen():
    """The prediction of a patch is made without that patch: changing it changes only its own target's error."""
    model = small(configs.Product)
    w = drawn()
    s = model.sequences(**w)
    _, counted = model.forecast_errors(s, s.v)
    assert counted.shape == (1, 4) and (ops.convert_to_numpy(counted) == 1).all()
    w["sample_mask"][0, -8:] = 0
    _, counted = model.forecast_errors(model.sequences(**w), s.v)
    assert list(ops.convert_to_numpy(counted)[0]) == [1, 1, 1, 0]


def test_the_product_says_where_in_time_the_senses_fit():
    out = numbers(small(configs.Product).step(**drawn(2)))
    assert out["local_loss"].shape == (2, 21) and np.isfinite(out["local_loss"]).all()
    assert out["surprise"].shape == (2, 1) and (out["surprise"] >= 0).all()


def test_own_verdicts_do_not_see_the_other_sense():
    a, b = drawn(seed=3), drawn(seed=4)
    b |= {k: a[k] for k in ("current", "sample_mask", "set_point")}
    for kind in (configs.Product, configs.Unimodal):
        m = small(kind)
        np.testing.assert_allclose(m.infer(**a)["logit_current"], m.infer(**b)["logit_current"], atol=1e-6)


def test_each_sense_alone_is_the_pass_with_the_other_masked():
    m = small(configs.Product, fusion_blocks=0)
    for part in (m.correct, *m.verdicts.values()):
        part.kernel.assign(0.3 * rng.standard_normal(part.kernel.shape))
    for value in m.register.values():
        value.assign(rng.standard_normal(value.shape))
    w = drawn(4)
    w["frame_mask"][1, :9] = 0
    w["sample_mask"][2, :130] = 0
    out = numbers(m.step(**w))
    for sense, other in (("current", "frame_mask"), ("video", "sample_mask")):
        masked = numbers(m.step(**w | {other: 0 * w[other]}))["p_abnormal"]
        np.testing.assert_allclose(out[f"p_{sense}"], masked, atol=1e-6)
        assert np.abs(masked - out["p_abnormal"]).max() > 1e-3
    out = numbers(m.step(**w | {"frame_mask": 0 * w["frame_mask"]}))
    assert (out["p_video"] == -1).all()
    np.testing.assert_allclose(out["p_current"], out["p_abnormal"], atol=1e-6)


def test_a_lone_witness_is_not_outvoted():
    m = small(configs.Product, fusion_blocks=0, lone_witness=True, offset=1.5, offset_alone=0.5)
    plain = small(configs.Product, fusion_blocks=0)
    for part in (plain.correct, *plain.verdicts.values()):
        part.kernel.assign(0.3 * rng.standard_normal(part.kernel.shape))
    m.set_weights(plain.get_weights())
    w = drawn(8)
    w["frame_mask"][0], w["sample_mask"][1] = 0, 0
    of = lambda p: np.log(p / (1 - p))
    before, out = numbers(plain.step(**w)), numbers(m.step(**w))
    known = {s: np.where(before[f"p_{s}"] < 0, 0, before[f"p_{s}"]) for s in ("current", "video")}
    greatest = np.maximum(before["p_abnormal"], np.maximum(known["current"], known["video"]))
    assert (greatest > before["p_abnormal"] + 1e-3).any()
    np.testing.assert_allclose(greatest[:2], before["p_abnormal"][:2], atol=1e-6)
    offset = np.where(np.arange(8)[:, None] < 2, 0.5, 1.5)  # one sense is missing in the first two
    np.testing.assert_allclose(of(out["p_abnormal"]), of(greatest) - offset, atol=1e-4)
    for sense in known:
        there = before[f"p_{sense}"] >= 0
        np.testing.assert_allclose(of(out[f"p_{sense}"][there]), of(before[f"p_{sense}"][there]) - offset[there], atol=1e-4)
        assert (out["p_abnormal"] >= out[f"p_{sense}"] - 1e-6).all() and (out[f"p_{sense}"][~there] == -1).all()


def test_with_fusion_blocks_no_sense_is_alone():
    assert not {"p_current", "p_video"} & small(configs.ProductFusion).step(**drawn()).keys()


def test_frames_of_each_patch():
    model = small(configs.Product)
    assert model._patch_frames.sum() == window.FRAMES - np.sum(window.frame_slots() < 26)
    assert (model._patch_frames.sum(1) >= 3).all()
