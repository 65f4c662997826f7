"""Trains a run, chooses its decision on validation batches, scores it on test.

    python -m inference.train.train --data data --run runs/product

Writes <run>/model.weights.h5 and <run>/result.json; release.py makes the model
folder of them. Any Keras backend will do (KERAS_BACKEND). Seeded: the same data,
seed, machine and backend give the same figures within ±0.3 points.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import time

import keras

from . import configs, decision, evaluate, layout, timeline
from .product import Product
from .windows import Windows

WEIGHTS = "model.weights.h5"
RESULT = "result.json"


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


def assess(model, folder, log=print):
    """Decision and rule levels from validation batches, figures from test batches."""
    validation = layout.read_split(folder, "val", rerolls=False)
    test = layout.read_split(folder, "test", rerolls=False)
    log(f"judging {len(validation)} validation and {len(test)} test batches")
    judged = timeline.judge(model, validation + test)
    judged_validation, judged_test = judged[: len(validation)], judged[len(validation) :]
    chosen = decision.choose(judged_validation)
    return {
        "config": dataclasses.asdict(model.config),
        "decision": dataclasses.asdict(chosen),
        "rule": evaluate.rule_levels(validation),
        "metrics": evaluate.metrics(chosen, validation, test, judged_validation, judged_test)
        | {"parameters": model.count_params()},
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of a data set in the V2 layout")
    parser.add_argument("--run", required=True, help="folder for weights and result")
    parser.add_argument("--seed", type=int, default=configs.Run.seed)
    parser.add_argument("--steps", type=int, default=configs.Run.steps)
    args = parser.parse_args(argv)
    start = time.monotonic()

    def log(text):
        print(f"[{time.monotonic() - start:6.0f} s] {text}", file=sys.stderr, flush=True)

    run = pathlib.Path(args.run)
    run.mkdir(parents=True, exist_ok=True)
    log("reading training batches")
    model = fit(configs.Run(seed=args.seed, steps=args.steps), layout.read_split(args.data, "train"), log)
    model.save_weights(run / WEIGHTS)
    result = assess(model, args.data, log)
    (run / RESULT).write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result["metrics"].items():
        print(f"{name:32} {value}")
    log(f"decision {result['decision']}, rule {result['rule']}")


if __name__ == "__main__":
    main()
