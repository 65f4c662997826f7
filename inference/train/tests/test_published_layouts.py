"""The published layouts, on small files of the same form."""

import csv
import datetime
import json
import shutil

import numpy as np
import pytest
from inference.train.data import layout, records, tables

from . import published
from .published import GLOWS


@pytest.fixture(scope="module", params=["V1, version 5", "V1, version 7.3", "V2"])
def data(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    if request.param == "V2":
        published.write_v2(folder)
    else:
        published.write_v1(folder / "SaveToAvi-4-19.mat", hdf5="7.3" in request.param)
    return folder


def test_a_stretch_of_frames_is_a_batch_of_its_own(data):
    assert layout.names(data, "train") == ["SaveToAvi-4-19@0-599"]
    assert layout.names(data, "val") == ["SaveToAvi-4-19@1280-1599"]
    assert layout.names(data, "test") == ["SaveToAvi-4-19@680-1199"]


def test_frames_and_masks_stand_upright_at_64_by_64(data):
    (batch,) = layout.read_split(data, "test")  # 170 … 299 s
    at = batch.frame_at[100]
    frame = batch.frames[at]
    assert batch.frames.dtype == np.uint8 and frame.shape == (64, 64, 3)
    # Rows 24…47 of 96 and columns 80…95 of 128: rows 16…31, columns 40…47 of 64.
    assert (frame[16:32, 40:48, 0] == 240).all() and (frame[:, :40, 0] == 40).all() and (frame[:16, :, 0] == 40).all()
    spot = batch.spot[at].reshape(8, 8)
    assert spot[2:4, 5].tolist() == [64, 64] and spot.sum() == 128


def test_both_senses_keep_one_clock(data):
    (batch,) = layout.read_split(data, "test")
    record = batch.currents[0]
    for second in (40, 100, 129):
        told = int(batch.frames[batch.frame_at[second]][0, 0, 1])
        drawn = (record.amps[record.last[second], 0] - 12000) / 10
        assert told == (170 + second) % 200 and drawn == 170 + second


def test_a_second_is_abnormal_if_any_pixel_of_its_mask_is(data):
    (batch,) = layout.read_split(data, "test")
    onset = GLOWS - 170
    assert (batch.label[:onset] == 0).all() and (batch.label[onset:] == 1).all()
    assert np.isnan(batch.onset[onset - 1]) and batch.onset[-1] == onset


def test_no_sample_comes_from_another_stretch(data):
    (batch,) = layout.read_split(data, "val")  # 320 … 399 s
    record = batch.currents[0]
    assert record.mask[: record.last[0]].sum() == 0
    assert (record.amps[record.mask > 0, 0] >= 12000 + 3200).all()
    assert record.mask[record.last[1] : record.last[-1]].mean() == 1


# V2 as the simulator writes it, with parts missing.


@pytest.fixture
def copy(folder, tmp_path):
    """The toy set of conftest.py, to be spoilt."""
    return shutil.copytree(folder, tmp_path / "v2")


def test_labels_are_derived_from_masks(copy, folder):
    shutil.rmtree(copy / "labels")
    batch, told = layout.read_batch(copy, "batch-0"), layout.read_batch(folder, "batch-0")
    # The spot has its first pixel at 210 s; a second shows the frame of the one before.
    assert batch.label[210] == 0 and batch.label[211] == 1 and batch.onset[300] == 211
    assert (batch.label[51:56] == -1).all()  # no frame, no word
    np.testing.assert_array_equal(batch.frame_at[:399], told.frame_at[:399])
    np.testing.assert_array_equal(batch.currents[0].amps[:790], told.currents[0].amps[:790])


def by_the_clock(path, name, began=published.BEGAN):
    """Rewrites a column's seconds as dates."""
    with open(path, newline="") as file:
        names, *rows = csv.reader(file)
    at = names.index(name)
    for row in rows:
        if row[at]:
            row[at] = (began + datetime.timedelta(seconds=float(row[at]))).isoformat(" ")
    path.write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")


def test_times_may_be_dates_throughout(copy, folder):
    for path in (copy / "timestamps" / "batch-0.csv", *(copy / "currents").glob("batch-0*.csv")):
        by_the_clock(path, "time")
    for name in ("time", "onset"):
        by_the_clock(copy / "labels" / "batch-0.csv", name)
    batch, told = layout.read_batch(copy, "batch-0"), layout.read_batch(folder, "batch-0")
    for name in ("label", "onset", "frame_at", "frames"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(told, name))
    for one, other in zip(batch.currents, told.currents, strict=True):
        np.testing.assert_array_equal(one.amps, other.amps)
        np.testing.assert_array_equal(one.last, other.last)


def test_outside_its_stretch_nothing_is_scored_or_shown(copy):
    for split, index in (("train", range(100, 200)), ("val", range(10)), ("test", range(10))):
        (copy / f"{split}.json").write_text(json.dumps({"batch-0.mat": list(index)}))
    (batch,) = layout.read_split(copy, "train")
    # Frames 100 … 199 are stamped 105.4 … 204.4 s.
    assert (batch.label[:106] == -1).all() and (batch.label[205:] == -1).all()
    assert (batch.label[106:200] == 0).all()
    record = batch.currents[0]
    assert record.mask[: record.last[105]].sum() == 0 and record.mask[record.last[206] :].sum() == 0
    assert (batch.frame_at[:106] == -1).all() and batch.frame_at[106] == 0


def test_validation_is_carved_from_training(copy):
    (copy / "val.json").unlink()
    (copy / "train.json").write_text(json.dumps([f"batch-{i}" for i in range(7)]))
    assert layout.names(copy, "val") == ["batch-4"]
    assert layout.names(copy, "train") == [f"batch-{i}" for i in (0, 1, 2, 3, 5, 6)]
    (copy / "train.json").write_text('["batch-0", "batch-1"]')
    assert layout.names(copy, "val") == ["batch-1"] and layout.names(copy, "train") == ["batch-0"]


def spoil(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


FAULTS = {
    "neither layout": (lambda d: shutil.rmtree(d / "videos"), "contains neither videos/"),
    "one batch for two splits": (lambda d: (d / "val.json").unlink(), "too few to split; record more"),
    "no list": (lambda d: (d / "train.json").unlink(), "train.json: is missing; write the list"),
    "a number for a list": (lambda d: (d / "train.json").write_text("3"), "train.json: expected a list"),
    "a list cut short": (lambda d: (d / "train.json").write_text('["bat'), "train.json: invalid JSON"),
    "no video": (lambda d: (d / "videos" / "batch-0.npy").unlink(), "batch-0.npy: is missing, and so is batch-0.mat"),
    "no stamps": (lambda d: (d / "timestamps" / "batch-0.csv").unlink(), "timestamps/batch-0.csv: is missing; add it"),
    "no current": (lambda d: (d / "currents" / "batch-0.csv").unlink(), "currents/batch-0.csv: is missing; add it"),
    "an empty table": (lambda d: (d / "currents" / "batch-0.csv").write_text(""), "currents/batch-0.csv: is empty; write"),
    "another name of a phase": (lambda d: spoil(d / "currents" / "batch-0_r1.csv", "time,a,b", "time,a,v"), "column b is missing; name"),
    "a time that is a word": (lambda d: spoil(d / "timestamps" / "batch-0.csv", "10.400", "noon"), "row 12 has an invalid time; write seconds"),
    "a time that goes back": (lambda d: spoil(d / "timestamps" / "batch-0.csv", "10.400", "1.400"), "goes backwards in row 12; sort"),
    "a row cut short": (lambda d: spoil(d / "currents" / "batch-0.csv", ",15000,0,0,0\n", "\n"), "row 2 has 4 cells, its header 8"),
    "a label beyond": (lambda d: spoil(d / "labels" / "batch-0.csv", ",0,melting", ",2,melting"), "row 2 has the invalid label 2; write 1"),
    "a second left out": (lambda d: spoil(d / "labels" / "batch-0.csv", "\n7,", "\n7.5,"), "row 9 is not one second after"),
    "no label": (lambda d: spoil(d / "labels" / "batch-0.csv", "label", "class"), "column label is missing; write"),
    "neither labels nor masks": (
        lambda d: (shutil.rmtree(d / "labels"), (d / "videos" / "batch-0_mask.npy").unlink()),
        "batch-0_mask.npy: is missing, and so is labels/batch-0.csv; add one"),
    "frames too small": (
        lambda d: np.save(d / "videos" / "batch-0.npy", np.zeros((395, 3, 48, 64), np.uint8)), "frames are 48×64 pixels, at least 64×64 are required; export"),
    "frames dealt one by one": (
        lambda d: (d / "train.json").write_text('{"batch-0.mat": [1, 5, 9]}'), "stretches shorter than 16 s"),
    "frames that are not there": (
        lambda d: (d / "train.json").write_text('{"batch-0.mat": [1, 999]}'), "frames 1 to 999 are out of range for batch-0, which has 395"),
}


@pytest.mark.parametrize("fact", FAULTS)
def test_a_fault_names_its_file_and_its_remedy(fact, copy):
    break_it, words = FAULTS[fact]
    break_it(copy)
    with pytest.raises(ValueError, match=words):
        layout.read_split(copy, "train")


MAT_FAULTS = {
    "no label": ({"label": None}, "variable label is missing .found current, train_test_index, video.; save"),
    "a current for other frames": ({"current": np.zeros((3, 7))}, "current has shape .3, 7.; save video as"),
    "a video without colours": ({"video": np.zeros((64, 64, 1600), np.uint8)}, "video has shape"),
}


@pytest.mark.parametrize("hdf5", [False, True], ids=["version 5", "version 7.3"])
@pytest.mark.parametrize("fact", MAT_FAULTS)
def test_a_fault_in_a_mat_file_names_it(fact, hdf5, tmp_path):
    changes, words = MAT_FAULTS[fact]
    n = 1600
    variables = {"video": np.zeros((64, 64, 3, n), np.uint8), "label": np.zeros((64, 64, n), np.uint8),
                 "current": np.zeros((3, n)), "train_test_index": np.r_[np.zeros(n - 500), np.ones(500)][None]}
    variables["train_test_index"][0, 500] = 1  # two stretches to train on
    published.write_mat(tmp_path / "m.mat", {k: v for k, v in (variables | changes).items() if v is not None}, hdf5)
    with pytest.raises(ValueError, match="m.mat: .*" + words):
        layout.read_split(tmp_path, "train")


def test_a_file_that_is_no_mat_is_named(tmp_path):
    (tmp_path / "m.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut short")
    with pytest.raises(ValueError, match="m.mat: invalid MATLAB file .*save it again"):
        layout.names(tmp_path, "train")


def test_area_is_the_mean_over_each_pixel():
    picture = np.random.default_rng(1).integers(0, 256, (2, 96, 160, 3)).astype(np.uint8)
    scaled = records.area(picture, 64, "x")
    assert scaled.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(scaled.mean((1, 2)), picture.mean((1, 2)), rtol=1e-4)
    # Row 0 of 64 is rows 0 and half of 1 of 96; column 0 is columns 0, 1 and half of 2 of 160.
    weights = np.outer([1, 0.5], [1, 1, 0.5])
    np.testing.assert_allclose(scaled[0, 0, 0, 0], (picture[0, :2, :3, 0] * weights).sum() / weights.sum(), rtol=1e-4)


def test_rows_of_one_second_are_spread_over_it():
    # Two samples a second; the record began in the midst of one, and 14 s is lost.
    times = np.float64([10, 11, 11, 12, 12, 13, 15, 15])
    np.testing.assert_array_equal(tables.spread(times), [10.5, 11, 11.5, 12, 12.5, 13, 15, 15.5])


def test_episodes_end_with_two_minutes_of_calm():
    label = np.zeros(600, np.int8)
    label[100:150] = label[200:220] = label[400:410] = 1
    onset = records.onsets(label)
    assert (onset[100:220] == 100).all() and (onset[400:410] == 400).all()
    assert np.isnan(onset[[99, 220, 399, 410]]).all()
