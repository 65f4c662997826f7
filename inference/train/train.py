"""Trains a run, from recordings to weights.

    python -m inference.train.train --data data/train --run runs/product

First the senses by themselves, from pixels, with the bank of current units (into
<run>/senses); then the tokens that theirs makes of every frame (<run>/tokens); then
the product on those tokens. What is there already is not made again, so a run that
was cut off goes on. Other systems take the tokens of an earlier run:

    python -m inference.train.train --config clmlf --data data/train --run runs/clmlf \\
        --senses runs/product/senses --tokens runs/product/tokens

Writes <run>/model.weights.h5 and <run>/config.json; judge.py scores a run and
release.py makes the model folder. Any Keras backend will do (KERAS_BACKEND). Seeded:
the same data, seed, machine and backend give the same figures within ±0.3 points.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import time

import keras

from . import bank, configs, layout, systems
from .windows import PixelWindows, TokenWindows

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"
DONE = "done"  # stands in a folder of tokens that is whole


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


def fit_senses(config, batches, lags=None, log=print):
    """The senses' own nets from pixels, with fresh weights; lags as windows.PixelWindows wants them."""
    keras.utils.set_random_seed(config.seed)
    return fit(systems.build(config), lambda steps, seed: PixelWindows(batches, config, steps, seed, lags), log)


def fit_on_tokens(config, tokenized, senses, log=print):
    """Any other system on the tokens of a trained run of the senses, given by its folder."""
    keras.utils.set_random_seed(config.seed)
    model = systems.build(config)
    inherit(model, senses)
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
        bank.load(pathlib.Path(folder), model.bank)


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


def save(model, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(dataclasses.asdict(model.config), indent=2) + "\n")


def load(folder):
    """The network that save() left in a run's folder."""
    folder = pathlib.Path(folder)
    try:
        kept = json.loads((folder / CONFIG).read_text())
    except FileNotFoundError:
        raise ValueError(f"{folder / CONFIG}: is missing; name the folder of a run that train.py has finished") from None
    model = systems.build(configs.Run(**kept | {"phases": tuple(kept["phases"])}))
    model.load_weights(folder / WEIGHTS)
    return model


def stopwatch():
    """A log to stderr with the seconds since the start."""
    start = time.monotonic()

    def log(text):
        print(f"[{time.monotonic() - start:6.0f} s] {text}", file=sys.stderr, flush=True)

    return log


def train_senses(config, data, folder, log=print):
    """Trains and saves the senses and their bank; seconds to a quarter of an hour."""
    from . import cache

    log("reading training batches")
    batches = layout.read_split(data, "train")
    log("training the senses by themselves")
    model = fit_senses(config, batches, cache.lags(data), log)
    log("making the bank of current units")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bank.save(folder, *bank.make(batches, config.dim, config.seed))
    save(model, folder)  # last: a folder with weights is whole


def main(argv=None):
    from . import cache

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=sorted(configs.ALL), default="product")
    parser.add_argument("--data", required=True, help="folder of a data set in either published layout")
    parser.add_argument("--run", required=True, help="folder for the weights")
    parser.add_argument("--senses", help="folder of trained senses; default <run>/senses, made if it is not there")
    parser.add_argument("--tokens", help="folder of their tokens; default <run>/tokens, made if it is not there")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--steps", type=int, help="of the system, and of the senses where they are made")
    args = parser.parse_args(argv)
    given = {k: v for k in ("seed", "steps") if (v := getattr(args, k)) is not None}
    config, log, run = configs.ALL[args.config](**given), stopwatch(), pathlib.Path(args.run)
    if not layout.names(args.data, "train"):
        raise ValueError(f"{args.data}: no batch is for train; name some in train.json")
    if config.system == "SensesApart":
        train_senses(config, args.data, run, log)
        return
    senses, tokens = args.senses or run / "senses", pathlib.Path(args.tokens or run / "tokens")
    if not args.senses and not (senses / WEIGHTS).exists():
        train_senses(configs.Senses(**given), args.data, senses, log)
    if not args.tokens and not (tokens / DONE).exists():
        log("encoding every frame of the training batches")
        cache.write_all(load(senses), args.data, tokens, ["train"], log)
        (tokens / DONE).touch()
    log(f"training {config.name}")
    save(fit_on_tokens(config, cache.read(tokens, args.data, "train"), senses, log), run)


if __name__ == "__main__":
    main()
