"""Measures adapting on a furnace that training has left out: normal hours × labelled episodes.

    python -m inference.train.adaptation_curve --called 0.3.1 --run runs/p031 --pair emission autoregressive \\
        --data data/adapt-emission --judge data/dev-emission --home data/devhome --kept docs/comparison/adapting.json --page docs/adapting.md

Makes the plant's data with furnace-sim, adapts and judges cell by cell, and keeps each cell's figures, so
that an interrupted measurement goes on with the next. --cells 0/0 5/0 5/3 measures these alone.
"""

import argparse


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.adaptation_curve", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--called", required=True, help="name of the measured network on the page")
    parser.add_argument("--run", help="folder of a run that has not seen the pair; default the network of --model")
    parser.add_argument("--model", default="inference/models/product", help="model folder, whose thresholds a run without a result has; default %(default)s")
    parser.add_argument("--pair", nargs=2, required=True, metavar=("PICTURE", "CURRENT"), help="the left-out families")
    parser.add_argument("--seen", nargs=2, default=("scene", "arcs"), metavar=("PICTURES", "CURRENTS"), help="families to replay, with commas; default scene arcs")
    parser.add_argument("--data", required=True, help="folder for the plant's data")
    parser.add_argument("--judge", required=True, help="data set of the pair whose test batches judge")
    parser.add_argument("--home", required=True, help="data set of the own house, the same")
    parser.add_argument("--cells", nargs="+", type=cell, default=None, metavar="HOURS/EPISODES", help="cells to measure; default all")
    parser.add_argument("--kept", required=True, help="JSON file for the figures")
    parser.add_argument("--page", help="page to write")
    parser.add_argument("--ceiling", action="store_true", help="the network has learnt the pair: measure it as it is, as the ceiling of the others")
    parser.add_argument("--every", type=int, default=3, help="seconds between verdicts; default 3")
    return parser


def cell(text):
    """HOURS/EPISODES as two numbers."""
    parts = text.split("/")
    if len(parts) != 2 or not all(p.isdigit() for p in parts):
        raise argparse.ArgumentTypeError(f"is {text!r}; give HOURS/EPISODES, such as 5/3")
    return tuple(int(p) for p in parts)


def main(argv=None):
    args = parser().parse_args(argv)
    # Only now, because it takes seconds.
    from ..adaptation.curve import EPISODES, HOURS, measure

    cells = args.cells or [(0, 0)] if args.ceiling else args.cells or [(h, e) for e in EPISODES for h in HOURS]
    measure(args.called, args.run, args.model, tuple(args.pair), tuple(args.seen), args.data, args.judge, args.home, cells,
            args.kept, args.page, ceiling=args.ceiling, every=args.every)
