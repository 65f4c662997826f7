"""Fine-tuning: a trained network goes on together with its tokenizers, from pixels."""

import dataclasses

import numpy as np
import pytest
from inference.train.commands import train as command
from inference.train.training import checkpoint, configs, train

from .conftest import SMALL

QUIET = {"log": lambda _: None}
FEW = configs.ProductFinetune(**SMALL | {"normalisation": "mean", "sparse_current": False, "average": 0.9})


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """The folder of a network that was trained on tokens."""
    out = tmp_path_factory.mktemp("trained")
    checkpoint.save(trained, out)
    return out


@pytest.fixture(scope="module")
def finetuned(run, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("finetuned")
    train.train_finetune(FEW, folder, out, run, **QUIET)
    return out


def test_it_starts_from_the_trained_network_and_moves_its_tokenizers_but_not_its_codes(run, finetuned):
    before, after = checkpoint.load(run), checkpoint.load(finetuned)
    moved = lambda part: max(float(np.abs(np.array(v) - np.array(w)).max()) for v, w in zip(part(after), part(before), strict=True))
    # Three steps at a small rate leave every weight near where it was.
    assert 0 < moved(lambda m: m.frames.convolutions[0].trainable_weights) < 0.05
    assert 0 < moved(lambda m: m.pools["fused"].trainable_weights) < 0.05
    assert moved(lambda m: m.bank.weights) == 0


def test_what_is_saved_is_the_mean_of_the_weights(run, folder, finetuned, tmp_path):
    train.train_finetune(dataclasses.replace(FEW, average=0.0), folder, tmp_path / "last", run, **QUIET)
    start, mean, last = (checkpoint.load(f).frames.block.kernel.numpy() for f in (run, finetuned, tmp_path / "last"))
    assert np.abs(mean - start).max() < np.abs(last - start).max()


def test_a_finished_one_is_kept(run, folder, finetuned):
    told = []
    train.train_finetune(FEW, folder, finetuned, run, log=told.append)
    assert told == [f"{finetuned} is trained already"]


def test_another_network_is_refused(run, folder, tmp_path):
    with pytest.raises(ValueError, match="hidden 16, now 24"):
        train.train_finetune(dataclasses.replace(FEW, hidden=24), folder, tmp_path, run, **QUIET)


def test_a_config_that_trains_on_tokens_is_refused(run, folder, tmp_path):
    with pytest.raises(ValueError, match="--finetune: product trains on tokens; name a config that trains from pixels, such as product-finetune"):
        command.main(["--config", "product", "--data", str(folder), "--run", str(tmp_path), "--finetune", str(run)])


def test_tokens_of_another_run_are_refused(run, folder, tmp_path):
    with pytest.raises(ValueError, match="leave out --senses and --tokens"):
        command.main(["--config", "product-finetune", "--data", str(folder), "--run", str(tmp_path), "--finetune", str(run), "--tokens", "x"])
