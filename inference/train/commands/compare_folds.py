"""Trains and scores the comparison's rows on furnaces of families that training left out.

    python -m inference.train.compare_folds --fold emission --data data/fold-emission-mix \\
        --val data/valmix --normal data/hourshouses --judge data/judge-emission

--data trains, without the left-out families; of --val (melts of both classes) and of --normal
(normal hours), split val, only batches of the other families choose thresholds; --judge holds
melts of the left-out pair, split test, of a seed of which nothing was read before. Each row is
trained on shared tokenizers, those of the unimodal network in --senses, and together with
tokenizers of its own, from pixels. Figures go to --results, one file a run, and the page is
written after each. A run that is done is not done again; one of other settings is refused.
After Ctrl-C the same command goes on, also within a run. Without --fold only the page is written.
"""

import argparse
import pathlib
import sys

from ..comparison import folds, workers
from .arguments import whole


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.compare_folds", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fold", choices=sorted(folds.FOLDS), help="the picture that is left out, with its current")
    parser.add_argument("--data", help="data set that trains; default data/fold-FOLD-mix")
    parser.add_argument("--val", default="data/valmix", type=pathlib.Path, help="melts to choose thresholds on; default %(default)s")
    parser.add_argument("--normal", default="data/hourshouses", type=pathlib.Path, help="normal hours to choose thresholds on; default %(default)s")
    parser.add_argument("--judge", help="melts of the left-out pair; default data/judge-FOLD")
    parser.add_argument("--senses", help="folder of the fold's unimodal network; default runs/fold-FOLD-senses")
    parser.add_argument("--tokens", help="folder of its tokens of --data, encoded if missing; default runs/fold-FOLD-tokens")
    parser.add_argument("--runs", default="runs/folds", type=pathlib.Path, help="folder for weights and tokens; default %(default)s")
    parser.add_argument("--results", default="docs/comparison/folds", type=pathlib.Path, help="folder for the figures; default %(default)s")
    parser.add_argument("--page", default="docs/comparison-folds.md", type=pathlib.Path, help="page to write; default %(default)s")
    parser.add_argument("--rows", nargs="+", choices=[*folds.UNTRAINED, *folds.ROWS], metavar="ROW", help=f"of {', '.join((*folds.UNTRAINED, *folds.ROWS))}; default all")
    parser.add_argument("--tokenizers", nargs="+", choices=folds.TOKENIZERS, default=folds.TOKENIZERS, help="default both")
    for kind in folds.TOKENIZERS:
        parser.add_argument(f"--{kind}-seeds", nargs="+", type=whole, default=folds.SEEDS[kind], metavar="SEED",
                            help=f"of runs with {kind} tokenizers; default {' '.join(map(str, folds.SEEDS[kind]))}")
        parser.add_argument(f"--{kind}-steps", type=whole, default=folds.STEPS[kind], metavar="STEPS", help="training steps of these; default %(default)s")
    parser.add_argument("--jobs", type=whole, default=workers.default(),
                        help="runs with shared tokenizers at once, each bound to cores of its own; default %(default)s here")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    # Only now, because it takes seconds.
    from ..comparison import folds_page

    write = lambda: folds_page.write(args.results, args.page)
    failed = work(args, write, sys.argv[1:] if argv is None else argv) if args.fold else 0
    write()
    return failed


def work(args, write, given_arguments):
    """Runs what is left of a fold; returns the exit status of a process that failed, or 0."""
    from ..comparison import folds_run
    from ..comparison.folds_data import Sources
    from ..training.fit import stopwatch

    given = {"data": f"data/fold-{args.fold}-mix", "judge": f"data/judge-{args.fold}", "senses": f"runs/fold-{args.fold}-senses", "tokens": f"runs/fold-{args.fold}-tokens"}
    folder = lambda name: pathlib.Path(getattr(args, name) or given[name])
    sources = Sources(folds.FOLDS[args.fold], folder("data"), args.val, args.normal, folder("judge"))
    study = folds_run.Study(sources, folder("senses"), folder("tokens"), args.runs, args.results,
                            {kind: getattr(args, f"{kind}_steps") for kind in folds.TOKENIZERS}, log=stopwatch())
    seeds = {kind: getattr(args, f"{kind}_seeds") for kind in folds.TOKENIZERS}
    jobs = list(folds.jobs(args.fold, args.tokenizers, args.rows, seeds))
    if args.jobs > 1 and (count := min(args.jobs, folds_run.prepare(study, jobs))) > 1:
        study.log(f"{count} runs with shared tokenizers at once")
        if status := workers.spread("inference.train.compare_folds", [*given_arguments, "--tokenizers", folds.SHARED], count):
            return status
    folds_run.go_on(study, jobs, write)
    return 0 if all(study.load(job) for job in jobs) or args.jobs == 1 else 1  # 1: another process has claimed some
