"""Makes the model folder of a calibrated run, which the agent loads.

    python -m inference.train.release --data data/train --run runs/product \\
        --out inference/models/product --figures docs/model-figures.md
"""

import argparse


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.release", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of a data set in either published layout")
    parser.add_argument("--run", required=True, help="folder of the calibrated run")
    parser.add_argument("--out", required=True, help="model folder to write; an older one is replaced")
    parser.add_argument("--figures", help="page to write with the model's figures")
    parser.add_argument("--houses", nargs="*", default=[], help="figures of other families of furnaces, written by transfer --out")
    parser.add_argument("--name", help="name of the model in the agent's messages")
    parser.add_argument("--version", help="version of the model, such as 1.0.0")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    from ..export.release import release_run, warnings

    called = {k: v for k in ("name", "version") if (v := getattr(args, k))}
    manifest = release_run(args.run, args.data, args.out, args.figures, args.houses, called)
    print(f"{args.out}: {manifest['name']} {manifest['version']}, {len(manifest['files'])} files")
    for warning in warnings(manifest["metrics"]):
        print(f"warning: {warning}")
