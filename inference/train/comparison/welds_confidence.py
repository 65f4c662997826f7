"""When an offset is known: a confidence that is calibrated on other welds.

A logistic regression tells from the features of a stretch's curve how probably its answer
is right. Coefficients and threshold of a fold come from the stretches of all other folds'
welds, each read by the network of its own fold, which never saw it: on welds that a network
was trained on, its curves are better than it will ever see again.
"""

import numpy as np

WANTED = 0.95  # share of what is called known that shall be right
RESERVE = 0.02  # added to it where the threshold is chosen, because other welds differ
FEWEST = 20  # stretches to calibrate on
NEVER = 2.0  # a threshold that no probability reaches
SHRUNK = 1.0  # weight of the squared coefficients
STEPS = 30


class Confidence:
    """Probability that an answer is right, from its features; known from a threshold on."""

    def __init__(self, middle, width, weights, threshold):
        self.middle, self.width, self.weights, self.threshold = middle, width, weights, threshold

    def probability(self, measured):
        return sigmoid(designed(measured, self.middle, self.width) @ self.weights)

    def known(self, measured):
        return self.probability(measured) >= self.threshold


def fit(measured, right, strangers):
    """The confidence of stretches' features (N,F), whether they are right (N,), and features of strangers (M,F).

    Strangers are stretches with the current of another time: no answer of theirs is right, so
    the confidence knows what nothing looks like even where all other answers are right. They
    do not count for the threshold. With too few stretches, or with none right, nothing is known.
    """
    right = np.asarray(right, float)
    measured = np.asarray(measured, float)
    if len(right) < FEWEST or not right.any():
        return Confidence(0.0, 1.0, np.zeros(measured.shape[1] + 1), NEVER)
    both = np.concatenate([measured, np.asarray(strangers, float).reshape(-1, measured.shape[1])])
    truth = np.concatenate([right, np.zeros(len(both) - len(right))])
    middle, width = both.mean(0), both.std(0) + 1e-6
    a, weights = designed(both, middle, width), np.zeros(both.shape[1] + 1)
    for _ in range(STEPS):
        p = sigmoid(a @ weights)
        slope = a.T @ (p - truth) + SHRUNK * np.r_[weights[:-1], 0.0]
        bend = (a * (p * (1 - p))[:, None]).T @ a + SHRUNK * np.eye(len(weights))
        weights = weights - np.linalg.solve(bend, slope)
    return Confidence(middle, width, weights, threshold(sigmoid(a[: len(right)] @ weights), right))


def threshold(p, right):
    """The least probability from which on WANTED + RESERVE of the stretches are right; NEVER if there is none."""
    order = np.argsort(-p, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(p) + 1)
    enough = np.flatnonzero((share >= WANTED + RESERVE) & (np.arange(len(p)) >= FEWEST // 2))
    return float(p[order][enough[-1]]) if len(enough) else NEVER


def designed(measured, middle, width):
    z = (np.asarray(measured, float) - middle) / width
    return np.concatenate([z, np.ones((len(z), 1))], axis=1)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
