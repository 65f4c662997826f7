"""Frames fitted to their background, bounded evidence, windows of blind senses, wide augmentation."""

import numpy as np
import pytest
from inference.train import models
from inference.train.data import augment, background, layout, sampler, window
from inference.train.models import fitted, losses, tokenizers, unimodal
from inference.train.training import configs
from keras import ops

rng = np.random.default_rng(0)
SPACE = background.SPACES["fitted"]


def shell():
    """A textured frame, (1,64,64,3) 0–255."""
    texture = np.kron(rng.uniform(60, 150, (16, 16)), np.ones((4, 4)))[..., None]
    return (texture * np.array([1.0, 0.9, 0.8]))[None]


def levels(frame):
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def residual(frame, before):
    z = ops.convert_to_tensor(SPACE.of(levels(frame))[:, None].astype(np.float32))
    known = ops.convert_to_tensor(SPACE.of(levels(before))[:, None].astype(np.float32))
    return [ops.convert_to_numpy(x) for x in fitted.residual_of(known, z)]


def test_the_graph_and_numpy_map_tones_alike():
    frames = rng.integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    frames[1], frames[2] = 255, 0
    x = frames.astype(np.float32) / 255
    tone = np.log((x + background.TONE_MARGIN) / (1 + background.TONE_MARGIN - x)).mean(-1)[:, None]
    z, _ = fitted.tone_map(ops.convert_to_tensor(tone))
    np.testing.assert_allclose(ops.convert_to_numpy(z)[:, 0], SPACE.of(frames), atol=2e-3)


@pytest.mark.parametrize("change", [
    lambda x: 1.5 * x, lambda x: 0.4 * x, lambda x: x * np.array([1.4, 1.0, 0.6]), lambda x: 255 * (x / 255) ** 0.6,
], ids=["brighter", "darker", "warmer", "another tone curve"])
def test_a_swing_of_the_camera_leaves_little_and_a_spot_much(change):
    before = shell()
    after = before.copy()
    after[:, 20:28, 30:38] = np.minimum(after[:, 20:28, 30:38] + 60, 255)
    quiet, _ = residual(change(before), before)
    found, spread = residual(change(after), before)
    spot = found[0, 0, 20:28, 30:38].mean()
    assert np.abs(quiet).mean() < 0.2
    assert spot > 0.5
    assert spot > 4 * spread.item()


def test_the_fit_keeps_the_digits_of_its_numbers():
    """Single precision against double: other kernels round otherwise, and must not change what is seen."""
    before = shell()
    after = 0.7 * before + rng.normal(0, 2, before.shape)
    known, z = (SPACE.of(levels(x))[:, None] for x in (before, after))
    exact = [np.asarray(x) for x in fitted.residual_of(*(ops.convert_to_tensor(x.astype(np.float64), "float64") for x in (known, z)))]
    found = [np.asarray(x) for x in fitted.residual_of(*(ops.convert_to_tensor(x.astype(np.float32)) for x in (known, z)))]
    for a, b in zip(found, exact, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-6)


def test_a_clipping_shell_keeps_its_spot():
    before = 1.9 * shell()
    after = before.copy()
    after[:, 20:28, 30:38] = np.maximum(after[:, 20:28, 30:38], 250)
    found, spread = residual(after, before)
    assert found[0, 0, 20:28, 30:38].mean() > 3 * spread.item()


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_flat_frames_are_numbers(level):
    net = models.build(configs.UnimodalTransfer(dim=16, hidden=16))
    frame = np.full((1, 64, 64, 3), level, np.uint8)
    for known in (-1.0, 0.0, 7.0, 1e6):
        out = net.encode_frame(frame, np.full((1, 64, 64, 1), known, np.float32))
        assert all(np.isfinite(ops.convert_to_numpy(v)).all() for v in out.values())
        assert (ops.convert_to_numpy(out["background"]) >= 0).all()


def test_the_background_brightens_slower_than_it_darkens():
    net = models.build(configs.UnimodalTransfer(dim=16, hidden=16))
    frame = levels(shell())
    z = SPACE.of(frame)[..., None].astype(np.float32)
    for shift, seconds in ((-1.0, SPACE.rise), (1.0, SPACE.fall)):
        following = ops.convert_to_numpy(net.encode_frame(frame, z + shift)["background"])
        np.testing.assert_allclose(following, z + shift - shift / seconds, atol=2e-3)
    assert SPACE.rise > SPACE.fall


