"""Checks the committed model on a large holdout set that nothing was trained or chosen on.

    python -m inference.train.holdout

20 new batches set the thresholds, 40 others are scored; takes some six minutes. Prints a
page for docs/proof.md. Exits with 1 unless the fused error is at most 0.6 of the better
single sense's and the rule on the current's variation is at least 3 points worse. The page
also compares the figures with what the field expects of a fair data set, in which neither
sense is easier or harder than in a plant; a deviation concerns the simulator and is only
reported.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from ..data import layout
from ..evaluation import metrics, streaming
from .exported import Exported

EVERY = 4  # seconds between steps
MOST_RATIO, LEAST_LEAD = 0.6, 0.03
# (name, figure, least, greatest) as expected, see docs/simulator.md.
EXPECTED = (
    ("current alone, FDR ≤ 0.01 where thresholds were chosen", "current_strict_accuracy", 0.87, 0.92),
    ("video alone", "video_accuracy", 0.96, 0.975),
    ("correlation of the senses' errors", "error_correlation", -1.0, 0.05),
    ("the same, 20 s after a change of the label", "error_correlation_settled", -1.0, 0.05),
)


def figures(model, folder):
    """Metrics of seconds and onsets over a data set's test batches."""
    chosen, scored = (layout.read_split(folder, split, rerolls=False) for split in ("val", "test"))
    predicted_chosen = streaming.predict(model, chosen, model.decision, every=EVERY)
    predicted = streaming.predict(model, scored, model.decision, every=EVERY)
    return metrics.seconds(chosen, scored, predicted_chosen, predicted) | metrics.events(predicted, predicted, model.decision)


def page(m, seed):
    """Markdown lines."""
    lead = m["both_accuracy"] - m["rule_cv_120_accuracy"]
    yield f"{m['test_seconds']:.0f} scored seconds of {m['test_batches']:.0f} fresh batches, seed {seed}."
    yield ""
    yield "| | found | wanted | |"
    yield "| --- | --- | --- | --- |"
    yield f"| both senses, accuracy | {m['both_accuracy']:.4f} | | |"
    yield f"| both senses, FDR and MDR | {m['both_fdr']:.4f}, {m['both_mdr']:.4f} | | |"
    yield row("fused error against the better single one", m["fused_error_ratio"], 0, MOST_RATIO)
    yield row("lead over the rule", lead, LEAST_LEAD, 1)
    for name, key, least, most in EXPECTED:
        yield row(name, m[key], least, most)
    yield f"| onsets missed | {m['onsets_missed']} of {m['onsets']} | | |"
    yield f"| delay from onset, median and p95 | {m['delay_median_seconds']:.0f} s, {m['delay_p95_seconds']:.0f} s | | |"
    yield f"| false alarms between onsets | {m['mixed_false_alarms']} in {m['mixed_normal_hours']:.1f} h | | |"


def row(name, value, least, most):
    wanted = f"≤ {most}" if least in (0, -1.0) else f"≥ {least}" if most == 1 else f"{least}–{most}"
    return f"| {name} | {value:.4f} | {wanted} | {'yes' if least <= value <= most else 'no'} |"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="inference/models/product", help="the model's folder")
    parser.add_argument("--seed", type=int, default=777, help="seed of the holdout set")
    parser.add_argument("--batches", type=int, default=60, help="number of batches; a third of them set thresholds")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["bin/furnace-sim", "dataset", "--out", folder, "--batches", str(args.batches),
                        "--seconds", "1200", "--seed", str(args.seed), "--train", "0", "--val", "0.3334"],
                       check=True, stdout=sys.stderr)
        m = figures(Exported(pathlib.Path(args.model)), folder)
    print("\n".join(page(m, args.seed)))
    lead = m["both_accuracy"] - m["rule_cv_120_accuracy"]
    sys.exit(not (m["fused_error_ratio"] <= MOST_RATIO and lead >= LEAST_LEAD))
