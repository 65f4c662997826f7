"""Calibrates a trained run: chooses its decision on validation batches and scores it on test batches.

    python -m inference.train.calibrate --mixed data/train --normal data/normal --run runs/product

--mixed is a data set with validation batches of both classes, about half of each, for
accuracy and delays; --test names another set for the test batches. --normal is a set
without abnormal seconds, for false alarms: 60 h or more in each of val and test. Writes
<run>/result.json. --suspicion-alone chooses nothing but the suspicion of a run that is
calibrated already. --learnt names the data set that the network was trained on: what is
like it is familiar (<run>/familiarity.npz); --familiarity-alone chooses nothing but that.
"""

import argparse


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.calibrate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixed", required=True, help="folder of the data set with both classes")
    parser.add_argument("--test", help="folder of the data set of the test batches; default --mixed")
    parser.add_argument("--normal", required=True, help="folder of a data set of normal hours")
    parser.add_argument("--elsewhere", help="folder of normal hours of furnaces of other makers, where one false alarm in 40 h is accepted")
    parser.add_argument("--run", required=True, help="folder of the trained run; result.json is written there")
    parser.add_argument("--learnt", help="folder of the data set that the run was trained on, for the familiarity of both senses")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--suspicion-alone", action="store_true", help="choose the suspicion of a calibrated run, and keep the rest of its result")
    alone.add_argument("--familiarity-alone", action="store_true", help="fit the familiarity of a calibrated run, with --learnt, and choose its levels; keep the rest of its result")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    from ..evaluation.calibrate import calibrate

    alone = "suspicion" if args.suspicion_alone else "familiarity" if args.familiarity_alone else ""
    for name, value in calibrate(args.run, args.mixed, args.normal, args.test, args.elsewhere, args.learnt, alone).items():
        print(f"{name:36} {value:g}")
