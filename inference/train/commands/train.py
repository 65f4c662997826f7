"""Trains a run, from recordings to weights.

    python -m inference.train.train --data data/train --run runs/product

First trains the unimodal network from pixels and makes the codebook (<run>/senses), then
encodes every frame with its tokenizers (<run>/tokens), then trains the product on those
tokens. Other networks use the tokens of an earlier run:

    python -m inference.train.train --config clmlf --data data/train --run runs/clmlf \\
        --senses runs/product/senses --tokens runs/product/tokens

A trained product is fine-tuned together with its tokenizers, from pixels:

    python -m inference.train.train --config product-finetune --data data/more --run runs/finetuned --finetune runs/product

After Ctrl-C or a loss of power the same command goes on from the last of 20 checkpoints.
It is refused with other settings or other data. While a network is trained, its folder
gets training.csv, tensorboard/ and training.png with the loss of training and, where the
data set has batches in val, of validation.

Writes <run>/model.weights.h5 and <run>/config.json; calibrate scores a run and release
makes the model folder. Any Keras backend works (KERAS_BACKEND). Runs are seeded: the same
data, seed, machine and backend reproduce the figures within ±0.3 points.
"""

import argparse
import dataclasses
import pathlib

from ..training import configs
from .arguments import whole


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=sorted(configs.ALL), default="product", metavar="NAME",
                        help=f"network and settings: {', '.join(sorted(configs.ALL))}; default product")
    parser.add_argument("--data", required=True, help="folder of a data set in either published layout")
    parser.add_argument("--run", required=True, help="folder for the weights")
    parser.add_argument("--senses", help="folder of a trained unimodal network; default <run>/senses, trained if missing")
    parser.add_argument("--tokens", help="folder of its tokens; default <run>/tokens, encoded if missing")
    parser.add_argument("--finetune", metavar="RUN", help="folder of a trained run whose network is fine-tuned, from pixels; its config and --config have the same network")
    parser.add_argument("--seed", type=whole, help="of the initial weights and the windows; default 1")
    parser.add_argument("--steps", type=whole, help="training steps of the network, and of the unimodal network if that is trained")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    # Only now, because it takes seconds.
    from ..training.train import train, train_finetune

    given = {k: v for k in ("seed", "steps") if (v := getattr(args, k)) is not None}
    if args.finetune:
        if args.senses or args.tokens:
            raise ValueError("--finetune: takes the tokenizers of that run; leave out --senses and --tokens")
        config = configs.ALL[args.config](**given)
        config = dataclasses.replace(config, spans_steps=min(config.spans_steps, config.steps))
        return train_finetune(config, args.data, args.run, args.finetune)
    train(configs.ALL[args.config](**given), args.data, pathlib.Path(args.run), args.senses, args.tokens, given)
