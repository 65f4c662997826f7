"""Judges a network on furnaces whose families its training has left out, beside its ceiling.

    python -m inference.train.left_out score --fold metal --run runs/fold-metal --ceiling inference/models/product \\
        --trained data/fold-metal --data data/fold-metal-test --normal data/fold-metal-quiet
    python -m inference.train.left_out page

`score` scores the run, with the thresholds that it has chosen on families it knows, and the
ceiling, a model that other melts of the left-out families have trained, on the same melts. It
refuses data whose seed trained the run. Each reading is counted in docs/left-out/FOLD.json. `page`
writes docs/left-out.md from these files. scripts/folds.sh makes the data and trains.
"""

import argparse
import datetime
import json
import os
import pathlib

from ..data import layout
from ..evaluation import metrics
from ..training.encode import weights_of
from ..training.fit import stopwatch
from . import left_out_page, transfer

FIGURES = pathlib.Path("docs/left-out")
PAGE = pathlib.Path("docs/left-out.md")
EVERY = 3  # seconds between verdicts


def described(folder):
    """A data set's index; ValueError where it cannot be read."""
    path = pathlib.Path(folder) / "dataset.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as fault:
        raise ValueError(f"{path}: cannot be read: {fault}; make the data set with furnace-sim dataset") from fault


def pairs(folder):
    """The pairs of families in a folder."""
    return set(transfer.families(folder).values())


def seed(folder):
    """The seed of a data set; ValueError without one."""
    known = described(folder)
    if "seed" not in known:
        raise ValueError(f"{folder}/dataset.json: has no seed; name the data sets that were joined, not the joined one")
    return known["seed"]


def unseen(trained, data, normal):
    """What of each pair of families training has left out: "picture + current" → "both", "picture" or "current".

    ValueError for data of a seed, or of families, that training had.
    """
    seeds = {seed(f) for f in trained}
    for folder in (*data, *normal):
        if seed(folder) in seeds:
            raise ValueError(f"{folder}: has the seed {seed(folder)} of the training data; score on another seed")
    seen, found = set().union(*map(pairs, trained)), {}
    pictures, currents = {p for p, _ in seen}, {c for _, c in seen}
    for folder in data:
        for picture, current in pairs(folder):
            what = [name for name, new in (("picture", picture not in pictures), ("current", current not in currents)) if new]
            if not what:
                raise ValueError(f"{folder}: {picture} and {current} are both in the training data; score on a family that it has left out")
            found[f"{picture} + {current}"] = "both" if len(what) == 2 else what[0]
    return found


def scored(args, data, normal, log):
    """The figures of a model by pair of families: "picture + current" → metrics."""
    runner, decision, suspect = transfer.opened(args)
    of = lambda folders, alone: transfer.merged(transfer.predictions(runner, f, decision, args.every, alone, log=log) for f in folders)
    mixed, quiet = of(data, True), of(normal, False)
    return {" + ".join(pair): metrics.rounded(transfer.figures(some, quiet.get(pair, []), decision, suspect)) for pair, some in mixed.items()}


def measure(args, log=None):
    """Judges a run and its ceiling and keeps the figures; returns the file's content."""
    log, path = log or stopwatch(), pathlib.Path(args.into) / f"{args.fold}.json"
    left_out = unseen(args.trained, args.data, args.normal)
    known = json.loads(path.read_text()) if path.exists() else {"readings": []}
    network = weights_of(args.run)
    if any(r["weights"] == network for r in known["readings"]) and not args.again:
        raise ValueError(f"{path}: this network has been scored on the fold already; --again scores it and counts one more reading")
    ceiling = argparse.Namespace(model=args.ceiling, run=None, every=args.every)
    found = {
        "fold": args.fold, "trained": args.note, "left_out": left_out,
        "readings": [*known["readings"], {"date": datetime.date.today().isoformat(), "weights": network}],
        "data": [{k: described(f)[k] for k in ("seed", "life", "seconds")} | {"batches": len(layout.names(f, "test"))} for f in (*args.data, *args.normal)],
        "figures": scored(argparse.Namespace(model=None, run=args.run, every=args.every), args.data, args.normal, log),
        "ceiling": scored(ceiling, args.data, args.normal if args.ceiling_normal else [], log) if args.ceiling else known.get("ceiling", {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    os.replace(part, path)
    return found


def read(folder):
    """What has been scored: fold → content of its file, by name."""
    return {p.stem: json.loads(p.read_text()) for p in sorted(pathlib.Path(folder).glob("*.json"))}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="\n\n".join(__doc__.split("\n\n")[1:]), formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("score", help="score a run on what its training has left out")
    one.add_argument("--fold", required=True, help="name of the fold: the family of picture that is left out")
    one.add_argument("--run", required=True, help="folder of the run, calibrated on families that it knows")
    one.add_argument("--trained", nargs="+", required=True, help="folders of the data sets that it was trained on, before they were joined")
    one.add_argument("--data", nargs="+", required=True, help="folders of test melts of left-out families")
    one.add_argument("--normal", nargs="*", default=[], help="folders of their normal hours")
    one.add_argument("--ceiling", help="folder of a model that has learnt these families, scored on the same melts")
    one.add_argument("--ceiling-normal", action="store_true", help="score the ceiling on the normal hours too")
    one.add_argument("--every", type=int, default=EVERY, help="seconds between verdicts")
    one.add_argument("--note", default="", help="one line on how the run was trained")
    one.add_argument("--again", action="store_true", help="score a network that has been scored before; the reading is counted")
    one.add_argument("--into", default=str(FIGURES), help="folder of the figures")
    other = parts.add_parser("page", help="write the page from the figures")
    other.add_argument("--figures", default=str(FIGURES))
    other.add_argument("--page", default=str(PAGE))
    args = parser.parse_args(argv)
    if args.part == "score":
        measure(args)
    else:
        pathlib.Path(args.page).write_text(left_out_page.page(read(args.figures)), encoding="utf-8")
