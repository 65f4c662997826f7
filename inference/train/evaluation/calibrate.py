"""Calibrates a trained run: chooses its decision on validation batches and scores it on test batches (commands/calibrate.py)."""

import dataclasses
import json
import pathlib
import tempfile

from ..data import cache, layout
from ..models import familiarity as densities
from ..models.closed_loop import Runner
from ..models.decision import PROVISIONAL, Decision
from ..training import encode
from ..training.checkpoint import load
from ..training.fit import stopwatch
from . import clock_offset, familiarity, metrics, operating_point, rule, streaming, suspicion

RESULT = "result.json"
# Seconds between steps in normal hours, see streaming.py.
EVERY = 2
# Batches in memory at once; half an hour of frames takes 22 MB.
TOGETHER = 60
# Batches of each split for the clock offset.
OFFSET_BATCHES = 40


def assess(model, mixed, normal, test=None, elsewhere=None, log=print):
    """Decision, rule levels, levels of familiarity and metrics of a network, from the folders of data sets.

    test: folder of the mixed test batches, default mixed; elsewhere: of normal hours of
    furnaces of other makers, which count for the decision only.
    """
    runner = Runner(model)
    validation, predicted = streamed(runner, mixed, "val", log=log)
    quiet, predicted_quiet = streamed(runner, normal, "val", every=EVERY, alone=False, log=log)
    _, predicted_elsewhere = streamed(runner, elsewhere, "val", every=EVERY, alone=False, log=log) if elsewhere else ((), ())
    chosen = operating_point.choose(predicted, predicted_quiet, predicted_elsewhere)
    suspect = suspicion.choose(predicted, predicted_quiet)
    unfamiliar = familiarity.choose(predicted + predicted_quiet)
    allowed = operating_point.allowance(predicted_quiet)
    levels = {f"cv_{s}": rule.level(quiet, s, allowed) for s in rule.ENOUGH}
    log(f"chose {chosen}, suspicion {suspect}, {levels}, familiarity {unfamiliar}")
    figures = metrics.rounded(
        reported(runner, chosen, suspect, levels, unfamiliar, validation, predicted, test or mixed, normal, log)
        | {"validation_" + k: v for k, v in metrics.events(predicted, predicted_quiet, chosen).items()}
        | {"parameters": model.count_params()} | clock(model, mixed, test or mixed, log))
    return {"decision": vars(chosen), "suspect": vars(suspect), "rule": levels, "metrics": figures} | ({"familiarity": unfamiliar} if unfamiliar else {})


def clock(model, mixed, test, log=print):
    """How well a network with a local loss finds the clock offset; the bias comes from validation batches."""
    if not hasattr(model, "local_losses"):
        return {}
    log("encoding frames to find clock offsets")
    with tempfile.TemporaryDirectory() as scratch:
        part = lambda folder, split: (encode.write_streamed(model, folder, split, f"{scratch}/{split}", most=OFFSET_BATCHES, log=log),
                                      cache.read(f"{scratch}/{split}", folder, split, rerolls=False, most=OFFSET_BATCHES))[1]
        found = clock_offset.found_offsets(model, part(mixed, "val"), part(test, "test"))
    # Pools of 120 s and of the agent's length; records may be too short for either.
    return {"offset_bias_s": found["bias_s"]} | {
        f"offset_within_1_s_of_{pool}_s": sum(shares.values()) / len(shares)
        for pool, shares in found["within_1_s"].items() if shares} | {
        f"offset_pools_of_{pool}_s": len(clock_offset.OFFSETS) * count for pool, count in found["pools"].items()}


def unpictured(batch):
    """A batch without its pixels, which take nearly all of its memory."""
    return dataclasses.replace(batch, frames=None, spot=None)


