"""The probability that an answer is right, by logistic regression on what was measured of it, and the threshold from which it is called known."""

from dataclasses import dataclass

import numpy as np

NEVER = 2.0  # a threshold that no probability reaches
SHRUNK = 1.0  # weight of the squared coefficients
STEPS = 30


@dataclass
class Regression:
    """Coefficients of standardised measures (F,), the last of weights (F+1,) being the intercept."""

    middle: np.ndarray
    width: np.ndarray
    weights: np.ndarray

    def probability(self, measured):
        """Of measures (N,F): (N,)."""
        return sigmoid(designed(measured, self.middle, self.width) @ self.weights)


@dataclass
class Confidence(Regression):
    """Known is what has a probability of at least the threshold."""

    threshold: float

    def known(self, measured):
        return self.probability(measured) >= self.threshold


def regression(measured, right):
    """The Regression of whether answers are right (N,) on their measures (N,F), by Newton's method."""
    measured, right = np.asarray(measured, float), np.asarray(right, float)
    middle, width = measured.mean(0), measured.std(0) + 1e-6
    a, weights = designed(measured, middle, width), np.zeros(measured.shape[1] + 1)
    for _ in range(STEPS):
        p = sigmoid(a @ weights)
        slope = a.T @ (p - right) + SHRUNK * np.r_[weights[:-1], 0.0]
        bend = (a * (p * (1 - p))[:, None]).T @ a + SHRUNK * np.eye(len(weights))
        weights = weights - np.linalg.solve(bend, slope)
    return Regression(middle, width, weights)


def unknowing(features):
    """A Confidence that knows nothing."""
    return Confidence(np.zeros(features), np.ones(features), np.zeros(features + 1), NEVER)


def threshold(p, right, wanted, fewest):
    """The least probability from which on a share `wanted` of at least `fewest` answers is right; NEVER if there is none."""
    order = np.argsort(-p, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(p) + 1)
    enough = np.flatnonzero((share >= wanted) & (np.arange(len(p)) >= fewest))
    return float(p[order][enough[-1]]) if len(enough) else NEVER


def designed(measured, middle, width):
    z = (np.asarray(measured, float) - middle) / width
    return np.concatenate([z, np.ones((len(z), 1))], axis=1)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
