"""What the pages of a comparison claim of its rows, and when a difference counts."""

import numpy as np

HOLDS, NOT = "holds", "**does not hold on these data**"
SAME = "**no difference beyond the scatter of the seeds**"
# Claims of the networks' papers: row → text, of which either sense alone is the measure; and (better, worse, text).
BEATS_ALONE = {"align-global": "AlignVSR's global alignment beats video alone", "mlf": "MLF beats either sense"}
PAIRS = (("mlf", "mlf-mean", "attention pooling beats mean pooling"),
         ("align-local", "align-global", "the local loss helps the verdict"),
         ("mlf-label", "mlf", "LBCL helps MLF"), ("mlf-data", "mlf", "DBCL helps MLF"),
         ("onellm", "onellm-1-expert", "three experts beat one"),
         ("onellm", "onellm-constant", "a soft router beats a constant one"),
         ("onellm", "onellm-mean", "frames concatenated beat their mean"),
         ("product-equal", "senses", "looking at both together beats adding the senses' logits"),
         ("product", "product-equal", "nearly twice the steps at twice the rate help"))


def verdict(holds):
    return HOLDS if holds else NOT


def told(rows, better, worse):
    """Whether a row is better than another by more than the scatter of the seeds."""
    gap = mean(rows[better], "both_accuracy") - mean(rows[worse], "both_accuracy")
    return verdict(gap > 0) if abs(gap) > scatter(rows, better, worse) else SAME


def best_alone(rows):
    """The accuracy of the better of the senses alone."""
    return max(mean(rows["senses"], f"{s}_accuracy") for s in ("current", "video"))


def mean(results, key):
    return float(np.mean([r["figures"][key] for r in results]))


def capital(text):
    return text[:1].upper() + text[1:]


def scatter(rows, *names):
    """The greatest standard deviation over seeds of the named rows' accuracies, at least the median of all rows'.

    Three seeds may be close by chance, and a variant has only one.
    """
    each = {n: np.std([x["figures"]["both_accuracy"] for x in r], ddof=1) for n, r in rows.items() if len(r) > 1}
    return max([float(np.median(list(each.values())))] + [each[n] for n in names if n in each]) if each else 0.0
