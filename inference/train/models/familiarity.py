"""How much a window is like the windows of training, for each sense: 1 for like, to 0 for unlike anything.

Each sense's window becomes features that tell furnaces, cameras and meters apart and hardly
depend on the furnace's state. Of the video that is the mean over the frames of their last
token, which describes the light of the whole frame; the tokens that look at places are
trained to find a spot in any house, and tell houses apart less. Of the current it is the
shape of its fluctuation: how that is spread over time lags and phases, and how heavy its
tails are. It is free of scale, because the amplitude carries the label.

The features' squared distance to the nearest of several centres, in units of the scatter
about them, becomes the familiarity 1 / (1 + d² / median): one half at the distance that
half of the training windows exceed. The windows of each class have centres and scatter of
their own, so an abnormal furnace is familiar, and so has each furnace of the training.

The constants come from training windows after the network is trained
(evaluation/familiarity.py), and are kept beside its weights. A network without them tells no
familiarity.

Shapes: B windows, T samples, P phases, L lags, N tokens, D their features, F features of a
sense, C classes, K centres of each.
"""

import pathlib
from dataclasses import dataclass

import numpy as np
from keras import ops

from ..data import window

SENSES = ("current", "video")
FILE = "familiarity.npz"  # in a run's folder
MISSING = -1.0  # an output of one sense, while the window holds too little of it
LAGS = np.array([1, 2, 4, 8])  # samples
# Fewest pairs of neighbouring samples. A meter of half the rate has none, and one that loses
# a third of its samples has too few: what it gives
# cannot be compared with the training windows.
ENOUGH_PAIRS = window.SAMPLES // 2
ENOUGH_FRAMES = window.FRAMES // 2
LATER = np.arange(window.SAMPLES) + LAGS[:, None]  # (L,T)
INSIDE = (LATER < window.SAMPLES).astype("float32")[None, :, :, None]  # (1,L,T,1)
LATER = np.minimum(LATER, window.SAMPLES - 1)


def current_features(r, valid):
    """r (B,T,P) relative to the set-point, valid (B,T,1) → (B,F), and whether enough is known (B,1)."""
    count = ops.maximum(ops.sum(valid, axis=1, keepdims=True), 1.0)        # (B,1,1)
    mean = ops.sum(r * valid, axis=1, keepdims=True) / count               # (B,1,P)
    about = ((r - mean) * valid)[:, None]                                  # (B,1,T,P)
    both = ops.take(valid, LATER, axis=1) * valid[:, None] * INSIDE        # (B,L,T,1)
    change = (ops.take(about[:, 0], LATER, axis=1) - about) * both         # (B,L,T,P)
    d = ops.concatenate([about, change], axis=1)                           # (B,1+L,T,P)
    pairs = ops.sum(both, axis=(2, 3))                                     # (B,L)
    n = ops.maximum(ops.concatenate([count[:, :, 0], pairs], axis=1), 1.0)  # (B,1+L)
    products = ops.matmul(ops.transpose(d, (0, 1, 3, 2)), d)               # (B,1+L,P,P)
    own = ops.sum(products * np.eye(window.PHASES, dtype="float32"), axis=3)  # (B,1+L,P)
    power, square, n = ops.sum(own, axis=2), d * d, n * window.PHASES      # (B,1+L), (B,1+L,T,P), (B,1+L)
    together = (ops.sum(products, axis=(2, 3)) - power) / (2.0 * power + 1e-6)  # (B,1+L) correlation of the phases
    power = power / n + 1e-7                                               # (B,1+L)
    size, third, fourth = (ops.sum(x, axis=(2, 3)) / n for x in (ops.abs(d), square * d, square * square))  # (B,1+L) each
    narrow = ops.rsqrt(power)                                              # (B,1+L)
    features = ops.concatenate([
        0.5 * ops.log(power[:, 1:] / power[:, :1]),                        # (B,L)
        ops.log(size * narrow + 1e-3),                                     # (B,1+L)
        third * narrow / power,                                            # (B,1+L) asymmetry
        ops.log(fourth / (power * power) + 0.1),                           # (B,1+L) heaviness of the tails
        together,                                                          # (B,1+L)
        ops.std(mean[:, 0], axis=1, keepdims=True),                        # (B,1)
        ops.std(ops.log(own[:, 0] / count[:, 0] + 1e-7), axis=1, keepdims=True),  # (B,1)
    ], axis=1)
    return features, ops.cast(pairs[:, :1] >= ENOUGH_PAIRS, "float32")


def video_features(tokens, seen):
    """tokens (B,N,4,D), seen (B,N) → (B,D), and whether enough is known (B,1)."""
    count = ops.sum(seen, axis=1, keepdims=True)                           # (B,1)
    x = ops.where(seen[:, :, None] > 0.5, tokens[:, :, -1], 0.0)           # (B,N,D)
    return ops.sum(x, axis=1) / ops.maximum(count, 1.0), ops.cast(count >= ENOUGH_FRAMES, "float32")


@dataclass(frozen=True)
class Density:
    """One sense's constants, for windows of each class: C = 2."""

    mean: np.ndarray  # (C,1,F)
    weights: np.ndarray  # (C,F,F), to units of the scatter about the centres
    centres: np.ndarray  # (C,K,F)
    middle: np.ndarray  # (C,1,1), the median of the training windows' squared distances

    def distance(self, x):
        """The squared distance of features (B,F) to the nearest centre of either class, 1 at the middle: (B,1)."""
        y = ops.matmul(x[None] - self.mean, self.weights)                  # (C,B,F)
        toward = ops.matmul(y, np.transpose(self.centres, (0, 2, 1))) - 0.5 * np.sum(self.centres**2, axis=2)[:, None]  # (C,B,K)
        square = ops.sum(y * y, axis=2, keepdims=True) - 2.0 * ops.max(toward, axis=2, keepdims=True)  # (C,B,1)
        return ops.min(ops.maximum(square, 0.0) / self.middle, axis=0)     # (B,1)

    def familiarity(self, x, known):
        """Of features (B,F) and whether they are known (B,1): (B,1), MISSING where they are not."""
        return ops.where(known > 0.5, 1.0 / (1.0 + self.distance(x)), MISSING)


def outputs(densities, tokens, s):
    """The outputs of step: densities by sense, tokens (B,N,4,D), s a system.Sequences."""
    found = {"current": current_features(s.r, s.valid), "video": video_features(tokens, s.seen)}
    return {f"familiarity_{sense}": density.familiarity(*found[sense]) for sense, density in densities.items()}


def save(densities, folder):
    """Keeps the constants in a run's folder."""
    np.savez(pathlib.Path(folder) / FILE, **{f"{sense}_{k}": v for sense, d in densities.items() for k, v in vars(d).items()})


def load(folder):
    """The constants of a run by sense; empty without any."""
    path = pathlib.Path(folder) / FILE
    if not path.exists():
        return {}
    with np.load(path) as kept:
        return {sense: Density(*(kept[f"{sense}_{k}"] for k in Density.__dataclass_fields__))
                for sense in SENSES if f"{sense}_mean" in kept}
