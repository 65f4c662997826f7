"""Chooses a trained run's decision on validation batches and scores it on test.

    python -m inference.train.judge --mixed data/train --normal data/normal --run runs/product

--mixed is the data set of the run, of whose val and test batches half of the
seconds are abnormal: delays, accuracy. --normal is one without any abnormal
second: false alarms, 60 h for choosing and 60 h for reporting. Writes
<run>/result.json.
"""

import argparse
import json
import pathlib

from . import decision, evaluate, layout, rule, timeline
from .train import load, stopwatch

RESULT = "result.json"
# Seconds from step to step in normal hours; see timeline.py.
EVERY = 2


def assess(model, mixed, normal, log=print):
    """Decision, rule levels and metrics of a network over two data sets' folders."""
    validation, quiet = (layout.read_split(folder, "val", rerolls=False) for folder in (mixed, normal))
    log(f"judging {len(validation)} mixed and {len(quiet)} normal validation batches")
    runner = timeline.Runner(model)
    judged = timeline.judge(runner, validation)
    judged_quiet = timeline.judge(runner, quiet, every=EVERY, alone=False)
    chosen = decision.choose(judged, judged_quiet)
    allowed = decision.allowance(judged_quiet)
    levels = {f"cv_{s}": rule.level(quiet, s, allowed) for s in rule.ENOUGH}
    log(f"chose {chosen}, {levels}")
    figures = evaluate.rounded(
        reported(runner, chosen, levels, validation, judged, mixed, normal, log)
        | {"validation_" + k: v for k, v in evaluate.events(judged, judged_quiet, chosen).items()}
        | {"parameters": model.count_params()})
    return {"decision": vars(chosen), "rule": levels, "metrics": figures}


def reported(runner, chosen, levels, validation, judged_validation, mixed, normal, log):
    """The figures of the test batches, by the chosen decision."""
    test, quiet = (layout.read_split(folder, "test", rerolls=False) for folder in (mixed, normal))
    log(f"judging {len(test)} mixed and {len(quiet)} normal test batches")
    judged = timeline.judge(runner, test, chosen)
    judged_quiet = timeline.judge(runner, quiet, chosen, every=EVERY, alone=False)
    log("judged")
    by_rule = (evaluate.by_rule(b, j, levels) for b, j in ((test, judged), (quiet, judged_quiet)))
    return (evaluate.seconds(validation, test, judged_validation, judged)
            | evaluate.events(judged, judged_quiet, chosen)
            | evaluate.alone(judged, chosen)
            | evaluate.events(*by_rule, chosen, prefix="rule_"))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mixed", required=True, help="folder of the run's data set")
    parser.add_argument("--normal", required=True, help="folder of a data set of normal hours")
    parser.add_argument("--run", required=True, help="folder that train.py wrote; result.json goes there")
    args = parser.parse_args(argv)
    log = stopwatch()
    result = assess(load(args.run), args.mixed, args.normal, log)
    (pathlib.Path(args.run) / RESULT).write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result["metrics"].items():
        print(f"{name:36} {value:g}")


if __name__ == "__main__":
    main()
