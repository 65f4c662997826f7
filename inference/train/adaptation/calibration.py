"""Calibrates the verdicts of the senses on normal hours, without a label.

A verdict's logit is a log likelihood ratio of abnormal to normal. Whatever the furnace, the mean
of a likelihood ratio over normal seconds is 1, because it is the abnormal density integrated
over the normal one. Where the mean of exp(logit) is greater, the sense claims more than it
knows on this furnace: its logit is scaled down until the mean is 1. What then remains too
much in the fused logit is taken off it. Nothing is made more sensitive, because quiet hours
do not tell how an abnormal melt looks.

Bounds keep an alarm from being adapted away: a scale stays above LEAST_SCALE, the shift within
MOST_SHIFT, and the batches that claim most count as if they were not there, because an
abnormal melt that was taken for normal lies in one of them.
"""

from dataclasses import dataclass

import numpy as np

LEAST_SCALE = 0.4
MOST_SHIFT = 1.0  # of the fused logit; p 0.73 becomes 0.5
TRIMMED = 0.1  # share of the batches left out at the top
ENOUGH_BATCHES = 5  # with fewer, none is left out
STEPS = 30  # of the bisection
SENSES = ("current", "video")


@dataclass(frozen=True)
class Calibration:
    """scale: of each sense's logit; shift: added to the fused logit and to each sense's alone."""

    current: float = 1.0
    video: float = 1.0
    shift: float = 0.0

    def apply(self, model):
        """Writes the calibration into a network's weights, so the graph and its speed stay as they were."""
        for sense in SENSES:
            layer = model.verdicts[sense]
            for weight in layer.weights:
                weight.assign(getattr(self, sense) * weight)
        model.correct.bias.assign(model.correct.bias + self.shift)

    def fused(self, model, scored):
        """The fused logit of a scored batch under the calibration: (S,)."""
        changed = scored.logits["logit"] + self.shift
        for sense in SENSES:
            logit, there = scored.logits[f"logit_{sense}"], scored.there[sense]
            changed = changed + evidence(model, getattr(self, sense) * logit, there) - evidence(model, logit, there)
        return changed


def evidence(model, logit, there):
    return np.asarray(model.evidence(logit.astype(np.float32), there.astype(np.float32)))


def ratio(batches):
    """The mean likelihood ratio of normal seconds, from the logits of each batch (N,), without the batches at the top."""
    means = sorted(float(np.mean(np.exp(np.minimum(b, 20.0)))) for b in batches if len(b))
    if not means:
        return 0.0
    trimmed = max(round(TRIMMED * len(means)), 1) if len(means) >= ENOUGH_BATCHES else 0
    return float(np.mean(means[: len(means) - trimmed]))


def scale(batches):
    """The greatest scale of the logits, at most 1, at which their mean likelihood ratio is at most 1."""
    if ratio(batches) <= 1.0:
        return 1.0
    low, high = LEAST_SCALE, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if ratio([middle * b for b in batches]) > 1.0 else (middle, high)
    return low


def calibrated(model, scored):
    """The Calibration that normal hours ask for; scored: of the shipped model."""
    of = lambda s, sense: s.logits[f"logit_{sense}"][s.normal & s.there[sense]]
    senses = {sense: round(scale([of(s, sense) for s in scored]), 4) for sense in SENSES}
    some = Calibration(**senses)
    left = ratio([some.fused(model, s)[s.normal] for s in scored])
    shift = -min(np.log(left), MOST_SHIFT) if left > 1.0 else 0.0
    return Calibration(**senses, shift=round(float(shift), 4))