@pytest.mark.parametrize("share,least,most", [(0.0, -9.0, -9.0), (0.25, -1.4, -1.38)])
def test_a_blind_sense_hardly_speaks_against(share, least, most):
    net = models.build(configs.UnimodalTransfer(dim=16, hidden=16, blind_share=share))
    there = np.ones((1, 1), np.float32)
    value = lambda logit: ops.convert_to_numpy(net.evidence(ops.convert_to_tensor([[logit]]), there)).item()
    assert least <= value(-9.0) <= most
    assert value(5.0) == pytest.approx(5.0, abs=0.3)
    assert value(0.0) == pytest.approx(0.0, abs=1e-6)
    assert ops.convert_to_numpy(net.evidence(ops.convert_to_tensor([[5.0]]), 0 * there)).item() == 0


def test_what_a_sense_does_not_show_is_not_taught(folder):
    batch = layout.read_split(folder, "train")[0]
    assert batch.hidden is None  # data without truth/
    assert sampler.shows(batch, batch.currents[0], 300) == [1.0, 1.0]
    batch.hidden = batch.label == 1
    batch.currents[0].blind = np.zeros(len(batch.label), bool)
    assert sampler.shows(batch, batch.currents[0], 300) == [1.0, 0.0]
    assert sampler.shows(batch, batch.currents[0], 100) == [1.0, 1.0]
    y = {"label": np.float32([[1], [0]]), "shows": np.float32([[1, 0], [1, 1]])}
    out = {"logit_current": np.float32([[2], [-2]]), "logit_video": np.float32([[-8], [-2]])}
    current, video = (float(x) for x in losses.own_verdicts(configs.UnimodalTransfer(), y, out))
    assert video == pytest.approx(current, abs=1e-5)
    _, video = (float(x) for x in losses.own_verdicts(configs.Unimodal(), y, out))
    assert video > 3


def test_truth_tells_what_each_record_shows(folder, tmp_path):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(folder, data)
    (data / "truth").mkdir()
    rows = lambda near, hidden: "time,kind,near_normal,hidden\n" + "".join(f"{s},flat,{near},{int(hidden and s > 250)}\n" for s in range(400))
    (data / "truth" / "batch-0.csv").write_text(rows(0, 1))
    (data / "truth" / "batch-0_r1.csv").write_text(rows(1, 0))
    batch = layout.read_batch(data, "batch-0")
    assert not batch.currents[0].blind.any() and batch.currents[1].blind.all()
    np.testing.assert_array_equal(batch.hidden, np.arange(400) > 250)


def test_wide_augmentation_keeps_levels_and_moves_the_lamp_into_the_background():
    draws = np.random.default_rng(5)
    settings = augment.draw(draws, 16, 3, lamp=SPACE.lamp)
    settings["lamp"][:, 4] = 1
    frames = np.full((16, 3, 64, 64, 3), 90, np.uint8)
    maps = np.full((16, 3, 64, 64, 1), background.MOST_SPREADS, np.float32)
    out, lit = (ops.convert_to_numpy(x) for x in augment.pixels(frames, maps, settings))
    assert out.min() >= 0 and out.max() <= 255 and np.isfinite(out).all()
    assert (lit.max(axis=(1, 2, 3, 4)) > background.MOST_SPREADS + 1).mean() > 0.8
    unstarted = ops.convert_to_numpy(augment.pixels(frames, np.full_like(maps, -1), settings)[1])
    np.testing.assert_array_equal(unstarted, -1)


def test_draws_of_the_comparison_do_not_change():
    plain, wide = (augment.draw(np.random.default_rng(2), 4, 3, lamp) for lamp in (None, 2.5))
    for name, value in plain.items():
        np.testing.assert_array_equal(value, wide[name])


