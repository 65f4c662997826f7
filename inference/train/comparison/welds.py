"""Trains and judges rows of the comparison on arc welds: real video and current of one process.

    python -m inference.train.welds --data ../shared/data/weld --out /tmp/welds --into docs/comparison-real.md

Every weld is judged by networks that never saw it: the welds are dealt to folds, and each row
is trained for each fold and seed on the other folds' welds. A run writes its figures to
ROW-FOLD-SEED.json in --out and is not repeated; figures of other settings or other data are
refused. The page is written after every run from what is there, so the command may be
stopped at any time. Networks trained on the welds are not kept. All of it takes some 30 to 40
minutes of one idle core: 10 to 15 s a run, and three times that for Q-Former.
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import pathlib
import sys

import numpy as np

from ..data import welds
from ..training.fit import stopwatch
from . import welds_offset, welds_page, welds_retrieval, welds_ridge, welds_rows

VERSION = 1  # increased when code changes the figures, so that runs are repeated
FOLDS = 6
SEEDS = (1, 2, 3)
RIDGE = "ridge"
RIDGE_TOKENS = "ridge-tokens"  # the ridge on what the networks read
EACH = "ridge-each"  # the ridge with every weld left out in turn
TOGETHER = "all"  # in place of a seed: the readings of all seeds, averaged


@dataclasses.dataclass
class Job:
    """One row on one fold with one seed."""

    row: str
    fold: int
    seed: int

    @property
    def name(self):
        return f"{self.row}-{self.fold}-{self.seed}"


@dataclasses.dataclass
class Study:
    """The welds, their folds, and where the figures go."""

    known: list
    folds: list
    out: pathlib.Path
    steps: int | None = None  # of every run, or None for a row's own

    def fingerprint(self, row):
        """A hash of what a row's figures depend on: the code's version, its settings, the folds and the welds."""
        settings = {} if row not in welds_rows.ROWS else dataclasses.asdict(welds_rows.config_of(row, 0, self.steps))
        settings = {k: v for k, v in settings.items() if k not in ("row", "title")}
        text = json.dumps([VERSION, settings, self.folds, self.digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @functools.cached_property
    def digest(self):
        """A hash of the welds."""
        data = hashlib.sha256()
        for weld in self.known:
            for part in (weld.name.encode(), weld.frames.tobytes(), weld.current.tobytes()):
                data.update(part)
        return data.hexdigest()

    def parts(self, fold):
        """The welds to train on and the held-out ones of a fold."""
        held = self.folds[fold]
        return [w for i, w in enumerate(self.known) if i not in held], [self.known[i] for i in held]

    def path(self, name):
        return self.out / f"{name}.json"

    def load(self, name, row):
        """The figures of an earlier run, or None; ValueError if they are of other settings."""
        path = self.path(name)
        if not path.exists():
            return None
        try:
            kept = json.loads(path.read_text())
            same = kept["fingerprint"] == self.fingerprint(row)
        except (json.JSONDecodeError, KeyError, TypeError) as e:
            raise ValueError(f"{path}: is not a run's result; remove it, and it is run again") from e
        if not same:
            raise ValueError(f"{path}: was made with other settings, other welds or an earlier version; "
                             "give --out a new folder, or remove the files there")
        return kept

    def write(self, name, row, result):
        """Writes figures whole or not at all, so that a stopped run leaves nothing half done."""
        path = self.path(name)
        half = path.with_suffix(".part")
        half.write_text(json.dumps({"fingerprint": self.fingerprint(row), "row": row} | result) + "\n")
        half.replace(path)


def run(study, job, trainers, log):
    """Trains a row on a fold and judges the held-out welds: the figures, and the readings to average.

    trainers: row → its Trainer.
    """
    known, held = study.parts(job.fold)
    components = welds_ridge.fit_components(known)
    if job.row in (RIDGE, RIDGE_TOKENS):
        ridge = welds_ridge.fit_ridge(known, components, like_networks=job.row == RIDGE_TOKENS)
        readings, retrieved = [ridge.reading(w) for w in held], welds_retrieval.of_ridge(ridge, held)
    else:
        trainer = trainers.setdefault(job.row, welds_rows.Trainer())
        trainer.train(welds_rows.config_of(job.row, job.seed, study.steps), known, components, log)
        readings = [welds_rows.read(trainer, w, components) for w in held]
        retrieved = welds_retrieval.of_network(trainer, held, components)
    return answers(job, held, readings) | {"retrieval": retrieved}, readings


def answers(job, held, readings):
    return {"fold": job.fold, "seed": job.seed,
            "welds": {w.name: welds_offset.assess(r, w) for w, r in zip(held, readings, strict=True)}}


def averaged(study, job, seeds):
    """The figures of the readings of all seeds together, or None while one is missing."""
    paths = [study.out / f"{Job(job.row, job.fold, seed).name}.npz" for seed in seeds]
    if not all(p.exists() and study.load(p.stem, job.row) for p in paths):
        return None
    _, held = study.parts(job.fold)
    kept = [np.load(p) for p in paths]
    together = [welds_offset.Together([welds_offset.Codes(k[f"attention{n}"], k[f"share{n}"]) for k in kept])
                for n in range(len(held))]
    return answers(job, held, together) | {"seeds": list(seeds)}


def load_averaged(study, job, seeds):
    """The figures of all seeds together, or None if they are missing or of other seeds."""
    kept = study.load(job.name, job.row)
    return kept if kept and kept["seeds"] == list(seeds) else None


def keep(path, readings):
    """The readings of a network with a codebook, for averaged()."""
    arrays = {f"{what}{n}": values.astype(np.float16) for n, r in enumerate(readings)
              for what, values in (("attention", r.log_attention), ("share", r.share))}
    np.savez_compressed(path, **arrays)


def ridge_of_each(study):
    """The ridge with every weld left out in turn, as the README of the data did it."""
    found = {}
    for n, weld in enumerate(study.known):
        others = study.known[:n] + study.known[n + 1 :]
        ridge = welds_ridge.fit_ridge(others, welds_ridge.fit_components(others))
        found[weld.name] = welds_offset.assess(ridge.reading(weld), weld)
    return {"welds": found}


def jobs(rows, folds, seeds):
    """All jobs: the ridge first, then each row's first seed, and so on."""
    yield from (Job(row, fold, 0) for row in (RIDGE, RIDGE_TOKENS) for fold in range(folds))
    for seed in seeds:
        for row in rows:
            yield from (Job(row, fold, seed) for fold in range(folds))