def streamed(runner, folder, split, decision=PROVISIONAL, every=1, alone=True, log=print):
    """A split's batches without their pixels, and their predictions: two lists."""
    names, batches, predicted = layout.names(folder, split), [], []
    for first in range(0, len(names), TOGETHER):
        some = [layout.read_batch(folder, n, rerolls=False) for n in names[first : first + TOGETHER]]
        predicted += streaming.predict(runner, some, decision, every, alone)
        batches += [unpictured(b) for b in some]
        log(f"scored {len(predicted)} of {len(names)} {split} batches of {folder}")
    return batches, predicted


def suspected(model, result, mixed, normal, test=None, log=print):
    """The result of a calibrated network with another suspicion and its metrics."""
    runner, decision = Runner(model), Decision(**result["decision"])
    score = lambda folder, split, every=1: streamed(runner, folder, split, decision, every, alone=False, log=log)[1]
    suspect = suspicion.choose(score(mixed, "val"), score(normal, "val", EVERY))
    log(f"chose suspicion {suspect}")
    figures = suspicion.figures(score(test or mixed, "test"), score(normal, "test", EVERY), decision, suspect)
    return result | {"suspect": vars(suspect), "metrics": result["metrics"] | metrics.rounded(figures)}


def familiar(model, result, mixed, normal, test=None, log=print):
    """The result of a calibrated network with other levels of familiarity and their metrics."""
    runner, decision = Runner(model), Decision(**result["decision"])
    score = lambda folder, split: streamed(runner, folder, split, decision, EVERY, alone=False, log=log)[1]
    levels = familiarity.choose(score(mixed, "val") + score(normal, "val"))
    log(f"chose familiarity {levels}")
    figures = familiarity.figures(score(test or mixed, "test") + score(normal, "test"), levels)
    kept = {k: v for k, v in result["metrics"].items() if not k.startswith("familiarity_")}
    return result | {"familiarity": levels, "metrics": kept | metrics.rounded(figures)}


def reported(runner, chosen, suspect, levels, unfamiliar, validation, predicted_validation, mixed, normal, log):
    """The metrics of the test batches with the chosen decision."""
    test, predicted = streamed(runner, mixed, "test", chosen, log=log)
    quiet, predicted_quiet = streamed(runner, normal, "test", chosen, every=EVERY, alone=False, log=log)
    by_rule = (metrics.by_rule(b, j, levels) for b, j in ((test, predicted), (quiet, predicted_quiet)))
    return (metrics.seconds(validation, test, predicted_validation, predicted)
            | metrics.events(predicted, predicted_quiet, chosen)
            | metrics.alone(predicted, chosen)
            | suspicion.figures(predicted, predicted_quiet, chosen, suspect)
            | familiarity.figures(predicted + predicted_quiet, unfamiliar)
            | metrics.events(*by_rule, chosen, prefix="rule_"))


def calibrate(run, mixed, normal, test=None, elsewhere=None, learnt=None, alone=""):
    """Calibrates the run in a folder, and writes its result.json; returns the metrics.

    learnt: the data set that the network was trained on, for the constants of familiarity;
    without it those of the run stay. alone: "suspicion" or "familiarity" to choose nothing else.
    """
    log, path = stopwatch(), pathlib.Path(run) / RESULT
    if alone and not path.exists():
        raise ValueError(f"{path}: is missing; calibrate the run first, without --{alone}-alone")
    model = load(run)
    if learnt:
        model.densities = familiarity.learnt(model, learnt, log=log)
        densities.save(model.densities, run)
    if alone == "familiarity" and not model.densities:
        raise ValueError(f"{run}: has no constants of familiarity; name the data set that it was trained on with --learnt")
    parts = {"suspicion": suspected, "familiarity": familiar}
    if alone:
        result = parts[alone](model, json.loads(path.read_text()), mixed, normal, test, log)
    else:
        result = assess(model, mixed, normal, test, elsewhere, log)
    path.write_text(json.dumps(result, indent=2) + "\n")
    return result["metrics"]
