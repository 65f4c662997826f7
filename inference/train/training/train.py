"""Trains a run, from recordings to weights.

    python -m inference.train.train --data data/train --run runs/product

First trains the unimodal network from pixels and makes the codebook (<run>/senses), then
encodes every frame with its tokenizers (<run>/tokens), then trains the product on those
tokens. Finished stages are kept, so an interrupted run resumes. Other networks use the
tokens of an earlier run:

    python -m inference.train.train --config clmlf --data data/train --run runs/clmlf \\
        --senses runs/product/senses --tokens runs/product/tokens

Writes <run>/model.weights.h5 and <run>/config.json; calibrate scores a run and release
makes the model folder. Any Keras backend works (KERAS_BACKEND). Runs are seeded: the same
data, seed, machine and backend reproduce the figures within ±0.3 points.
"""

import argparse
import pathlib

from ..data import cache, layout
from . import configs, encode, quantize
from .checkpoint import WEIGHTS, load, save
from .fit import fit_on_tokens, fit_unimodal, stopwatch

DONE = "done"  # marks a complete folder of tokens


def train_unimodal(config, data, folder, log=print):
    """Trains and saves the unimodal network and its codebook; takes up to a quarter of an hour."""
    log("reading training batches")
    batches = layout.read_split(data, "train")
    log("training the unimodal network")
    model = fit_unimodal(config, batches, cache.lags(data), log)
    log("making the codebook of the current")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    quantize.save(folder, *quantize.make(batches, config.dim, config.seed))
    save(model, folder)  # last, because weights mark a complete folder


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=sorted(configs.ALL), default="product")
    parser.add_argument("--data", required=True, help="folder of a data set in either published layout")
    parser.add_argument("--run", required=True, help="folder for the weights")
    parser.add_argument("--senses", help="folder of a trained unimodal network; default <run>/senses, trained if missing")
    parser.add_argument("--tokens", help="folder of its tokens; default <run>/tokens, encoded if missing")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--steps", type=int, help="training steps of the network, and of the unimodal network if that is trained")
    args = parser.parse_args(argv)
    given = {k: v for k in ("seed", "steps") if (v := getattr(args, k)) is not None}
    config, log, run = configs.ALL[args.config](**given), stopwatch(), pathlib.Path(args.run)
    if not layout.names(args.data, "train"):
        raise ValueError(f"{args.data}: no batch is assigned to train; name some in train.json")
    if config.system == "SensesApart":
        train_unimodal(config, args.data, run, log)
        return
    unimodal, encoded = args.senses or run / "senses", pathlib.Path(args.tokens or run / "tokens")
    if not args.senses and not (unimodal / WEIGHTS).exists():
        train_unimodal(configs.ALL[config.senses](**given), args.data, unimodal, log)
    if not args.tokens and not (encoded / DONE).exists():
        log("encoding every frame of the training batches")
        encode.write_all(load(unimodal), args.data, encoded, ["train"], log)
        (encoded / DONE).touch()
    log(f"training {config.name}")
    save(fit_on_tokens(config, cache.read(encoded, args.data, "train"), unimodal, log), run)
