"""Trains and scores every row of the comparison with several seeds; resumes where it stopped.

    make compare                                        # all of it
    python -m inference.train.compare --rows mlf clmlf --seeds 1

Every run writes its weights to runs/compare/<row>-<seed> and a small JSON of figures to
docs/comparison/, from which report.py makes docs/comparison.md.
A run whose JSON comes from the same config and data is skipped. The tokenizers are trained
once, with one seed, and frozen, so the spread over seeds excludes them.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import sys

import numpy as np

from ..data import cache, scenes
from ..evaluation import batched, clock_offset, metrics, operating_point, rule
from ..models.closed_loop import Compiled, Runner
from ..models.decision import Decision
from ..training import configs
from ..training.checkpoint import load, save
from ..training.fit import fit_on_tokens, stopwatch
from . import example, sanity, workers

RESULTS = pathlib.Path("docs/comparison")
EVERY_MIXED, EVERY_ALONE, EVERY_NORMAL, EVERY_STRESS = 4, 16, 8, 30  # seconds between verdicts
STRESSED = 24  # test batches under each condition
ROC_POINTS = 60


@dataclasses.dataclass
class Data:
    """Tokenized batches for training, for thresholds and for scoring, mixed and normal."""

    train: list
    val: list
    test: list
    normal_val: list
    normal_test: list
    scenes: dict = dataclasses.field(default_factory=dict)  # scene → the first test batches in it


def read(encoded, data):
    """Reads Data from the folders of tokens and of data sets; each contains train, val, test and normal."""
    part = lambda folder, split, **more: cache.read(pathlib.Path(encoded) / folder, pathlib.Path(data) / folder, split, **more)
    return Data(part("train", "train"), *(part(f, s, rerolls=False) for f, s in (
        ("val", "val"), ("test", "test"), ("normal", "val"), ("normal", "test"))), {
            scene: cache.read(pathlib.Path(encoded) / f"test-{scene}", pathlib.Path(data) / "test", "test",
                              rerolls=False, most=STRESSED) for scene in scenes.SCENES})


def assess(model, data, seen=40):
    """All figures of a network over cached tokens, with thresholds from validation alone."""
    runner = Runner(model)
    step = runner.step
    predicted = {k: batched.predict(step, getattr(data, k), EVERY_MIXED, EVERY_ALONE) for k in ("val", "test")}
    quiet = {k: batched.predict(step, getattr(data, k), EVERY_NORMAL) for k in ("normal_val", "normal_test")}
    chosen = operating_point.choose(predicted["val"], quiet["normal_val"])
    figures = seconds(data, predicted) | metrics.events(predicted["test"], quiet["normal_test"], chosen)
    figures |= {"parameters": model.count_params()}
    # Accuracy on training batches, with their first currents and one augmented view of the frames.
    known = batched.predict(step, data.train[:seen], EVERY_MIXED)
    threshold = metrics.best_threshold(*metrics.scored(predicted["val"], "both"))
    figures["train_accuracy"] = accuracy(*metrics.scored(known, "both"), threshold)
    return {
        "figures": metrics.rounded(figures),
        "decision": vars(chosen),
        "roc": roc(*metrics.scored(predicted["test"], "both")),
        "delays": delays(predicted, quiet, chosen),
        "filters": filters(predicted["test"], quiet["normal_test"], chosen),
        "conditions": conditions(step, data.test[:STRESSED], data.scenes, threshold),
        "offset": clock_offset.found_offsets(model, data.val, data.test[:STRESSED]) if hasattr(model, "local_losses") else None,
        "example": example.of(model, data.test) if hasattr(model, "local_losses") else None,
        "router": router(model, data.test[:4]),
        "working": sanity.figures(model, data.test),
    }


def seconds(data, predicted):
    """Metrics of balanced test seconds with both senses and with each alone."""
    out = {}
    for sense in metrics.SENSES:
        known = metrics.scored(predicted["val"], sense)
        out |= metrics.score(*metrics.scored(predicted["test"], sense), metrics.best_threshold(*known), sense)
    return out | {"test_seconds": len(metrics.scored(predicted["test"], "both")[0]), "test_batches": len(data.test)}


def accuracy(scores, labels, threshold):
    return 1 - sum(metrics.rates(scores, labels, threshold)) / 2


def roc(scores, labels):
    """(FDR, detection rate) at thresholds spread over the scores."""
    at = np.quantile(scores[labels == 0], 1 - np.geomspace(2e-4, 1, ROC_POINTS))
    return [[round(float((scores[labels == 0] >= t).mean()), 5), round(float((scores[labels == 1] >= t).mean()), 5)]
            for t in at]


def delays(predicted, quiet, chosen):
    """Detection delay of every test onset, and the curve of delay against false alarms per hour."""
    return {"each": operating_point.episodes(predicted["test"], chosen), "curve": curve(predicted["test"], quiet["normal_test"], chosen)}


ENTERS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998)


def curve(mixed, normal, chosen):
    """(enter, false alarms per hour, median delay, p95, onsets detected) at thresholds around the chosen decision."""
    out = []
    for enter in ENTERS:
        d = Decision(chosen.mean_seconds, enter, chosen.exit / chosen.enter * enter, chosen.hold_seconds)
        seen = [x for x in operating_point.episodes(mixed, d) if x is not None]
        alarms, hours = operating_point.false_alarms(normal, d)
        middle, late = (float(np.quantile(seen, q)) if seen else None for q in (0.5, 0.95))
        out.append([enter, round(alarms / hours, 4), middle, late, len(seen)])
    return out


def filters(mixed, normal, chosen):
    """The same curve for every length of the mean."""
    return {str(n): curve(mixed, normal, dataclasses.replace(chosen, mean_seconds=n)) for n in operating_point.LENGTHS}


def conditions(step, batches, scenes, threshold):
    """Accuracy under the conditions of a furnace hall, at the threshold from validation."""
    out = {}
    scored = lambda given, **more: accuracy(*batched.stressed(step, given, EVERY_STRESS, **more), threshold)
    for name, change in batched.CONDITIONS.items():
        out[name] = scored(batches, change=change, shift=None)
    for scene, seen in scenes.items():
        out[scene] = scored(seen, shift=None)
    for late in clock_offset.OFFSETS:
        out[f"offset {late:+d} s"] = scored(batches, shift=late)
    return {k: round(v, 4) for k, v in out.items()}


def router(model, batches):
    """Mean load of each expert by sense, or None without a router."""
    if not hasattr(model, "upm"):
        return None
    ask = Compiled(lambda *inputs: {k: v for k, v in model.infer(*inputs).items() if k.startswith("router_")})
    loads = []
    for b in batches:
        inputs = batched.windows_of(b, np.arange(120, len(b.label), 20))
        loads.append(ask.predict_on_batch(list(inputs.values())))
    return {k: [round(float(x), 4) for x in np.concatenate([np.asarray(p[k]) for p in loads]).mean(0)] for k in loads[0]}


SETS = ("normal", "test", "train", "val")


def fingerprint(config, data):
    """A hash of what a result depends on: its config, the unimodal config, and how the data were made."""
    paths = {name: pathlib.Path(data) / name / "dataset.json" for name in SETS}
    made = {name: {k: v for k, v in json.loads(p.read_text()).items() if k != "batches"}
            for name, p in paths.items() if p.exists()}
    text = json.dumps([dataclasses.asdict(config), dataclasses.asdict(configs.Unimodal()), made], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def path_of(config, results=RESULTS):
    return pathlib.Path(results) / f"{config.name}-{config.seed}.json"


def done(config, data, results=RESULTS):
    path = path_of(config, results)
    return path.exists() and json.loads(path.read_text())["fingerprint"] == fingerprint(config, data)


def write(config, data, result, results=RESULTS):
    path = path_of(config, results)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")  # another process may read it
    part.write_text(json.dumps({"row": config.row, "name": config.name, "title": config.title, "seed": config.seed,
                                "windows": config.steps * config.windows,
                                "fingerprint": fingerprint(config, data)} | result) + "\n")
    os.replace(part, path)


def reference(data):
    """The rule of row 9: the CV of 120 s at its best level."""
    out = metrics.score(*metrics.quietness(data.test), metrics.best_threshold(*metrics.quietness(data.val)), "both")
    allowed = operating_point.allowance(data.normal_val)
    levels = {f"cv_{s}": rule.level(data.normal_val, s, allowed) for s in rule.ENOUGH}
    return {"figures": metrics.rounded(out), "rule": levels}


def todo(rows, seeds, data, results=RESULTS):
    """Configs still to run, the first seed of every row first; variants have one seed."""
    for seed in seeds:
        for name in rows:
            config = configs.ALL[name](seed=seed)
            if not (config.variant and seed != seeds[0]) and not done(config, data, results):
                yield config


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=[r().name for r in configs.ROWS], choices=sorted(configs.ALL))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--data", default="data", help="folder with the data sets train, val, test and normal")
    parser.add_argument("--tokens", default="runs/tokens")
    parser.add_argument("--senses", default="runs/senses")
    parser.add_argument("--runs", default="runs/compare")
    parser.add_argument("--jobs", type=int, default=workers.default(), help="runs at once, each bound to cores of its own; default %(default)s here")
    args = parser.parse_args(argv)
    log = stopwatch()
    left = list(todo(args.rows, args.seeds, args.data))
    jobs = min(args.jobs, len(left))
    if jobs > 1:
        log(f"{len(left)} runs left, {jobs} at once")
        status = workers.spread("inference.train.compare", sys.argv[1:] if argv is None else argv, jobs)
        missing = [path_of(c).stem for c in todo(args.rows, args.seeds, args.data)]
        if missing and not status:
            raise ValueError(f"another process has claimed {', '.join(missing)}; wait for it or end it, and call this again")
        return status
    log(f"{len(left)} runs left, some 5 minutes each: {', '.join(f'{c.name}-{c.seed}' for c in left)}")
    if not left:
        return 0
    data, runs = read(args.tokens, args.data), pathlib.Path(args.runs)
    unimodal = load(args.senses)
    with workers.claimed(runs / "senses.claim") as mine:
        if mine and not done(unimodal.config, args.data):
            write(unimodal.config, args.data, assess(unimodal, data))
            config = dataclasses.replace(unimodal.config, name="rule", title="CV of 120 s, best level", system="")
            write(config, args.data, reference(data))
    for config in left:
        with workers.claimed(runs / f"{config.name}-{config.seed}.claim") as mine:
            if mine and not done(config, args.data):
                train_and_assess(config, args, data, log)
    return 0


def train_and_assess(config, args, data, log):
    """Trains a run into its folder, and writes its figures."""
    log(f"training {config.name}, seed {config.seed}")
    model = fit_on_tokens(config, data.train, args.senses, log)
    save(model, pathlib.Path(args.runs) / f"{config.name}-{config.seed}")
    log("evaluating")
    result = assess(model, data)
    write(config, args.data, result)
    f = result["figures"]
    log(f"{config.name}-{config.seed}: accuracy {f['both_accuracy']}, FDR {f['both_fdr']}, AUROC {f['both_auroc']}")
