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
import pathlib

from . import configs, encode, quantize
from ..data import cache, layout
from .checkpoint import WEIGHTS, load, save
from .fit import fit_on_tokens, fit_unimodal, stopwatch

DONE = "done"  # stands in a folder of tokens that is whole


def train_unimodal(config, data, folder, log=print):
    """Trains and saves the senses and their bank; seconds to a quarter of an hour."""
    log("reading training batches")
    batches = layout.read_split(data, "train")
    log("training the senses by themselves")
    model = fit_unimodal(config, batches, cache.lags(data), log)
    log("making the bank of current units")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    quantize.save(folder, *quantize.make(batches, config.dim, config.seed))
    save(model, folder)  # last: a folder with weights is whole


def main(argv=None):
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
        train_unimodal(config, args.data, run, log)
        return
    unimodal, encoded = args.senses or run / "senses", pathlib.Path(args.tokens or run / "tokens")
    if not args.senses and not (unimodal / WEIGHTS).exists():
        train_unimodal(configs.Unimodal(**given), args.data, unimodal, log)
    if not args.tokens and not (encoded / DONE).exists():
        log("encoding every frame of the training batches")
        encode.write_all(load(unimodal), args.data, encoded, ["train"], log)
        (encoded / DONE).touch()
    log(f"training {config.name}")
    save(fit_on_tokens(config, cache.read(encoded, args.data, "train"), unimodal, log), run)
