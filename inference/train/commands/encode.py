"""Encodes every second's frame with the frozen tokenizers, once for all runs (data/cache.py).

    python -m inference.train.encode --senses runs/senses --data data/train --out runs/tokens/train

A batch that is encoded already is kept, so an interrupted run goes on with the next.
"""

import argparse

from ..data.layout import SPLITS


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.encode", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--senses", required=True, help="folder of the trained unimodal network")
    parser.add_argument("--data", required=True, help="folder of the data set")
    parser.add_argument("--out", required=True, help="folder for the tokens")
    parser.add_argument("--splits", nargs="+", default=SPLITS, choices=SPLITS)
    parser.add_argument("--scenes", type=int, metavar="BATCHES",
                        help="instead encode so many test batches in each scene of data/scenes.py, into OUT-<scene>")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    from ..training.encode import encode

    encode(args.senses, args.data, args.out, args.splits, args.scenes)
