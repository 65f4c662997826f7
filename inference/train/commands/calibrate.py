"""Calibrates a trained run: chooses its decision on validation batches and scores it on test batches.

    python -m inference.train.calibrate --mixed data/train --normal data/normal --run runs/product

--mixed is a data set with validation batches of both classes, about half of each, for
accuracy and delays; --test names another set for the test batches. --normal is a set
without abnormal seconds, for false alarms: 60 h or more in each of val and test. Writes
<run>/result.json. --suspicion-alone chooses nothing but the suspicion of a run that is
calibrated already, --offset-alone nothing but the confidence of its clock offset, which needs
no --normal. --learnt names the data set that the network was trained on: what is like it is
familiar (<run>/familiarity.npz); --familiarity-alone chooses nothing but that.
"""

import argparse


def parser():
    parser = argparse.ArgumentParser(prog="python -m inference.train.calibrate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixed", required=True, help="folder of the data set with both classes")
    parser.add_argument("--test", help="folder of the data set of the test batches; default --mixed")
    parser.add_argument("--normal", help="folder of a data set of normal hours; required but with --offset-alone")
    parser.add_argument("--elsewhere", help="folder of normal hours of furnaces of other makers, where one false alarm in 40 h is accepted; familiarity is chosen on them too")
    parser.add_argument("--run", required=True, help="folder of the trained run; result.json is written there")
    parser.add_argument("--offset-houses", nargs="*", default=[], metavar="DATA", help="folders of test batches of other families, for figures of the clock offset")
    parser.add_argument("--learnt", help="folder of the data set that the run was trained on, for the familiarity of both senses")
    alone = parser.add_mutually_exclusive_group()
    for part, what in (("suspicion", "choose the suspicion of a calibrated run"), ("offset", "calibrate the confidence of the clock offset of a calibrated run"),
                       ("familiarity", "fit the familiarity of a calibrated run, with --learnt, and choose its levels")):
        alone.add_argument(f"--{part}-alone", dest="alone", action="store_const", const=part, default="", help=f"{what}, and keep the rest of its result")
    return parser


def main(argv=None):
    args = parser().parse_args(argv)
    if not args.normal and args.alone != "offset":
        parser().error("the following arguments are required: --normal")
    from ..evaluation.calibrate import calibrate

    for name, value in calibrate(args.run, args.mixed, args.normal, args.test, args.elsewhere, args.learnt, args.offset_houses, args.alone).items():
        print(f"{name:36} {value:g}")
