"""Fits the constants of familiarity (models/familiarity.py) to features of training windows."""

import numpy as np

from ..models.familiarity import Density

CENTRES = 16  # of each class, at most
WINDOWS = 200  # of training for each centre, at least
ROUNDS = 20  # of k-means
SHRINK = 1e-3  # added to variances in units of the features' own


def fit(x, label, seed=0):
    """The Density of features (N,F) of windows with labels (N,); unlabelled windows are left out."""
    classes = [x[label == c].astype(np.float64) for c in (0, 1)]
    count = max(min(CENTRES, *(len(some) // WINDOWS for some in classes)), 1)
    fields = zip(*(of_class(some, count, seed) for some in classes), strict=True)
    return Density(*(np.stack(parts).astype(np.float32) for parts in fields))


def of_class(x, count, seed):
    """The fields of a Density with so many centres, for the windows (N,F) of one class."""
    mean, scale = x.mean(0), 1.0 / (x.std(0) + 1e-2 * x.std() + 1e-6)
    z = (x - mean) * scale
    whole = whitening(z, z.mean(0))                                        # (F,F)
    start = np.random.default_rng(seed).choice(len(x), count, replace=False)
    centres, nearest = clusters(z @ whole, (z @ whole)[start])
    about = whitening(z @ whole, centres[nearest])                         # (F,F)
    weights = scale[:, None] * whole @ about
    y = (x - mean) @ weights
    centres, nearest = clusters(y, centres @ about)
    middle = np.median(((y - centres[nearest]) ** 2).sum(1))
    return mean[None], weights, centres, middle[None, None]


def whitening(x, centre):
    """The matrix that gives x (N,F) unit variance about a centre in all directions, the least variances shrunk: (F,F)."""
    about = x - centre
    value, vector = np.linalg.eigh(about.T @ about / len(x))
    return vector / np.sqrt(np.maximum(value, 0.0) + SHRINK)


def clusters(y, centres):
    """k-means of y (N,F) from centres (K,F): the centres, and which is nearest to each row (N,)."""
    for _ in range(ROUNDS):
        nearest = nearest_of(y, centres)
        centres = np.stack([y[nearest == k].mean(0) if (nearest == k).any() else c for k, c in enumerate(centres)])
    return centres, nearest_of(y, centres)


def nearest_of(y, centres):
    return (y @ centres.T - 0.5 * (centres**2).sum(1)).argmax(1)
