"""Training windows: what they hold and what augmentation may change."""

import dataclasses

import numpy as np
import pytest
from inference.train.data import augment, background, cache, layout, lookalike, sampler, window
from inference.train.training import configs

from .conftest import ONSET


@pytest.fixture(scope="module")
def batch(folder):
    return layout.read_split(folder, "train")[0]


@pytest.fixture(scope="module")
def data(batch):
    return sampler.PixelWindows([batch], configs.Toy(), steps=2, seed=5)


def test_a_window_ends_at_its_second(batch):
    record = batch.currents[0]
    amps, mask, set_point = window.current_window(record, 300)
    assert amps.shape == (240, 3) and mask.all() and set_point == 15000
    np.testing.assert_array_equal(amps[-1], record.amps[record.last[300]])
    np.testing.assert_array_equal(amps[0], record.amps[record.last[300] - 239])


def test_before_the_start_a_window_is_masked(batch):
    amps, mask, _ = window.current_window(batch.currents[0], 40)
    # 40 s are 80 samples, less the 10 that the record lacks.
    assert mask[:160].sum() == 0 and mask[160:].sum() == 70
    assert (amps[mask == 0] == 0).all()
    _, mask, set_point = window.current_window(batch.currents[0], 0)
    assert mask.sum() <= 1 and set_point in (0, 15000)


def test_batches_are_balanced_and_repeat_by_seed(data):
    x, y = data[0]
    assert y["label"].mean() == 0.5
    again, _ = data[0]
    other, _ = data[1]
    assert all((x[k] == again[k]).all() for k in x)
    assert (x["current"] != other["current"]).any()


def test_spot_and_picture_stay_together(data):
    """Where the spot is marked the picture is red, also when flipped and shifted."""
    checked = 0
    for step in range(2):
        x, y = data[step]
        for i, m in zip(*np.nonzero(y["spot"].max(axis=2) > 0.9), strict=True):
            row, column = divmod(int(y["spot"][i, m].argmax()), 8)
            # The picture is shifted by up to 2 px, the coarser map of the spot is not.
            rows, columns = (slice(max(8 * k - 2, 0), 8 * k + 10) for k in (row, column))
            place = x["frames"][i, m, rows, columns]
            assert place[..., 0].max() == 250
            checked += 1
    assert checked > 0


def test_both_senses_are_never_dropped_together():
    rng = np.random.default_rng(0)
    kept = np.array([augment.drop_sense(rng, 0.5) for _ in range(200)])
    assert kept.any(axis=1).all() and not kept.all(axis=0).any()


def test_augmentation_keeps_the_fluctuation():
    rng = np.random.default_rng(0)
    for _ in range(50):
        amps = (15000 + 300 * rng.standard_normal((240, 3))).astype(np.float32)
        before = (amps.std(axis=0) / amps.mean(axis=0)).mean()
        mask, set_point = np.ones(240, np.float32), np.full(1, 15000, np.float32)
        augment.current(rng, amps, mask, set_point)
        after = (amps.std(axis=0) / amps.mean(axis=0)).mean()
        np.testing.assert_allclose(after, before, rtol=1e-4)
        assert mask.any()


def test_pixels_stay_pixels():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 3, 64, 64, 3)).astype(np.uint8)
    background = np.full((4, 3, 64, 64, 1), -1, np.float32)
    settings = augment.draw(rng, 4, 3)
    out, after = (np.asarray(x) for x in augment.pixels(frames, background, settings))
    assert out.shape == frames.shape and out.min() >= 0 and out.max() <= 255
    np.testing.assert_array_equal(after, background)


def test_decoding_moves_a_flat_picture_by_some_levels_only():
    rng = np.random.default_rng(0)
    frames = np.full((32, 2, 64, 64, 3), 120, np.float32)
    out = np.asarray(augment.decoded(frames, augment.draw(rng, 32, 2)))
    assert 0 < np.abs(out - 120).max() < 18


def test_a_window_that_has_begun_has_its_newest_frames():
    rng = np.random.default_rng(0)
    counts = set()
    for _ in range(300):
        slots, given = augment.seen_slots(rng, 6)
        assert len(set(slots)) == 6 and (np.diff(slots) > 0).all()
        assert given.any() and (np.diff(given.astype(int)) >= 0).all()
        counts.add(int(given.sum()))
    assert counts == set(range(1, 7))


def test_backgrounds_stand_still_or_follow(batch):
    frozen, following = background.tracks(batch).astype(np.float32)
    late = 390 // background.STRIDE
    spot, beside = (slice(18, 26), slice(42, 50)), (slice(40, 60), slice(0, 20))
    # In 150 s the following one has taken the spot in, the frozen one has not.
    assert following[late][spot].mean() > frozen[late][spot].mean() + 0.2
    np.testing.assert_allclose(following[late][beside].mean(), frozen[late][beside].mean(), atol=0.05)
    before = ONSET // background.STRIDE
    np.testing.assert_array_equal(frozen[before], following[before])


def test_one_class_is_refused(batch):
    normal = dataclasses.replace(batch, label=np.zeros_like(batch.label))
    with pytest.raises(ValueError, match="only one class"):
        sampler.PixelWindows([normal], configs.Toy(), steps=1, seed=1)


@pytest.fixture(scope="module")
def tokenized(folder, tokens):
    return cache.read(tokens, folder, "train")


