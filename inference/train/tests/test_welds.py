"""Welds: files that are read or refused, folds, windows, injected shifts, and what is known."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from inference.train.comparison import welds_confidence, welds_offset, welds_ridge, welds_rows
from inference.train.data import welds, window

ROOT = pathlib.Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "weld"
SECONDS = 40
FEATURES = len(welds_offset.FEATURES)


def synthetic(name, coupled=True, seconds=SECONDS, late=0, seed=None):
    """A weld whose middle glows with its current, `late` samples after the record says so; without coupling, with another's."""
    rng = np.random.default_rng(sum(map(ord, name)) if seed is None else seed)
    count = round(seconds * welds.FRAME_HZ)
    drive = np.convolve(rng.standard_normal(2 * count + 4), [0.25, 0.5, 0.25], "same")[: 2 * count]
    seen = drive if coupled else np.random.default_rng(99).permutation(drive)
    glow = seen.reshape(count, 2).mean(1)[:, None, None]
    place = np.exp(-((np.arange(30)[:, None] - 15) ** 2 + (np.arange(30) - 15) ** 2) / 40)
    frames = 100 + 25 * glow * place + 4 * rng.standard_normal((count, 30, 30))
    current = welds.delayed(200 + 10 * drive + rng.standard_normal(2 * count), late)
    return welds.Weld(name, np.clip(frames, 0, 255).astype(np.uint8), current.astype(np.float32), np.full(2 * count, 20, np.float32))


def save(folder, weld, **change):
    """Writes a weld as a file, with arrays changed; None leaves one out."""
    arrays = {"frames": weld.frames, "current": weld.current, "voltage": weld.voltage} | change
    path = folder / f"weld-{weld.name}.npz"
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@pytest.fixture(scope="module")
def known():
    return [synthetic(name) for name in ("a", "b", "c", "d")]


@pytest.fixture(scope="module")
def ridge(known):
    return welds_ridge.fit_ridge(known[:3], welds_ridge.fit_components(known[:3]))


# Reading.


def test_a_folder_is_read_by_name_and_whatever_the_length(tmp_path, known):
    save(tmp_path, known[1])
    save(tmp_path, synthetic("A longer one", seconds=50))
    read = welds.read(tmp_path)
    assert [w.name for w in read] == ["A longer one", "b"]
    assert read[0].seconds == 50 and read[1].current.dtype == np.float32
    np.testing.assert_array_equal(read[1].frames, known[1].frames)


def with_nan(values, at):
    values = values.copy()
    values[at] = np.nan
    return values


