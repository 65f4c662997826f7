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


def test_a_share_of_the_start_is_kept(run, folder, finetuned, tmp_path):
    train.train_finetune(dataclasses.replace(FEW, start_share=0.25), folder, tmp_path / "part", run, **QUIET)
    start, end, part = (checkpoint.load(f) for f in (run, finetuned, tmp_path / "part"))
    for of in (lambda m: m.frames.block.kernel.numpy(), lambda m: m.frames.norms[0].moving_mean.numpy(), lambda m: m.pools["fused"].weights[0].numpy()):
        np.testing.assert_allclose(of(part), 0.25 * of(start) + 0.75 * of(end), atol=3e-6)
    assert np.abs(part.frames.block.kernel.numpy() - end.frames.block.kernel.numpy()).max() > 1e-5


def test_layers_that_a_network_gets_keep_what_they_learnt(run, folder, tmp_path):
    config = configs.ProductBaseline(**SMALL | {"normalisation": "mean", "sparse_current": False, "spans_steps": 2, "start_share": 1.0, "learning_rate": 1e-9})
    train.train_finetune(config, folder, tmp_path / "out", run, **QUIET)
    network, start = checkpoint.load(tmp_path / "out"), checkpoint.load(run)
    assert np.abs(network.spans[0].bias.numpy()).max() > 0, "trained by themselves, and not moved back to where they began"
    assert np.abs(network.verdict_spans.kernel.numpy()).max() == 0
    np.testing.assert_array_equal(network.verdicts["current"].kernel.numpy(), start.verdicts["current"].kernel.numpy())


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
