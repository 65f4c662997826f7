"""Fits a network: phases, optimiser, and the parts taken from an earlier run."""

import pathlib
import sys
import time

import keras

from .. import models
from ..data.sampler import PixelWindows, TokenWindows
from . import quantize
from .checkpoint import load


def fit(model, windows, log=print):
    """Trains a network in the phases of its config; windows: (steps, seed) → batches."""
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
    # Clipped, so that a batch of extreme augmentations cannot upset the moments.
    return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=1.0)


def fit_unimodal(config, batches, lags=None, log=print):
    """Trains the unimodal network from pixels, from initial weights; lags as for sampler.PixelWindows."""
    keras.utils.set_random_seed(config.seed)
    return fit(models.build(config), lambda steps, seed: PixelWindows(batches, config, steps, seed, lags), log)


def fit_on_tokens(config, tokenized, unimodal, log=print):
    """Trains any other network on the tokens of a trained unimodal network, given by its folder."""
    keras.utils.set_random_seed(config.seed)
    model = models.build(config)
    inherit(model, unimodal)
    return fit(model, lambda steps, seed: TokenWindows(tokenized, config, steps, seed), log)


def inherit(model, folder):
    """Copies the tokenizers, and the codebook where the network has one, from a unimodal run."""
    source = load(folder)
    if source.config.dim != model.config.dim:
        raise ValueError(f"{folder} has tokens of {source.config.dim} features, {model.config.name} needs "
                         f"{model.config.dim}; train the unimodal network with dim {model.config.dim}")
    for part in ("frames", "current"):
        for mine, theirs in zip(getattr(model, part).weights, getattr(source, part).weights, strict=True):
            mine.assign(theirs)
    if hasattr(model, "bank"):
        quantize.load(pathlib.Path(folder), model.bank)


class Progress(keras.callbacks.Callback):
    """Logs the loss ten times in a fit."""

    def __init__(self, steps, log):
        super().__init__()
        self.every, self.steps, self.log = max(steps // 10, 1), steps, log
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.every == 0:
            spent = time.monotonic() - self.start
            self.log(f"step {batch + 1} of {self.steps}, loss {logs['loss']:.4f}, {spent:.0f} s")


def stopwatch():
    """A function that logs to stderr with the seconds since its creation."""
    start = time.monotonic()

    def log(text):
        print(f"[{time.monotonic() - start:6.0f} s] {text}", file=sys.stderr, flush=True)

    return log
