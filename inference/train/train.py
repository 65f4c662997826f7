"""Trains a run.

    python -m inference.train.train --data data/train --run runs/product

Writes <run>/model.weights.h5 and <run>/config.json; judge.py scores them and
release.py makes the model folder. Any Keras backend will do (KERAS_BACKEND).
Seeded: the same data, seed, machine and backend give the same figures within
±0.3 points.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import time

import keras

from . import configs, layout
from .product import Product
from .windows import Windows

WEIGHTS = "model.weights.h5"
CONFIG = "config.json"


def fit(config, batches, log=print):
    """A network trained on the batches."""
    keras.utils.set_random_seed(config.seed)
    model = Product(config)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, config.steps, alpha=0.01, warmup_target=config.learning_rate,
        warmup_steps=max(config.steps // 20, 1))
    # Clipped, because a batch of odd augmentations must not throw the statistics.
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, clipnorm=1.0),
        # Measured on two cores: XLA makes TensorFlow's small convolutions twice as slow.
        jit_compile=keras.backend.backend() == "jax")
    data = Windows(batches, config, config.steps, config.seed)
    model.fit(data, epochs=1, verbose=0, callbacks=[Progress(config.steps, log)])
    return model


class Progress(keras.callbacks.Callback):
    """A line a twentieth of the way."""

    def __init__(self, steps, log):
        super().__init__()
        self.every, self.steps, self.log = max(steps // 20, 1), steps, log
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
    model = Product(configs.Run(**json.loads((folder / CONFIG).read_text())))
    model.load_weights(folder / WEIGHTS)
    return model


def stopwatch():
    """A log to stderr with the seconds since the start."""
    start = time.monotonic()

    def log(text):
        print(f"[{time.monotonic() - start:6.0f} s] {text}", file=sys.stderr, flush=True)

    return log


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of a data set in the V2 layout")
    parser.add_argument("--run", required=True, help="folder for the weights")
    parser.add_argument("--seed", type=int, default=configs.Run.seed)
    parser.add_argument("--steps", type=int, default=configs.Run.steps)
    args = parser.parse_args(argv)
    log = stopwatch()
    log("reading training batches")
    batches = layout.read_split(args.data, "train")
    save(fit(configs.Run(seed=args.seed, steps=args.steps), batches, log), args.run)


if __name__ == "__main__":
    main()
