"""A training that is followed, interrupted and resumed."""

import csv
import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow
from inference.train.commands.run import run as run_command
from inference.train.training import checkpoint, configs, encode, fit
from inference.train.training.train import train, validate_on_pixels

from .conftest import SMALL

STEPS = 6


class Stopped(Exception):
    """The end of a process, at a call of log."""


def stopping_at(words):
    def log(text):
        if words in text:
            raise Stopped
    return log


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Tracing the network takes longer than the few steps here."""
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


CONFIG = dataclasses.replace(configs.Toy(), steps=STEPS, dropout=0.3, phases=(0.5, 1.0))


def trained_into(run, folder, unimodal, tokens, log=lambda _: None, **settings):
    """Trains the toy product on the shared tokens."""
    train(dataclasses.replace(CONFIG, **settings), folder, run, unimodal, tokens, log=log)
    return run


@pytest.fixture(scope="module")
def whole(folder, unimodal, tokens, tmp_path_factory):
    """A run that nothing interrupted, and what it logged."""
    told = []
    return trained_into(tmp_path_factory.mktemp("whole"), folder, unimodal, tokens, told.append), told


def rows(run):
    with (run / "training.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_can_be_followed(whole):
    run, told = whole
    got = rows(run)
    assert [int(r["step"]) for r in got] == list(range(1, STEPS + 1))
    assert [int(r["phase"]) for r in got] == [0, 0, 0, 1, 1, 1]
    assert all(float(r["loss"]) > 0 and float(r["val_loss"]) > 0 for r in got)
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (run / "tensorboard").iterdir()} == {"train", "validation"}
    assert any("step 3 of 6, loss" in t and "validation" in t and "windows a second" in t and "s left" in t for t in told)
    assert not list(run.glob("unfinished*")) and not list(run.glob("part-*"))


def test_an_interrupted_training_goes_on_to_the_same_weights(whole, folder, unimodal, tokens, tmp_path):
    """Interrupted within the first phase, at its end, and within the last."""
    for step in (2, 3, 5):
        with pytest.raises(Stopped):
            trained_into(tmp_path, folder, unimodal, tokens, stopping_at(f"step {step + 1} of {STEPS}"))
        assert json.loads((tmp_path / checkpoint.UNFINISHED).read_text())["step"] == step
        assert [p.name for p in tmp_path.glob("unfinished-*")] == [f"unfinished-{step}.weights.h5"]
    with pytest.raises(ValueError, match="steps 6, now 7.*name another folder"):
        trained_into(tmp_path, folder, unimodal, tokens, steps=7)
    told = []
    trained_into(tmp_path, folder, unimodal, tokens, told.append)
    assert "going on from step 5" in told
    for a, b in zip(checkpoint.load(whole[0]).weights, checkpoint.load(tmp_path).weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    course, same = rows(whole[0]), rows(tmp_path)
    assert [r["step"] for r in same] == [r["step"] for r in course]
    np.testing.assert_allclose([float(r["loss"]) for r in same], [float(r["loss"]) for r in course], rtol=1e-3)


def test_threads_that_make_batches_ahead_keep_their_order(folder, unimodal, tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "PARTS", 2)  # of three steps each: in one step there is no order
    runs = []
    for threads in (1, fit.AHEAD):
        monkeypatch.setattr(fit, "AHEAD", threads)
        runs.append(trained_into(tmp_path / str(threads), folder, unimodal, tokens))
    for a, b in zip(*(checkpoint.load(run).weights for run in runs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_finished_run_is_kept_and_one_of_other_settings_refused(whole, folder, unimodal, tokens):
    before = (whole[0] / checkpoint.WEIGHTS).read_bytes()
    told = []
    trained_into(whole[0], folder, unimodal, tokens, told.append)
    assert told[-1].endswith("is trained already")
    with pytest.raises(ValueError, match="steps 6, now 7.*name another folder"):
        trained_into(whole[0], folder, unimodal, tokens, steps=7)
    assert (whole[0] / checkpoint.WEIGHTS).read_bytes() == before


def test_other_data_are_refused(whole, folder, unimodal, tokens, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for path in folder.iterdir():
        (data / path.name).symlink_to(path)
    (data / "train.json").unlink()
    (data / "train.json").write_text(json.dumps(["batch-0", "batch-1"]))
    with pytest.raises(ValueError, match="other data"):
        trained_into(whole[0], data, unimodal, tokens)
    with pytest.raises(ValueError, match="other data"):
        encode.claim(encode_folder(tmp_path, unimodal, folder), unimodal, data)


def encode_folder(parent, unimodal, folder):
    encode.claim(parent / "tokens", unimodal, folder)
    return parent / "tokens"


def test_a_checkpoint_that_is_half_written_is_not_used(whole, folder, tmp_path):
    model = checkpoint.load(whole[0])
    model.compile(optimizer=fit.optimizer(CONFIG, STEPS))
    model.optimizer.build(model.trainable_variables)
    checkpoint.Unfinished(tmp_path, CONFIG, "data").save(model, 2)
    (tmp_path / "unfinished-3.weights.h5").write_bytes(b"half")
    (tmp_path / "part-unfinished.json").write_text("{")
    kept = checkpoint.Unfinished(tmp_path, CONFIG, "data")
    kept.restore(model)
    assert kept.step == 2
    kept.remove()
    assert not list(tmp_path.glob("unfinished*"))


def test_tokens_of_another_network_are_refused(folder, unimodal, tmp_path):
    encode.claim(tmp_path / "tokens", unimodal, folder)
    encode.claim(tmp_path / "tokens", unimodal, folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / checkpoint.WEIGHTS).write_bytes(b"another network")
    with pytest.raises(ValueError, match="senses .*, now "):
        encode.claim(tmp_path / "tokens", other, folder)


def test_encoding_goes_on_with_the_next_batch(folder, unimodal, tmp_path, monkeypatch):
    model = checkpoint.load(unimodal)
    encode.write_views(model, folder, "train", tmp_path, seed=1, views=1, log=lambda _: None)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    encode.write_views(model, folder, "train", tmp_path, seed=1, views=1, log=lambda _: None)
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before and "batch-0.npz" in before


@pytest.mark.parametrize("command", ["train", "encode", "calibrate", "release", "compare_folds"])
def test_help_does_not_wait_for_keras(command):
    code = f"import sys; sys.argv[1:] = ['--help']\ntry:\n    from inference.train.commands.{command} import main; main()\nfinally:\n    assert 'keras' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "usage: python -m inference.train." in done.stdout


def test_invalid_input_and_ctrl_c_end_in_one_line(capsys, tmp_path):
    def fails(fault):
        def main():
            raise fault
        return main

    assert run_command(fails(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert run_command(fails(ValueError("runs/x: is of other settings"))) == 2
    assert capsys.readouterr().err == "error: runs/x: is of other settings\n"
    assert run_command(lambda: (tmp_path / "absent").read_text()) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/absent: No such file or directory\n"
    with pytest.raises(ValueError, match="shape"):  # a library's: our fault, which keeps its traceback
        run_command(lambda: np.zeros(3).reshape(2))


def test_wrong_options_are_named(capsys):
    from inference.train.commands import train as command
    with pytest.raises(SystemExit):
        command.main(["--data", "d", "--run", "r", "--steps", "0"])
    assert "--steps: is 0; give 1 or more" in capsys.readouterr().err


def test_losses_after_the_checkpoint_are_dropped(tmp_path):
    history = fit.History(tmp_path)
    for step in (1, 2, 3):
        history.rows.append({"step": step, "phase": 0, "loss": "1", "val_loss": "", "seconds": "1.0"})
    history._write()
    assert [int(r["step"]) for r in fit.History(tmp_path, 2).rows] == [1, 2]
    assert fit.History(tmp_path).rows == []


def test_batches_of_pixels_validate_too(folder):
    told = []
    x, y = validate_on_pixels(configs.Unimodal(**SMALL), folder, told.append)[0]
    assert x["frames"].shape[:2] == (SMALL["windows"], SMALL["frames"]) and set(np.ravel(y["label"])) == {0, 1} and not told


def test_the_gpu_extra_differs_in_tensorflow_alone():
    here = pathlib.Path(__file__).parents[1]
    plain, gpu = (set((here / name).read_text().split()) for name in ("requirements.txt", "requirements-gpu.txt"))
    version = next(r.split("==")[1] for r in plain if r.startswith("tensorflow"))
    assert plain ^ gpu == {f"tensorflow-cpu=={version}", f"tensorflow[and-cuda]=={version}"}
