"""Adapts a model to a plant: from hours of its own normal work, and from labelled episodes where there are some.

    python -m inference.train.adapt --normal data/own-normal --out models/own
    python -m inference.train.adapt --normal data/own-normal --labelled data/own \\
        --replay data/replay --out models/own --key desk.key --key-name desk

Normal hours alone (meltwatch export --normal) calibrate the senses' verdicts and move the
thresholds, within bounds. Labelled batches (meltwatch export) train the whole network further,
held near the shipped one; --replay, data of furnace-sim, keeps it from forgetting other furnaces.
Writes the model folder, a page of what changed and what it was judged on (OUT.md) and, with
--key, the signed package (OUT.model). It is refused if the agent's check rejects it or if it is worse than the
shipped model on labelled batches that were held out.
"""

import argparse

from ..training import configs
from .arguments import whole


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.adapt", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="inference/models/product", help="folder of the shipped model; default %(default)s")
    parser.add_argument("--normal", nargs="+", default=[], metavar="DATA", help="folders of normal hours: val.json is chosen on, test.json reported on")
    parser.add_argument("--labelled", nargs="+", default=[], metavar="DATA", help="folders of batches with labelled abnormal stretches")
    parser.add_argument("--replay", nargs="+", default=[], metavar="DATA", help="folders of data of both classes that the shipped model was trained on or the like")
    parser.add_argument("--out", required=True, help="model folder to write; an older one is replaced")
    parser.add_argument("--name", help="name of the model in the agent's messages; default that of the shipped one")
    parser.add_argument("--version", help="its version; default that of the shipped one with +own")
    parser.add_argument("--key", help="private key that signs the package, from meltwatch model keygen")
    parser.add_argument("--key-name", help="name under which the boxes know the key")
    parser.add_argument("--confirmed-normal", action="store_true",
                        help="go on although both senses see an abnormal melt in the normal hours: a person has looked")
    parser.add_argument("--force", action="store_true", help="write the model although it is worse on the held-out batches")
    parser.add_argument("--steps", type=whole, help="training steps on labelled batches; default 200")
    parser.add_argument("--every", type=whole, default=3, help="seconds between verdicts when batches are scored; default 3")
    parser.add_argument("--seed", type=whole, default=1, help="of the training windows; default 1")
    parser.add_argument("--config", choices=sorted(configs.ALL), metavar="NAME", help="config that the shipped network was trained with; default as its manifest tells, for a release since 0.4.0")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    # Only now, because it takes seconds.
    from ..adaptation.adapt import Request, adapt
    from ..adaptation.student import Training

    training = Training(seed=args.seed, **({"steps": args.steps} if args.steps else {}))
    manifest = adapt(Request(args.model, args.out, tuple(args.normal), tuple(args.labelled), tuple(args.replay), args.config, args.every, training,
                             args.confirmed_normal, args.force, args.key, args.key_name, args.name, args.version))
    print(f"{args.out}: {manifest['name']} {manifest['version']}; what changed is in {args.out}.md"
          + (f", the signed package is {args.out}.model" if args.key else ""))
