"""What the networks of the welds read, and the linear reading that they are held against.

A frame is told by 40 principal components of the pictures of seven frames around it, 280
features. The components are fitted to the training welds. The networks read the features as
a frame's four tokens; the ridge regression reads from them the high-passed current of the
frame's two samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..data import welds
from .welds_offset import Correlation

COMPONENTS = 40
TAPS = 7  # frames around one, itself in the middle
FEATURES = COMPONENTS * TAPS
RIDGE = 1000.0  # of features with a spread of 1
DAMPED = 0.5  # power of a component's spread that the networks' tokens keep


@dataclass
class Components:
    """Principal components of frames."""

    mean: np.ndarray  # (900,)
    directions: np.ndarray  # (900,40)
    spread: np.ndarray  # (40,)

    def projected(self, frames, flip=(1, 1)):
        """The components of every frame: (T,40); flip: −1 mirrors the rows, the columns."""
        x = frames[:, :: flip[0], :: flip[1]].reshape(len(frames), -1) / np.float32(255)
        return (x - self.mean) @ self.directions

    def tokens(self, frames, flip=(1, 1)):
        """What the networks read of every frame: (T,280) float32.

        High-passed like the current: a still picture tells welds apart, and no time.
        """
        x = self.projected(frames, flip) / (self.spread ** (1 - DAMPED) * self.spread[0] ** DAMPED)
        return around(x - welds.moving_mean(x)).astype(np.float32)


def around(x):
    """Each row beside those of its TAPS neighbours: (T,D) → (T,TAPS·D)."""
    wide = np.pad(x, [(TAPS // 2, TAPS // 2), (0, 0)], mode="edge")
    return np.concatenate([wide[i : i + len(x)] for i in range(TAPS)], axis=1)


def fit_components(known):
    """Components of the frames of some welds."""
    count, total, products = 0, 0.0, 0.0
    for weld in known:
        x = weld.frames.reshape(len(weld), -1).astype(np.float32) / np.float32(255)
        count, total, products = count + len(x), total + x.sum(0, dtype=float), products + (x.T @ x).astype(float)
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    order = np.argsort(values)[::-1][:COMPONENTS]
    spread = np.sqrt(np.maximum(values[order], 1e-9))
    return Components(mean.astype(np.float32), vectors[:, order].astype(np.float32), spread.astype(np.float32))


@dataclass
class Ridge:
    features: Callable  # frames → (T,280)
    target: Callable  # weld → (2T,)
    middle: np.ndarray  # (280,)
    width: np.ndarray  # (280,)
    weights: np.ndarray  # (280,2)

    def predict(self, frames):
        """The high-passed current that the frames show: (2T,)."""
        return ((self.features(frames) - self.middle) / self.width @ self.weights).reshape(-1)

    def reading(self, weld):
        return Correlation(self.predict(weld.frames), self.target(weld))


def fit_ridge(known, components, like_networks=False):
    """The ridge regression of some welds.

    like_networks: from the networks' tokens to the current as the networks read it, both
    high-passed, in place of the README's ridge. It tells what the networks owe to these.
    """
    features = components.tokens if like_networks else lambda frames: around(components.projected(frames))
    target = (lambda weld: welds.swing(weld.current)) if like_networks else deviation
    edge = round(welds.EDGE * welds.FRAME_HZ)
    x = np.concatenate([features(w.frames)[edge:-edge] for w in known]).astype(float)
    y = np.concatenate([target(w).reshape(-1, welds.PER_FRAME)[edge:-edge] for w in known])
    middle, width = x.mean(0), x.std(0) + 1e-9
    a = (x - middle) / width
    weights = np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), a.T @ (y - y.mean(0)))
    return Ridge(features, target, middle, width, weights)


def deviation(weld):
    """The high-passed current in units of the weld's standard deviation: (2T,)."""
    d = welds.deviation(weld.current)
    return d / d[welds.EDGE_SAMPLES : -welds.EDGE_SAMPLES].std()
