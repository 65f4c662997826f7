"""Calibrates the fused verdict on normal hours, without a label.

A verdict's logit is a log likelihood ratio of abnormal to normal. Whatever the furnace, the mean
of a likelihood ratio over normal seconds is 1, because it is the abnormal density integrated
over the normal one. Where the mean of exp(logit) is clearly greater, the network claims more than
it knows on this furnace, and the excess is taken off its logit. It is never made more sensitive:
quiet hours do not tell how an abnormal melt looks.

The senses' own logits stay: scaling or shifting them by the same rule lost 1 to 3 points of accuracy
on a left-out family, because a sense that claims too much may still be the better witness.

Bounds keep an alarm from being adapted away: the shift stays within MOST_SHIFT, and the
batches that claim most count as if they were not there, because an abnormal melt that was
taken for normal lies in one of them.
"""

from dataclasses import dataclass

import numpy as np

MOST_SHIFT = 1.0  # of the logit; p 0.73 becomes 0.5
MARGIN = 0.3  # logit; a smaller excess is within the scatter of a few hours
TRIMMED = 0.1  # share of the batches left out at the top
ENOUGH_BATCHES = 5  # with fewer, none is left out
READINGS = {"both senses": "logit", "current": "logit_current", "video": "logit_video"}


@dataclass(frozen=True)
class Calibration:
    """shift: added to the fused logit, and to each sense's reading alone; excess: log of the mean ratio that each claims."""

    shift: float = 0.0
    excess: tuple = ()  # in the order of READINGS

    def apply(self, model):
        """Writes the shift into a network's weights, so the graph and its speed stay as they were."""
        model.correct.bias.assign(model.correct.bias + self.shift)


def ratio(batches):
    """The mean likelihood ratio of normal seconds, from the logits of each batch (N,), without the batches at the top; NaN without a second."""
    means = sorted(float(np.mean(np.exp(np.minimum(b, 20.0)))) for b in batches if len(b))
    trimmed = max(round(TRIMMED * len(means)), 1) if len(means) >= ENOUGH_BATCHES else 0
    return float(np.mean(means[: len(means) - trimmed])) if means else float("nan")


def shift(excess):
    """What is added to the logit, for the log of its mean ratio."""
    return -float(min(excess, MOST_SHIFT)) if excess > MARGIN else 0.0


def calibrated(scored):
    """The Calibration that normal hours ask for; scored: with the shipped model."""
    always = lambda s: np.ones(len(s.batch.label), bool)
    seen = lambda s, reading: s.normal & s.there.get(reading, always(s))
    excess = [float(np.log(ratio([s.logits[key][seen(s, reading)] for s in scored]))) for reading, key in READINGS.items()]
    return Calibration(round(shift(excess[0]), 4), tuple(round(e, 2) for e in excess))
