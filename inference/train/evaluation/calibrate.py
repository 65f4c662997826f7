"""Chooses a trained run's decision on validation batches and scores it on test.

    python -m inference.train.calibrate --mixed data/train --normal data/normal --run runs/product

--mixed is the data set of the run, of whose val and test batches about half of the
seconds are abnormal: delays, accuracy; --test another one for the test batches.
--normal is one without any abnormal second: false alarms, 60 h or more for choosing
and as many for reporting. Writes <run>/result.json.
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile

from . import clock_offset, metrics, operating_point, rule, streaming
from ..data import cache, layout
from ..training import encode
from ..training.checkpoint import load
from ..models.closed_loop import Runner
from ..models.decision import PROVISIONAL
from ..training.fit import stopwatch

RESULT = "result.json"
# Seconds from step to step in normal hours; see streaming.py.
EVERY = 2
# Batches in memory at once: half an hour of frames is 22 MB.
TOGETHER = 60
# Of the test batches, so many tell how well the clock offset is found.
OFFSET_BATCHES = 40


def assess(model, mixed, normal, test=None, log=print):
    """Decision, rule levels and metrics of a network over data sets' folders; test: of the mixed test batches, else mixed."""
    runner = Runner(model)
    validation, predicted = streamed(runner, mixed, "val", log=log)
    quiet, predicted_quiet = streamed(runner, normal, "val", every=EVERY, alone=False, log=log)
    chosen = operating_point.choose(predicted, predicted_quiet)
    allowed = operating_point.allowance(predicted_quiet)
    levels = {f"cv_{s}": rule.level(quiet, s, allowed) for s in rule.ENOUGH}
    log(f"chose {chosen}, {levels}")
    figures = metrics.rounded(
        reported(runner, chosen, levels, validation, predicted, test or mixed, normal, log)
        | {"validation_" + k: v for k, v in metrics.events(predicted, predicted_quiet, chosen).items()}
        | {"parameters": model.count_params()} | clock(model, mixed, test or mixed, log))
    return {"decision": vars(chosen), "rule": levels, "metrics": figures}


def clock(model, mixed, test, log=print):
    """How well a network with a local loss finds the clock offset; the bias is of validation batches."""
    if not hasattr(model, "local_losses"):
        return {}
    log("encoding frames to find clock offsets")
    with tempfile.TemporaryDirectory() as scratch:
        part = lambda folder, split: (encode.write_streamed(model, folder, split, f"{scratch}/{split}", most=OFFSET_BATCHES, log=log),
                                      cache.read(f"{scratch}/{split}", folder, split, rerolls=False, most=OFFSET_BATCHES))[1]
        found = clock_offset.found_offsets(model, part(mixed, "val"), part(test, "test"))
    # Pools of 120 s and of what the agent pools; neither where records are too short.
    return {"offset_bias_s": found["bias_s"]} | {
        f"offset_within_1_s_of_{pool}_s": sum(shares.values()) / len(shares)
        for pool, shares in found["within_1_s"].items() if shares} | {
        f"offset_pools_of_{pool}_s": len(clock_offset.OFFSETS) * count for pool, count in found["pools"].items()}


def streamed(runner, folder, split, decision=PROVISIONAL, every=1, alone=True, log=print):
    """A split's batches, their pixels let go again, and what was judged of them: two lists."""
    names, batches, predicted = layout.names(folder, split), [], []
    for first in range(0, len(names), TOGETHER):
        some = [layout.read_batch(folder, n, rerolls=False) for n in names[first : first + TOGETHER]]
        predicted += streaming.predict(runner, some, decision, every, alone)
        batches += [dataclasses.replace(b, frames=None, spot=None) for b in some]
        log(f"scored {len(predicted)} of {len(names)} {split} batches of {folder}")
    return batches, predicted


def reported(runner, chosen, levels, validation, predicted_validation, mixed, normal, log):
    """The figures of the test batches, by the chosen decision."""
    test, predicted = streamed(runner, mixed, "test", chosen, log=log)
    quiet, predicted_quiet = streamed(runner, normal, "test", chosen, every=EVERY, alone=False, log=log)
    by_rule = (metrics.by_rule(b, j, levels) for b, j in ((test, predicted), (quiet, predicted_quiet)))
    return (metrics.seconds(validation, test, predicted_validation, predicted)
            | metrics.events(predicted, predicted_quiet, chosen)
            | metrics.alone(predicted, chosen)
            | metrics.events(*by_rule, chosen, prefix="rule_"))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mixed", required=True, help="folder of the run's data set")
    parser.add_argument("--test", help="folder of a data set for the mixed test batches; default --mixed")
    parser.add_argument("--normal", required=True, help="folder of a data set of normal hours")
    parser.add_argument("--run", required=True, help="folder that train.py wrote; result.json goes there")
    args = parser.parse_args(argv)
    log = stopwatch()
    result = assess(load(args.run), args.mixed, args.normal, args.test, log)
    (pathlib.Path(args.run) / RESULT).write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result["metrics"].items():
        print(f"{name:36} {value:g}")
