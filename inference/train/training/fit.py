"""Fits a network: phases, optimiser, and the parts taken from an earlier run."""

import pathlib
import sys
import time

import keras
import numpy as np

from .. import models
from ..data.sampler import AHEAD, JointWindows, PixelWindows, TokenWindows
from . import quantize, spans
from .checkpoint import load
from .history import History

PARTS = 20  # of a run: after each its losses are recorded and a checkpoint is saved


class Part(keras.utils.PyDataset):
    """The steps [first, end) of a phase's windows."""

    def __init__(self, windows, first, end):
        super().__init__(workers=AHEAD)
        self.windows, self.first, self.end = windows, first, end

    def __len__(self):
        return self.end - self.first

    def __getitem__(self, step):
        return self.windows[self.first + step]


class Course:
    """Follows a run in training: logs its losses, and keeps them and a checkpoint in the run's folder.

    unfinished: the checkpoint.Unfinished from which training goes on, or None to keep nothing;
    validation: windows on which the loss is measured too.
    """

    def __init__(self, log=print, unfinished=None, validation=None):
        self.log, self.unfinished, self.validation = log, unfinished, validation
        self.step = unfinished.step if unfinished else 0
        self.start = time.monotonic()
        self._first = self.step
        self._history = History(unfinished.folder, self.step) if unfinished else None

    def enter(self, model, first, end):
        """Restores the checkpoint if it lies in the phase of the steps (first, end]."""
        if first < self.step <= end and self.unfinished:
            self.unfinished.restore(model)
            self.log(f"going on from step {self.step}")

    def trained(self, model, step, phase, loss):
        """Records the loss of the steps since the last call."""
        self.step, spent = step, time.monotonic() - self.start
        measured = model.evaluate(self.validation, verbose=0, return_dict=True)["loss"] if self.validation else None
        done = step - self._first
        left = spent / done * (model.config.steps - step)
        rate = done * model.config.windows / max(spent, 1e-9)
        told = "" if measured is None else f", validation {measured:.4f}"
        self.log(f"step {step} of {model.config.steps}, loss {loss:.4f}{told}, {spent:.0f} s at {rate:.0f} windows a second, {left:.0f} s left")
        if self.unfinished:
            self._history.add(model, step, phase, loss, measured, spent)
            self.unfinished.save(model, step)

    def end(self):
        if self._history:
            self._history.close()


def fit(model, windows, log=print, course=None):
    """Trains a network in the phases of its config; windows: (steps, seed) → batches."""
    config, course = model.config, course or Course(log)
    first = 0
    for number, share in enumerate(config.phases):
        last = number == len(config.phases) - 1
        end = config.steps if last else first + round(config.steps * share)
        model.phase(number, len(config.phases))
        model.compile(
            optimizer(config, end - first),
            # Measured on two cores: XLA makes TensorFlow's small convolutions twice as slow.
            jit_compile=keras.backend.backend() == "jax")
        course.enter(model, first, end)
        fit_phase(model, windows(end - first, (config.seed, number)), first, end, number, course)
        first = end
    if config.average:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    course.end()
    return model


def fit_phase(model, windows, first, end, number, course):
    """Trains from the course's step, which may lie before, within or after the phase, to the phase's end."""
    every = max(model.config.steps // PARTS, 1)
    while course.step < end:
        step = min(course.step + every, end)
        fitted = model.fit(Part(windows, course.step - first, step - first), epochs=1, verbose=0, shuffle=False)
        course.trained(model, step, number, fitted.history["loss"][-1])


def optimizer(config, steps):
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, steps, alpha=0.01, warmup_target=config.learning_rate, warmup_steps=max(steps // 20, 1))
    mean = {"use_ema": True, "ema_momentum": config.average} if config.average else {}
    # Clipped, so that a batch of extreme augmentations cannot upset the moments.
    return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=1.0, **mean)


def fit_unimodal(config, batches, lags=None, log=print, course=None, tracks=None):
    """Trains the unimodal network from pixels, from initial weights; lags and tracks as for sampler.PixelWindows."""
    keras.utils.set_random_seed(config.seed)
    return fit(models.build(config), lambda steps, seed: PixelWindows(batches, config, steps, seed, lags, tracks), log, course)


def fit_jointly(config, batches, unimodal, lags=None, log=print, course=None, tracks=None):
    """Trains any other network together with its tokenizers, from pixels and from initial weights.

    unimodal: a folder with the codebook, which is of the current alone and stays frozen.
    """
    keras.utils.set_random_seed(config.seed)
    model = models.build(config)
    if hasattr(model, "bank"):
        quantize.load(pathlib.Path(unimodal), model.bank)
    return fit(model, lambda steps, seed: JointWindows(batches, config, steps, seed, lags, tracks), log, course)


def finetune(config, batches, trained, lags=None, log=print, course=None):
    """Fine-tunes a trained network together with its tokenizers, from pixels; its codebook stays as it is.

    trained: the network; its settings of the network are those of the config.
    """
    keras.utils.set_random_seed(config.seed)
    model = models.build(config)
    inherit_all(model, trained)
    if hasattr(model, "bank"):
        model.bank.trainable = False
    got = spans.statistics_weights(model) - {w.path.removeprefix(f"{trained.name}/") for w in trained.weights}
    start = {w.path: np.array(w) for w in model.weights if w.path not in got} if config.start_share else {}
    if got and not (course and course.step):
        spans.pretrain(model, batches, log)
    fit(model, lambda steps, seed: JointWindows(batches, config, steps, seed, lags), log, course)
    blend(model, start, config.start_share)
    return model


def blend(model, start, share):
    """Moves weights towards those of an earlier network, path → weight, by a share of the way.

    Wortsman et al. (Robust fine-tuning of zero-shot models, CVPR 2022) found such a mean better than both, on
    data like the training's and on other data. docs/transfer.md has its figures here.
    """
    for weight in model.weights:
        if weight.path in start and np.issubdtype(start[weight.path].dtype, np.floating):
            weight.assign((1.0 - share) * np.array(weight) + share * start[weight.path])


def inherit_all(model, trained):
    """Sets a network's weights to those of a trained one.

    Further layers keep their initial weights, and the kernel of further inputs begins at 0.
    """
    of = lambda network: {w.path.removeprefix(f"{network.name}/"): w for w in network.weights}
    mine, theirs = of(model), of(trained)
    for path in mine.keys() & theirs.keys():
        weight = np.array(theirs[path])
        more = mine[path].shape[0] - weight.shape[0] if weight.ndim == 2 else 0
        mine[path].assign(np.pad(weight, ((0, more), (0, 0))) if more else weight)
    if lost := theirs.keys() - mine.keys():
        raise ValueError(f"the trained network has weights that this one lacks: {sorted(lost)[0]}")


def fit_on_tokens(config, tokenized, unimodal, log=print, course=None):
    """Trains any other network on the tokens of a trained unimodal network, given by its folder."""
    keras.utils.set_random_seed(config.seed)
    model = models.build(config)
    inherit(model, unimodal)
    return fit(model, lambda steps, seed: TokenWindows(tokenized, config, steps, seed), log, course)


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


def stopwatch():
    """A function that logs to stderr with the seconds since its creation."""
    start = time.monotonic()

    def log(text):
        print(f"[{time.monotonic() - start:6.0f} s] {text}", file=sys.stderr, flush=True)

    return log