def test_thinned_meters_keep_a_third_or_more():
    masks = [augment.thinned(np.random.default_rng(n)) for n in range(60)]
    shares = np.array([m.mean() for m in masks])
    assert np.isclose(shares[:, None], [1 / 3, 0.5], atol=1e-4).any(axis=0).all()
    assert shares.min() > 0.3 and 0.55 < shares[shares > 0.51].mean() < 0.75
    assert all(m.shape == (window.SAMPLES,) for m in masks)


@pytest.mark.parametrize("every", [2, 3])
def test_a_slow_meter_does_not_read_as_a_quiet_current(every):
    current = (15000 + 1500 * rng.standard_normal((1, 240, 3))).astype(np.float32)
    mask, set_point = np.zeros((1, 240), np.float32), np.full((1, 1), 15000, np.float32)
    mask[:, ::every] = 1
    r, valid = tokenizers.relative_current(current, mask, set_point)
    change, both = tokenizers.changes(r, valid)
    read = lambda sparse: ops.convert_to_numpy(tokenizers.CurrentTokens(16, sparse=sparse).span_features(r, change, valid, both)[0])
    assert read(False)[0, :, 3:6].max() < -3
    np.testing.assert_array_equal(read(True)[0, :, 3:6], 0)
    np.testing.assert_array_equal(read(True)[0, :, -1], 0)


def test_places_are_taught_by_the_mask():
    spot = np.zeros((1, 2, 64), np.float32)
    spot[0, 0, 5], spot[0, 0, 6] = 0.97, 0.03  # a sliver does not take a place
    knows = np.full((1, 2, 64), -9, np.float32)
    knows[0, 0, 5] = 9
    assert float(losses.glow(spot, knows)) < 1e-3
    assert float(losses.glow(spot, 0 * knows)) == pytest.approx(np.log(2), abs=1e-5)
    misses, alarms = knows.copy(), knows.copy()
    misses[0, 0, 5], alarms[0, 1, 5] = -9, 9
    assert float(losses.glow(spot, misses)) == pytest.approx(losses.RARE * float(losses.glow(spot, alarms)), rel=0.01)


def test_the_first_query_attends_where_a_place_glows():
    net = models.build(configs.UnimodalTransfer(dim=16, hidden=16))
    x = rng.normal(size=(2, 64, 16)).astype(np.float32)
    before, _ = (ops.convert_to_numpy(v) for v in net.frames.scores(x))
    net.frames.glow.bias.assign([12.0])
    scores, glow = (ops.convert_to_numpy(v) for v in net.frames.scores(x))
    np.testing.assert_allclose(glow, ops.convert_to_numpy(net.frames.glow(x))[:, :, 0], atol=1e-5)
    np.testing.assert_allclose(scores[:, 0] - before[:, 0], 12, atol=1e-5)
    np.testing.assert_allclose(scores[:, 1:], before[:, 1:], atol=1e-5)
    # Keys and queries, each by itself, then the score of the places.
    asked = ops.convert_to_numpy(ops.matmul(net.frames.keys(x + net.frames.place), ops.transpose(net.frames.queries)))
    np.testing.assert_allclose(scores[:, 0], asked[:, :, 0] + glow, atol=1e-4)
    np.testing.assert_allclose(scores[:, 1:], np.moveaxis(asked, 2, 1)[:, 1:], atol=1e-4)


def test_the_quantities_of_the_whole_frame_tell_of_the_places():
    net = models.build(configs.UnimodalTransfer(dim=16, hidden=16))
    glow = np.zeros((1, 64), np.float32)
    glow[0, 19] = 12
    dark, lit = (ops.convert_to_numpy(net.frames.described(np.zeros((1, 17), np.float32), ops.convert_to_tensor(g)))[0, 17:]
                 for g in (0 * glow, glow))
    np.testing.assert_allclose(dark, 0)
    np.testing.assert_allclose(lit, [3.6, 0, 0.3 * 12 / 64], rtol=1e-5)


def test_only_networks_with_places_are_taught_them(folder):
    batch = layout.read_split(folder, "train")[0]
    for config, there in ((configs.UnimodalTransfer, True), (configs.Unimodal, False)):
        c = config(dim=16, hidden=16, windows=2, frames=2)
        x, y = sampler.PixelWindows([batch], c, 1, 0)[0]
        net = models.build(c)
        assert ("glow" in net.place_losses(y, net(x))) is there