def test_windows_of_tokens_say_what_belongs_together(tokenized):
    config = dataclasses.replace(configs.Toy(), windows=64, drop_sense=0.3)
    x, y = sampler.TokenWindows(tokenized, config, steps=1, seed=5)[0]
    assert y["label"].mean() == 0.5
    here = (x["sample_mask"].max(1) > 0) & (x["frame_mask"].max(1) > 0)
    assert not x["there"][:, 0][~here].any()
    assert 0 < x["paired"].mean() < 1 and 0 < x["there"].mean() < 1


def test_a_late_current_is_put_back_on_the_videos_clock(tokenized):
    """The record's known lag moves the window, so the same samples meet the same frames."""
    config = dataclasses.replace(configs.Toy(), own_current=1.0, late=0.0, drop_sense=0.0)
    on_time, late = tokenized[0], dataclasses.replace(tokenized[0], lags=[1.5, 0.0])
    a, b = (sampler.TokenWindows([t], config, steps=1, seed=5)[0][0] for t in (on_time, late))
    assert (a["paired"] == 1).all() and (b["paired"] == 1).all()
    np.testing.assert_array_equal(a["current"][:, 103:200], b["current"][:, 100:197])


def test_the_frames_own_current_is_given_whatever_the_window_shows(tokenized):
    """Of a re-rolled, delayed or missing current the frames know nothing; of their own the local loss may ask."""
    shown = lambda **changes: sampler.TokenWindows(tokenized, dataclasses.replace(
        configs.Toy(), windows=64, drop_sense=0.3, **changes), steps=1, seed=5)[0][0]
    other, same = shown(own_current=0.0, late=1.0), shown(own_current=1.0, late=0.0)
    assert not other["paired"].any() and other["own_mask"].any(1).all()
    assert (other["own_current"] != other["current"]).any((1, 2)).all()
    # Where the window shows the frames' own current, augmentation has only turned its phases and gain.
    both = (same["own_mask"] * same["sample_mask"])[:, :, None] > 0
    totals = [(same[k] * both).sum((1, 2)) for k in ("current", "own_current")]
    np.testing.assert_allclose(*totals, rtol=0.06)
    batch = tokenized[0]
    alone = dataclasses.replace(configs.Toy(), own_current=1.0, late=0.0, drop_sense=0.0)
    lagged = dataclasses.replace(batch, lags=[1.5, 0.0])
    a, b = (sampler.TokenWindows([t], alone, steps=1, seed=5)[0][0]["own_current"] for t in (batch, lagged))
    np.testing.assert_array_equal(a[:, 103:200], b[:, 100:197])


def test_views_are_of_one_second_and_one_label(tokenized):
    config = dataclasses.replace(configs.Toy(), views=True)
    x, y = sampler.TokenWindows(tokenized, config, steps=1, seed=5)[0]
    np.testing.assert_array_equal(y["label"][:4], y["label"][4:])
    assert (x["tokens"][:4] != x["tokens"][4:]).any()


def glowing(batch):
    """The index of the frame that glows most, and its places."""
    at = int(batch.spot.sum(axis=1).argmax())
    return batch.frames[at], batch.spot[at]


def test_a_lookalike_stands_in_every_frame_and_in_the_background(batch):
    donor, spot = glowing(batch)
    frames = np.full((5, 64, 64, 3), 90, np.uint8)
    maps = np.stack([background.FITTED.of(f) for f in frames])
    rng = np.random.default_rng(4)
    mixed, lit = lookalike.paste(rng, frames, maps, background.FITTED, donor, spot)
    changed = np.abs(mixed.astype(int) - 90).max(axis=-1) > 20             # (5,64,64)
    assert changed[0].any() and (frames == 90).all()
    place = changed.all(axis=0)
    # It neither moves nor grows: nearly all of it is in every frame.
    assert place.sum() > 0.8 * changed.any(axis=0).sum()
    # The background holds it as bright as the first frame does, and nothing else.
    own = background.FITTED.of(mixed[0])
    np.testing.assert_allclose(lit[:, place].mean(), own[place].mean(), rtol=0.2)
    assert np.abs(lit[:, place] - maps[:, place]).mean() > 1
    untouched = (mixed == 90).all(axis=(0, 3))
    np.testing.assert_array_equal(lit[:, untouched], maps[:, untouched])


def test_a_background_that_has_not_started_has_no_lookalike(batch):
    donor, spot = glowing(batch)
    frames, maps = np.full((2, 64, 64, 3), 90, np.uint8), np.full((2, 64, 64), -1, np.float32)
    _, lit = lookalike.paste(np.random.default_rng(4), frames, maps, background.FITTED, donor, spot)
    np.testing.assert_array_equal(lit, maps)


def test_normal_windows_have_lookalikes_as_often_as_the_config_says(batch):
    """Nothing in the toy melt's normal frames is as red as its spot."""
    shares = []
    for share in (0.0, 0.5, 1.0):
        data = sampler.PixelWindows([batch], dataclasses.replace(configs.Toy(), lookalike=share, windows=64), 1, 5)
        x, y = data[0]
        red = x["frames"][..., 0].max(axis=(1, 2, 3)) > 150
        assert red[y["label"][:, 0] == 1].mean() > 0.9
        shares.append(red[y["label"][:, 0] == 0].mean())
    assert shares[0] == 0 and 0.3 < shares[1] < 0.7 and shares[2] > 0.9
