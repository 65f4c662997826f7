"""check_data on sound and on faulty data sets."""

import importlib
import inspect
import json
import pathlib
import re
import shutil

import matplotlib.image
import numpy as np
import pytest
from inference.train.data import check_data

from . import published


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "v2")


def test_a_whole_set_has_a_line_a_batch_and_no_fault(copy, capsys):
    assert check_data.main(["--data", str(copy)]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "batch-1" in line).split()
    # 400 s, frames lost at 50 … 54 s and none before 0.4 s, samples at 20 … 24 s; one reroll.
    assert line == ["val", "batch-1", "400", "98%", "99%", "42%", "8%", "1", "1"]
    assert "train  1 batches, 0.1 h, 46% of the scored seconds abnormal" in out and "no fault found" in out


def test_the_published_layout_is_told(tmp_path, capsys):
    published.write_v2(tmp_path)
    check_data.main(["--data", str(tmp_path)])
    out = capsys.readouterr().out
    assert "layout V2" in out and "SaveToAvi-4-19@680-1199" in out
    # The toy's training stretches are short and contain one class each, which is reported.
    assert f"fault: {tmp_path}: no abnormal second in train; assign" in out
    assert "fault: SaveToAvi-4-19@1280-1599: lasts 80 s" in out


def spoiled(copy, change):
    path = copy / "currents" / "batch-0.csv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], *change(rows[1:])]) + "\n")


def kiloamperes(rows):
    for row in rows:
        time, a, b, c, *rest = row.split(",")
        yield ",".join([time, *(f"{float(x) / 1000:.4f}" for x in (a, b, c)), *rest])


def constant(rows):
    for row in rows:
        time, a, _, c, *rest = row.split(",")
        yield ",".join([time, a, "15000", c, *rest])


FAULTS = {
    "kiloamperes": (lambda d: spoiled(d, kiloamperes), "write amperes, not kiloamperes"),
    "a constant": (lambda d: spoiled(d, constant), "batch-0: a phase is constant"),
    "another clock": (
        lambda d: spoiled(d, lambda rows: (f"{float(r.split(',', 1)[0]) + 1e4},{r.split(',', 1)[1]}" for r in rows)),
        "batch-0: only 0% of the samples are present"),
    "a batch in two splits": (
        lambda d: (d / "test.json").write_text('["batch-0", "batch-2"]'), "batch-0 is assigned to train and to test; remove it"),
    "an empty split": (lambda d: (d / "test.json").write_text("[]"), "no batch is assigned to test; name some in test.json"),
    "a batch that is not there": (
        lambda d: (d / "test.json").write_text(json.dumps(["batch-2", "batch-9"])), "timestamps/batch-9.csv: is missing; add it"),
    "a video of other frames": (
        lambda d: np.save(d / "videos" / "batch-0.npy", np.zeros((5, 3, 64, 64), np.uint8)), "batch-0.npy has shape (5, 3, 64, 64)"),
    "frames from 0 to 1": (
        lambda d: np.save(d / "videos" / "batch-0.npy", np.load(d / "videos" / "batch-0.npy").astype(np.float32) / 255),
        "batch-0.npy: frames are float32 from 0."),
    "black frames": (
        lambda d: np.save(d / "videos" / "batch-0.npy", np.load(d / "videos" / "batch-0.npy") // 255), "batch-0: frames are black"),
    "blue before red": (
        lambda d: np.save(d / "videos" / "batch-0.npy", np.load(d / "videos" / "batch-0.npy")[:, ::-1]),
        "batch-0: hot spots are bluer than red"),
    "nanoseconds against seconds": (
        lambda d: spoiled(d, lambda rows: (f"{int(float(r.split(',', 1)[0]) * 1000 + 1772400807000)},{r.split(',', 1)[1]}" for r in rows)),
        "batch-0: only 0% of the samples are present"),
    "no layout": (lambda d: shutil.rmtree(d / "videos"), "contains neither videos/"),
}


@pytest.mark.parametrize("fact", FAULTS)
def test_a_fault_is_told_with_its_remedy(fact, copy, capsys):
    break_it, words = FAULTS[fact]
    break_it(copy)
    assert check_data.main(["--data", str(copy)]) == 1
    faults = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fault: ")]
    assert any(words in line and ";" in line for line in faults), faults


def test_a_split_that_cannot_be_read_is_not_called_one_sided(copy, capsys):
    (copy / "test.json").write_text('["batch-9"]')
    assert check_data.main(["--data", str(copy)]) == 1
    out = capsys.readouterr().out
    assert "batch-9.csv: is missing" in out and "second in test" not in out


def test_normal_hours_hold_nothing_abnormal(copy, capsys):
    (copy / "train.json").write_text("[]")
    assert check_data.main(["--data", str(copy), "--normal"]) == 1
    assert "abnormal seconds in val; remove" in capsys.readouterr().out
    for path in (copy / "labels").glob("*.csv"):
        path.write_text(path.read_text().replace(",1,melting", ",0,melting"))
    assert check_data.main(["--data", str(copy), "--normal"]) == 0


ROOT = pathlib.Path(__file__).parents[3]


def test_the_page_for_own_data_names_commands_that_exist():
    commands = re.findall(r"python -m (inference\.train\.\w+)(.*)", (ROOT / "docs/own-data.md").read_text())
    assert {c.rpartition(".")[2] for c, _ in commands} >= {"check_data", "train", "calibrate", "release"}
    for module, arguments in commands:
        source = inspect.getsource(inspect.getmodule(importlib.import_module(module).main))
        for flag in re.findall(r"--\w+", arguments):
            assert f'"{flag}"' in source, f"{module} takes no {flag}"


def test_a_contact_sheet_shows_what_the_model_will_see(copy, capsys, tmp_path):
    sheet = tmp_path / "sheet.png"
    check_data.main(["--data", str(copy), "--sheet", str(sheet)])
    assert f"{sheet}: frames as the model sees them" in capsys.readouterr().out
    picture = matplotlib.image.imread(sheet)
    assert picture.shape[0] > 300 and picture.shape[1] > 1000
    # Swapped colours are swapped on the sheet: the toy's spot is red.
    for name in ("batch-0", "batch-1", "batch-2"):
        path = copy / "videos" / f"{name}.npy"
        np.save(path, np.load(path)[:, ::-1])
    check_data.main(["--data", str(copy), "--sheet", str(sheet)])
    swapped = matplotlib.image.imread(sheet)
    assert swapped.shape == picture.shape
    redder = lambda p: ((p[..., 0] - p[..., 2]) > 0.3).sum()
    assert redder(picture) > 2 * redder(swapped)  # titles of abnormal frames are red too


def test_no_sheet_is_drawn_where_none_is_wanted(copy):
    check_data.main(["--data", str(copy), "--sheet", ""])
    assert not list(copy.glob("*.png"))
