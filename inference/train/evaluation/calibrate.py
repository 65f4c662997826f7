"""Calibrates a trained run: chooses its decision on validation batches and scores it on test batches (commands/calibrate.py)."""

import dataclasses
import json
import pathlib
import tempfile

from ..data import cache, layout
from ..data.families import OWN, families
from ..models import familiarity as densities
from ..models.closed_loop import Runner
from ..models.decision import PROVISIONAL, Decision
from ..training import encode
from ..training.checkpoint import load
from ..training.fit import stopwatch
from . import clock_offset, familiarity, metrics, offset_calibration, offset_curves, operating_point, rule, streaming, suspicion

RESULT = "result.json"
# Seconds between steps in normal hours, see streaming.py.
EVERY = 2
# Batches in memory at once; half an hour of frames takes 22 MB.
TOGETHER = 60
# Batches of each split for the clock offset; its confidence is calibrated on all of validation.
OFFSET_BATCHES = 40


def assess(model, mixed, normal, test=None, elsewhere=None, houses=(), log=print):
    """Decision, rule levels, levels of familiarity and metrics of a network, from the folders of data sets.

    test: folder of the mixed test batches, default mixed; elsewhere: of normal hours of
    furnaces of other makers, which count for the decision and for familiarity; houses: of test batches of
    other families, for figures of the clock offset.
    """
    runner = Runner(model)
    validation, predicted = streamed(runner, mixed, "val", log=log)
    quiet, predicted_quiet = streamed(runner, normal, "val", every=EVERY, alone=False, log=log)
    _, predicted_elsewhere = streamed(runner, elsewhere, "val", every=EVERY, alone=False, log=log) if elsewhere else ((), [])
    chosen = operating_point.choose(predicted, predicted_quiet, predicted_elsewhere)
    suspect = suspicion.choose(predicted, predicted_quiet)
    unfamiliar = familiarity.choose(predicted + predicted_quiet + predicted_elsewhere)
    allowed = operating_point.allowance(predicted_quiet)
    levels = {f"cv_{s}": rule.level(quiet, s, allowed) for s in rule.ENOUGH}
    log(f"chose {chosen}, suspicion {suspect}, {levels}, familiarity {unfamiliar}")
    figures = metrics.rounded(
        reported(runner, chosen, suspect, levels, unfamiliar, validation, predicted, test or mixed, normal, log)
        | {"validation_" + k: v for k, v in metrics.events(predicted, predicted_quiet, chosen).items()}
        | {"parameters": model.count_params()})
    result = {"decision": vars(chosen), "suspect": vars(suspect), "rule": levels, "metrics": figures} | ({"familiarity": unfamiliar} if unfamiliar else {})
    return clocked(model, result, mixed, test, houses, log)


def clocked(model, result, mixed, test=None, houses=(), log=print):
    """The result with the confidence of a clock offset, if one can be known, and the metrics of both.

    houses: folders of test batches of other families, judged by pair of families.
    """
    result = {k: v for k, v in result.items() if k != "offset_confidence"}
    if not hasattr(model, "local_losses"):
        return result
    log("encoding frames to find clock offsets")
    observer = offset_curves.Observer(model)
    with tempfile.TemporaryDirectory() as scratch:
        def part(folder, split, most=None):
            out = pathlib.Path(scratch) / str(len(list(pathlib.Path(scratch).iterdir())))
            encode.write_streamed(model, folder, split, out, most=most, log=log)
            return cache.read(out, folder, split, rerolls=False, most=most)

        validation, own = part(mixed, "val"), part(test or mixed, "test", OFFSET_BATCHES)
        courses, strangers = offset_calibration.observed(observer, validation, log)
        bias = offset_calibration.excess(courses)
        figures = within(clock_offset.found_offsets(model, validation[:OFFSET_BATCHES], own, bias))
        confidence = offset_calibration.calibrated(courses, strangers, bias)
        if not confidence:
            log("no confidence keeps the wanted share of offsets right: the agent keeps the rule of a whole pool whose quarters agree")
        else:
            log(f"an offset is known from a confidence of {confidence.threshold:g}")
            result["offset_confidence"] = offset_calibration.section(confidence)
            judged = lambda batches: offset_calibration.figures(confidence, *offset_calibration.observed(observer, batches, log), bias)
            figures |= judged(own)
            for folder in houses:
                for pair, batches in by_families(part(folder, "test"), folder).items():
                    figures |= {f"house_{'_'.join(pair)}_{k}": v for k, v in judged(batches).items()}
    kept = {k: v for k, v in result["metrics"].items() if "offset_" not in k}
    return result | {"metrics": kept | metrics.rounded(figures)}


def by_families(batches, folder):
    """The batches of a folder by their pair of families."""
    pairs, found = families(folder), {}
    for b in batches:
        found.setdefault(pairs.get(b.name, OWN), []).append(b)
    return found


def within(found):
    """Metrics of clock_offset.found_offsets: pools of 120 s and of the agent's length; records may be too short for either."""
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


def familiar(model, result, mixed, normal, test=None, elsewhere=None, log=print):
    """The result of a calibrated network with other levels of familiarity and their metrics."""
    runner, decision = Runner(model), Decision(**result["decision"])
    score = lambda folder, split: streamed(runner, folder, split, decision, EVERY, alone=False, log=log)[1]
    known = score(mixed, "val") + score(normal, "val")
    levels = familiarity.choose(known + (score(elsewhere, "val") if elsewhere else []))
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


def before(path):
    """The result of the last calibration."""
    return json.loads(path.read_text())


def calibrate(run, mixed, normal=None, test=None, elsewhere=None, learnt=None, houses=(), alone=""):
    """Calibrates the run in a folder, and writes its result.json; returns the metrics.

    learnt: the data set that the network was trained on, for the constants of familiarity;
    without it those of the run stay. houses: folders of test batches of other families, for
    figures of the clock offset. alone: "suspicion", "offset", which needs no normal hours, or
    "familiarity" to choose nothing else.
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
    parts = {
        "": lambda: assess(model, mixed, normal, test, elsewhere, houses, log),
        "suspicion": lambda: suspected(model, before(path), mixed, normal, test, log),
        "offset": lambda: clocked(model, before(path), mixed, test, houses, log),
        "familiarity": lambda: familiar(model, before(path), mixed, normal, test, elsewhere, log),
    }
    result = parts[alone]()
    path.write_text(json.dumps(result, indent=2) + "\n")
    return result["metrics"]