BAD = {
    "colour": (lambda w: {"frames": np.zeros((500, 30, 30, 3), np.uint8)}, "frames are uint8 .*not uint8 \\(T,30,30\\)"),
    "another size": (lambda w: {"frames": np.zeros((500, 64, 64), np.uint8)}, "not uint8 \\(T,30,30\\)"),
    "floats": (lambda w: {"frames": w.frames.astype(np.float32)}, "frames are float32"),
    "no frame": (lambda w: {"frames": w.frames[:0], "current": w.current[:0], "voltage": w.voltage[:0]}, "lasts 0.0 s"),
    "no current": (lambda w: {"current": None}, "current missing"),
    "no current and voltage": (lambda w: {"current": None, "voltage": None}, "current and voltage missing"),
    "one sample a frame": (lambda w: {"current": w.current[::2]}, "current is .*two samples a frame"),
    "a table": (lambda w: {"current": w.current[:, None]}, "current is "),
    "a sample too many": (lambda w: {"voltage": np.append(w.voltage, w.voltage[:1])}, "voltage is "),
    "whole numbers": (lambda w: {"current": w.current.astype(int)}, "current is int64"),
    "NaN": (lambda w: {"current": with_nan(w.current, 7)}, "current is not finite at sample 7"),
    "infinite": (lambda w: {"voltage": np.full_like(w.voltage, np.inf)}, "voltage is not finite at sample 0"),
    "short": (lambda w: {"frames": w.frames[:100], "current": w.current[:200], "voltage": w.voltage[:200]}, "lasts 8.0 s, and at least 15 s"),
    "dead": (lambda w: {"current": np.full_like(w.current, 200)}, "current is constant"),
    "objects": (lambda w: {"frames": np.array([None] * 9)}, "not a file of plain arrays"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_by_name_with_the_remedy(case, tmp_path, known):
    change, text = BAD[case]
    path = save(tmp_path, known[0], **change(known[0]))
    with pytest.raises(ValueError, match=text) as e:
        welds.read(tmp_path)
    assert str(path) in str(e.value) and any(remedy in str(e.value) for remedy in ("take the file away", "take it away"))


@pytest.mark.parametrize("content", [b"", b"not a weld", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(content, tmp_path):
    (tmp_path / "weld-x.npz").write_bytes(content)
    with pytest.raises(ValueError, match="weld-x.npz.*(copy the file anew|take it away)"):
        welds.read(tmp_path)


def test_a_file_that_is_cut_off_is_refused(tmp_path, known):
    path = save(tmp_path, known[0])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="weld-a.npz"):
        welds.read(tmp_path)


def test_a_folder_without_welds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no file"):
        welds.read(tmp_path)
    with pytest.raises(ValueError, match="holds no file"):
        welds.read(tmp_path / "absent")


def test_two_files_of_one_weld_are_refused(tmp_path, known):
    save(tmp_path, known[0]).rename(tmp_path / "a.npz")
    save(tmp_path, known[0])
    with pytest.raises(ValueError, match="a.npz: another file holds a weld a too; rename one"):
        welds.read(tmp_path)


# Folds and windows.


@pytest.mark.parametrize(("count", "folds"), [(17, 6), (25, 6), (8, 6), (3, 6), (2, 2)])
def test_each_weld_lies_in_one_fold_and_neighbours_in_different_ones(count, folds):
    dealt = welds.folds(list(range(count)), folds)
    assert sorted(n for fold in dealt for n in fold) == list(range(count))
    assert len(dealt) == min(count, folds) and max(map(len, dealt)) - min(map(len, dealt)) <= 1
    assert not any(n + 1 in fold for fold in dealt for n in fold)
    assert dealt == welds.folds(list(range(count)), folds)


def test_one_weld_makes_no_folds(known):
    with pytest.raises(ValueError, match="two welds or more"):
        welds.folds(known[:1], 6)


def test_stretches_lie_within_the_weld_with_every_shift(known):
    weld = known[0]
    for seconds in welds_offset.LENGTHS:
        spans = welds.stretches(weld, seconds, welds_offset.MARGIN)
        assert (spans[:, 1] - spans[:, 0] == round(seconds * welds.FRAME_HZ)).all()
        assert 2 * spans.min() - welds_offset.MARGIN >= welds.SAMPLE_HZ * welds.EDGE
        assert 2 * spans.max() + welds_offset.MARGIN <= len(weld.current) - welds.SAMPLE_HZ * welds.EDGE
    assert len(welds.stretches(weld, 60, 0)) == 0


def test_a_window_is_that_of_a_furnace():
    count = 400
    features = np.arange(count, dtype=np.float32)[:, None] * np.ones(welds_ridge.FEATURES, np.float32)
    x = welds_rows.inputs_at(features, np.arange(2 * count, dtype=np.float32) / 1e3, last=200)
    assert x["tokens"].shape == (window.FRAMES, window.FRAME_TOKENS, welds_ridge.FEATURES // window.FRAME_TOKENS)
    swing = (x["current"][:, 0] / welds_rows.SET_POINT - 1) / welds_rows.SHARE * 1e3
    for k in range(window.FRAMES):
        first, second, _ = window.samples_of_frame(k)
        frame = x["tokens"][k, 0, 0]
        assert (round(float(swing[first])), round(float(swing[second]))) == (2 * frame, 2 * frame + 1)
    early = welds_rows.inputs_at(features, np.zeros(2 * count, np.float32), last=4)
    assert early["frame_mask"].sum() == 5 and early["sample_mask"].sum() == 10


def test_the_high_pass_takes_off_slow_change_and_a_short_circuit_is_clipped():
    slow = np.linspace(100, 300, 1000)
    assert np.abs(welds.deviation(slow)[welds.SMOOTHED : -welds.SMOOTHED]).max() < 1e-6
    noisy = slow + np.random.default_rng(1).standard_normal(1000)
    shorted = noisy.copy()
    shorted[500] += 500
    assert np.abs(welds.swing(shorted)).max() == welds.MOST_SPREADS
    np.testing.assert_allclose(welds.swing(shorted)[100:400], welds.swing(noisy)[100:400], rtol=0.05)


# The injected shift.


@pytest.mark.parametrize("late", [-18, -6, -1, 0, 3, 6, 18])
def test_a_record_that_is_delayed_is_answered_with_the_delay(late, ridge):
    weld = synthetic("held out", late=late)
    assert welds_offset.own(ridge.reading(weld), weld)[0] == late


@pytest.mark.parametrize("late", welds_offset.INJECTED)
def test_an_injected_shift_moves_the_curve_as_a_delayed_record_does(late, ridge):
    weld = synthetic("held out")
    delayed = dataclasses.replace(weld, current=welds.delayed(weld.current, late))
    span = welds.stretches(weld, 10, welds_offset.MARGIN)[3]
    np.testing.assert_allclose(ridge.reading(weld).curve(*span, late=late), ridge.reading(delayed).curve(*span), atol=0.02)


def test_codes_tell_the_local_loss_of_every_shift():
    rng = np.random.default_rng(2)
    attention = rng.dirichlet(np.ones(4), 200)
    share = rng.dirichlet(np.ones(4), 400)
    reading, first, last = welds_offset.Codes(np.log(attention), share), 60, 130
    for late in (0, 5, -6):
        curve = reading.curve(first, last, late)
        for place, shift in enumerate(welds_offset.SHIFTS):
            own = share[2 * np.arange(first, last) + shift - late]
            known = np.log(attention[first:last]) - np.log(attention[first:last].mean(0))
            assert curve[place] == pytest.approx((known * own).sum(1).mean(), abs=1e-6)


def test_similarities_answer_with_the_delay():
    rng = np.random.default_rng(3)
    current = rng.standard_normal((300, 8))
    current /= np.linalg.norm(current, axis=1, keepdims=True)
    video = np.stack([np.roll(current, 4, axis=0), np.zeros_like(current)], axis=1)  # frame t shows the current of t − 4 frames
    reading = welds_offset.Similarities(video, current)
    assert welds_offset.answer(reading.curve(50, 250)) == -8
    assert welds_offset.answer(reading.curve(50, 250, late=6)) == -2


def test_readings_together_answer_as_most_of_them_and_tell_how_many_do(ridge):
    weld = synthetic("held out")
    one, another = ridge.reading(weld), ridge.reading(synthetic("held out", late=10))
    both = welds_offset.Together([one, one, another])
    span = welds.stretches(weld, 10, welds_offset.MARGIN)[0]
    told, measured = welds_offset.features(both, *span, 0)
    assert told == 0 and measured[welds_offset.FEATURES.index("readings")] == pytest.approx(2 / 3, abs=1e-3)
    stranger, unlike = welds_offset.features(both.displaced(), *span, 0)
    assert unlike[welds_offset.FEATURES.index("gap")] < measured[welds_offset.FEATURES.index("gap")]


def test_every_stretch_of_a_coupled_weld_is_right(ridge):
    judged = welds_offset.assess(ridge.reading(synthetic("held out", late=4)), synthetic("held out", late=4))
    assert judged["own"] == 4
    assert all(welds_offset.found_right(each).all() and len(each) for each in judged["stretches"].values())
    json.dumps(judged)


# What is known.


def pooled(judged, seconds=10):
    each = [e for j in judged for e in j["stretches"][str(seconds)]]
    return np.array([e[1:] for e in each]), welds_offset.found_right(each), np.array([e for j in judged for e in j["strangers"][str(seconds)]])


def test_a_weld_without_coupling_is_unknown_and_one_with_coupling_known(known, ridge):
    assess = lambda weld: welds_offset.assess(ridge.reading(weld), weld)
    confidence = welds_confidence.fit(*pooled([assess(known[3]), assess(synthetic("e"))]))
    assert confidence.known(pooled([assess(synthetic("f"))])[0]).mean() > 0.8
    assert confidence.known(pooled([assess(synthetic("g", coupled=False))])[0]).mean() <= 0.1


def test_nothing_is_known_without_stretches_or_without_a_right_one():
    rng = np.random.default_rng(1)
    for right in (np.zeros(0), np.ones(5), np.zeros(100)):
        confidence = welds_confidence.fit(rng.random((len(right), FEATURES)), right, rng.random((5, FEATURES)))
        assert not confidence.known(rng.random((50, FEATURES))).any()


def test_the_threshold_keeps_the_share_that_is_wanted():
    p = np.linspace(1, 0, 1000)
    right = (np.arange(1000) < 400) | (np.arange(1000) % 2 == 0)
    chosen = welds_confidence.threshold(p, right)
    assert right[p >= chosen].mean() >= welds_confidence.WANTED + welds_confidence.RESERVE > right[p >= chosen - 0.01].mean()
    assert welds_confidence.threshold(p, np.zeros(1000)) == welds_confidence.NEVER


# The real welds.


@pytest.fixture(scope="module")
def real():
    if not REAL.exists():
        pytest.skip(f"the arc welds are absent: {REAL}")
    return welds.read(REAL)


def test_the_real_welds_are_read(real):
    assert len(real) >= 2 and all(w.seconds > 40 for w in real)


def test_the_ridge_finds_the_offset_of_a_real_weld_that_moves_much(real):
    held = next((w for w in real if w.name == "60"), None)
    if held is None:
        pytest.skip("weld 60 is absent")
    others = [w for w in real if w is not held][:8]
    ridge = welds_ridge.fit_ridge(others, welds_ridge.fit_components(others))
    judged = welds_offset.assess(ridge.reading(held), held)
    assert abs(judged["own"]) <= 3 and welds_offset.found_right(judged["stretches"]["20"]).mean() > 0.8
