"""Fits a network: phases, optimiser, and the parts that it takes from an earlier run."""

import pathlib
import sys
import time

import keras

from .. import models
from . import quantize
from .checkpoint import load
from ..data.sampler import PixelWindows, TokenWindows


def fit(model, windows, log=print):
    """Trains a network in the phases of its config; windows: steps → its batches."""
    config = model.config
    done = 0
    for number, share in enumerate(config.phases):
        last = number == len(config.phases) - 1
        steps = config.steps - done if last else round(config.steps * share)
        model.phase(number, len(config.phases))
        model.compile(
            optimizer(config, steps),
            # Measured on two cores: XLA makes TensorFlow's small convolutions twice as slow.
            jit_compile=keras.backend.backend() == "jax")
        model.fit(windows(steps, (config.seed, number)), epochs=1, verbose=0, callbacks=[Progress(steps, log)])
        done += steps
    return model


def optimizer(config, steps):
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, alpha=0.01, warmup_target=config.learning_rate, warmup_steps=max(steps // 20, 1))
    # Clipped, because a batch of odd augmentations must not throw the statistics.
    return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=1.0)


def fit_unimodal(config, batches, lags=None, log=print):
    """The senses' own nets from pixels, with fresh weights; lags as windows.PixelWindows wants them."""
    keras.utils.set_random_seed(config.seed)
    return fit(models.build(config), lambda steps, seed: PixelWindows(batches, config, steps, seed, lags), log)


def fit_on_tokens(config, tokenized, unimodal, log=print):
    """Any other system on the tokens of a trained run of the senses, given by its folder."""
    keras.utils.set_random_seed(config.seed)
    model = models.build(config)
    inherit(model, unimodal)
    return fit(model, lambda steps, seed: TokenWindows(tokenized, config, steps, seed), log)


def inherit(model, folder):
    """Takes the tokenizers, and the bank where the system has one, of a run of the senses."""
    source = load(folder)
    if source.config.dim != model.config.dim:
        raise ValueError(f"{folder} has tokens of {source.config.dim} features, {model.config.name} wants "
                         f"{model.config.dim}; train the senses with dim {model.config.dim}")
    for part in ("frames", "current"):
        for mine, theirs in zip(getattr(model, part).weights, getattr(source, part).weights, strict=True):
            mine.assign(theirs)
    if hasattr(model, "bank"):
        quantize.load(pathlib.Path(folder), model.bank)


class Progress(keras.callbacks.Callback):
    """A line a tenth of the way."""

    def __init__(self, steps, log):
        super().__init__()
        self.every, self.steps, self.log = max(steps // 10, 1), steps, log
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.every == 0:
            spent = time.monotonic() - self.start
            self.log(f"step {batch + 1} of {self.steps}, loss {logs['loss']:.4f}, {spent:.0f} s")


def stopwatch():
    """A log to stderr with the seconds since the start."""
    start = time.monotonic()

    def log(text):
        print(f"[{time.monotonic() - start:6.0f} s] {text}", file=sys.stderr, flush=True)

    return log
