"""Tells from normal hours, without a label, which verdict claims more than it knows on a furnace.

A verdict's logit is a log likelihood ratio of abnormal to normal. Whatever the furnace, the mean
of a likelihood ratio over normal seconds is 1, because it is the abnormal density integrated
over the normal one. Where the mean of exp(logit) is greater, too many normal seconds are called
abnormal, or too surely.

The logits are not changed by it: taking the excess off the fused logit, and scaling or shifting
the senses' own logits until none is left, lost 1 to 3 points of accuracy on a left-out
family (docs/adapting.md). A sense that claims too much may still be the better witness.
"""

import numpy as np

TRIMMED = 0.1  # share of the batches left out at the top, one of which an abnormal melt may hide in
ENOUGH_BATCHES = 5  # with fewer, none is left out
READINGS = {"both senses": "logit", "current": "logit_current", "video": "logit_video"}


def excess(batches):
    """The log of the mean likelihood ratio of normal seconds, from the logits of each batch (N,); NaN without a second."""
    means = sorted(float(np.mean(np.exp(np.minimum(b, 20.0)))) for b in batches if len(b))
    trimmed = max(round(TRIMMED * len(means)), 1) if len(means) >= ENOUGH_BATCHES else 0
    return float(np.log(np.mean(means[: len(means) - trimmed]))) if means else float("nan")


def claims(scored):
    """The excess of both senses and of each alone over normal hours, by READINGS."""
    seen = lambda s, reading: s.normal & s.there[reading] if reading in s.there else s.normal
    return {reading: round(excess([s.logits[key][seen(s, reading)] for s in scored]), 2) for reading, key in READINGS.items()}
