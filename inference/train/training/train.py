"""Trains a run, from recordings to weights (commands/train.py)."""

import dataclasses
import pathlib

from ..data import cache, layout
from ..data.identity import identity
from ..data.sampler import OneClass, PixelWindows, TokenWindows
from . import configs, encode, quantize
from .checkpoint import Unfinished, configured, finished, load, refuse_others, save
from .fit import Course, finetune, fit_on_tokens, fit_unimodal, stopwatch

DONE = "done"  # marks a complete folder of tokens
VALIDATING = 12  # batches at most, and steps, on which the loss of validation is measured
STEPS = 4


def train(config, data, run, senses=None, tokens=None, given=None, log=None):
    """Trains a run of a config into a folder; stages that an earlier call has finished are kept.

    senses and tokens: folders of an earlier run; given: settings that replace a config's own,
    also those of the unimodal network. Raises ValueError if the folder holds other settings.
    """
    log, run = log or stopwatch(), pathlib.Path(run)
    of = trained_on(config, data, run, log)
    if of is None:
        return
    if config.system == "SensesApart":
        train_unimodal(config, data, run, of, log)
        return
    # Before hours of other stages: whether an unfinished run in the folder has these settings.
    unfinished = Unfinished(run, config, of)
    unimodal, encoded = pathlib.Path(senses or run / "senses"), pathlib.Path(tokens or run / "tokens")
    if not senses:
        apart = configs.ALL[config.senses](**given or {})
        if not finished(unimodal, apart, of):
            train_unimodal(apart, data, unimodal, of, log)
    if not tokens:
        encode.claim(encoded, unimodal, data)
    if not tokens and not (encoded / DONE).exists():
        log("encoding every frame of the training batches")
        encode.write_all(load(unimodal), data, encoded, ["train"], log)
        (encoded / DONE).touch()
    validation = validate_on_tokens(config, data, unimodal, run / "validation", log)
    log(f"training {config.name}")
    save(fit_on_tokens(config, cache.read(encoded, data, "train"), unimodal, log, Course(log, unfinished, validation)), run, of)
    unfinished.remove()


def trained_on(config, data, run, log):
    """The identity of the data set, or None if the run is trained on it already; raises ValueError without batches to train on."""
    if not layout.names(data, "train"):
        raise ValueError(f"{data}: no batch is assigned to train; name some in train.json")
    of = identity(data)
    if finished(run, config, of):
        log(f"{run} is trained already")
        return None
    return of


def train_unimodal(config, data, folder, of, log=print):
    """Trains and saves the unimodal network and its codebook; takes up to a quarter of an hour."""
    unfinished = Unfinished(folder, config, of)
    batches = layout.read_split(data, "train", log=log)
    validation = validate_on_pixels(config, data, log)
    log("training the unimodal network")
    model = fit_unimodal(config, batches, cache.lags(data), log, Course(log, unfinished, validation))
    log("making the codebook of the current")
    quantize.save(pathlib.Path(folder), *quantize.make(batches, config.dim, config.seed))
    save(model, folder, of)  # last, because weights mark a complete folder
    unfinished.remove()


# What decides which weights a network has.
NETWORK = ("system", "dim", "heads", "hidden", "fusion_blocks", "pooling", "experts", "router", "frame_tokens", "normalisation", "sparse_current")


def train_finetune(config, data, run, trained, log=None):
    """Fine-tunes the network of a finished run, `trained`, from pixels, into another folder (fit.finetune)."""
    log, run, trained = log or stopwatch(), pathlib.Path(run), pathlib.Path(trained)
    if not config.train_frames:
        raise ValueError(f"--finetune: {config.name} trains on tokens; name a config that trains from pixels, such as product-finetune")
    of = trained_on(config, data, run, log)
    if of is None:
        return
    kept = dataclasses.asdict(configured(trained))
    # A network may get a baseline of the current, and not lose it.
    decided = (*NETWORK, "current_baseline") if kept["current_baseline"] else NETWORK
    refuse_others(trained, {k: kept[k] for k in decided}, dataclasses.asdict(config))
    unfinished = Unfinished(run, config, f"{of} {encode.weights_of(trained)}")
    batches = layout.read_split(data, "train", log=log)
    log(f"training {config.name} from {trained}")
    save(finetune(config, batches, load(trained), cache.lags(data), log, Course(log, unfinished)), run, of)
    unfinished.remove()


def validating(data, log):
    """The names of the batches that validate: the first ones of val."""
    names = layout.names(data, "val")[:VALIDATING]
    if not names:
        log("no batch is assigned to val, so training.csv has no loss of validation")
    return names


def validate_on_pixels(config, data, log):
    """Windows of the validation batches for the unimodal network, or None without both classes."""
    names = validating(data, log)
    return both_classes(lambda: PixelWindows([layout.read_batch(data, n) for n in names], config, STEPS, config.seed, cache.lags(data)), names, log)


def validate_on_tokens(config, data, unimodal, folder, log):
    """As validate_on_pixels, for any other network; the tokens are encoded into a folder."""
    names = validating(data, log)
    if names:
        encode.claim(folder, unimodal, data)
    if names and not (folder / DONE).exists():
        log("encoding the batches that validate")
        encode.write_views(load(unimodal), data, "val", folder, config.seed, views=1, most=VALIDATING, log=log)
        (folder / DONE).touch()
    return both_classes(lambda: TokenWindows(cache.read(folder, data, "val", most=VALIDATING), config, STEPS, config.seed), names, log)


def both_classes(windows, names, log):
    """Windows, or None if their batches cannot give both classes."""
    if not names:
        return None
    try:
        return windows()
    except OneClass:
        log("the batches in val contain only one class, so training.csv has no loss of validation")
        return None
