"""When an offset is known: a confidence that is calibrated on other welds.

A logistic regression tells from the features of a stretch's curve how probably its answer
is right. Coefficients and threshold of a fold come from the stretches of all other folds'
welds, each read by the network of its own fold, which never saw it: on welds that a network
was trained on, its curves are better than it will ever see again.
"""

import numpy as np

from ..evaluation import logistic
from ..evaluation.logistic import Confidence

WANTED = 0.95  # share of what is called known that shall be right
RESERVE = 0.02  # added to it where the threshold is chosen, because other welds differ
FEWEST = 20  # stretches to calibrate on
NEVER = logistic.NEVER  # a threshold that no probability reaches


def fit(measured, right, strangers):
    """The confidence of stretches' features (N,F), whether they are right (N,), and features of strangers (M,F).

    Strangers are stretches with the current of another time: no answer of theirs is right, so
    the confidence knows what nothing looks like even where all other answers are right. They
    do not count for the threshold. With too few stretches, or with none right, nothing is known.
    """
    right = np.asarray(right, float)
    measured = np.asarray(measured, float)
    if len(right) < FEWEST or not right.any():
        return logistic.unknowing(measured.shape[1])
    both = np.concatenate([measured, np.asarray(strangers, float).reshape(-1, measured.shape[1])])
    found = logistic.regression(both, np.concatenate([right, np.zeros(len(both) - len(right))]))
    return Confidence(**vars(found), threshold=threshold(found.probability(measured), right))


def threshold(p, right):
    """The least probability from which on WANTED + RESERVE of the stretches are right; NEVER if there is none."""
    return logistic.threshold(p, right, WANTED + RESERVE, FEWEST // 2)