def results(study, rows, seeds):
    """The figures that are there: row → seed → fold → figures; and those of ridge_of_each, or None."""
    found = {}
    for job in jobs(rows, len(study.folds), seeds):
        if kept := study.load(job.name, job.row):
            found.setdefault(job.row, {}).setdefault(job.seed, {})[job.fold] = kept
    for row in rows:
        for fold in range(len(study.folds)):
            if kept := load_averaged(study, Job(row, fold, TOGETHER), seeds):
                found.setdefault(f"{row}-{TOGETHER}", {}).setdefault(TOGETHER, {})[fold] = kept
    return found, study.load(EACH, RIDGE)


def write_page(study, rows, seeds, into):
    found, each = results(study, rows, seeds)
    into.write_text("\n\n".join(welds_page.page(study, rows, seeds, found, each)) + "\n", encoding="utf-8")


def arguments(argv):
    names = list(welds_rows.ROWS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=pathlib.Path, help=welds.GET)
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder of the figures of each run; goes on where it stopped")
    parser.add_argument("--into", type=pathlib.Path, help="the page to write, such as docs/comparison-real.md")
    parser.add_argument("--rows", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--steps", type=int, help="of every run, for a short look; a row's own without it")
    args = parser.parse_args(argv)
    if args.folds < 2:
        parser.error("--folds: at least 2, so that a weld is judged by a network that never saw it")
    return args


def main(argv=None):
    args = arguments(argv)
    try:
        return work(args, stopwatch())
    except (ValueError, OSError) as e:
        print(f"welds: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("welds: stopped; the same command goes on", file=sys.stderr)
        return 130


def work(args, log):
    if args.into and not args.into.resolve().parent.is_dir():
        raise ValueError(f"--into {args.into}: its folder is missing; make it")
    known = welds.read(args.data)
    log(f"{len(known)} welds of {np.sum([w.seconds for w in known]):.0f} s in {args.data}")
    args.out.mkdir(parents=True, exist_ok=True)
    study = Study(known, welds.folds(known, args.folds), args.out, args.steps)
    if study.load(EACH, RIDGE) is None:
        study.write(EACH, RIDGE, ridge_of_each(study))
    every = list(jobs(args.rows, len(study.folds), args.seeds))
    left = [job for job in every if study.load(job.name, job.row) is None]
    log(f"{len(left)} of {len(every)} runs left, 10 to 45 s each on an idle core")
    trainers = {}
    for n, job in enumerate(left):
        log(f"run {n + 1} of {len(left)}: {job.row}, fold {job.fold + 1} of {len(study.folds)}, seed {job.seed}")
        result, readings = run(study, job, trainers, log if args.steps is None else (lambda _: None))
        if isinstance(readings[0], welds_offset.Codes):
            keep(study.out / f"{job.name}.npz", readings)
        study.write(job.name, job.row, result)
        log(", ".join(f"{s} s: {share:.2f}" for s, share in shares(result).items()) + " of the stretches found")
        if args.into and job.fold == len(study.folds) - 1:
            write_page(study, args.rows, args.seeds, args.into)
    together(study, args.rows, args.seeds)
    if args.into:
        write_page(study, args.rows, args.seeds, args.into)
        log(f"wrote {args.into}")
    return 0


def together(study, rows, seeds):
    """Judges the seeds' readings together, where all of a fold are there and more than one."""
    for job in (Job(row, fold, TOGETHER) for row in rows if len(seeds) > 1 for fold in range(len(study.folds))):
        if load_averaged(study, job, seeds) is None and (result := averaged(study, job, seeds)):
            study.write(job.name, job.row, result)


def shares(result):
    """Seconds → share of a run's stretches that are right."""
    pooled = {s: np.concatenate([welds_offset.found_right(w["stretches"][str(s)]) for w in result["welds"].values()])
              for s in welds_offset.LENGTHS}
    return {s: float(right.mean()) if len(right) else float("nan") for s, right in pooled.items()}
