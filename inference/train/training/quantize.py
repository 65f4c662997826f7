"""Makes the codebook of the current: K-means, and embeddings from a classifier of current alone.

The codes come from the currents recorded with the videos of the training batches. A
classifier learns their embeddings by separating abnormal from normal by the sequence of
codes alone. Centres and embeddings are then frozen, and every network with a codebook
loads the same file.
"""

import keras
import numpy as np
from keras import ops
from scipy.cluster import vq

from ..data import window
from ..data.sampler import EARLIEST
from ..data.window import current_window
from ..models import codebook, losses
from ..models.tokenizers import changes, relative_current

FILE = "bank.npz"
SAMPLES = 40_000  # for K-means
STEPS, WINDOWS = 400, 64


def make(batches, dim, seed, steps=STEPS):
    """Centres (U,F) and embeddings (U,D) from training batches."""
    rng = np.random.default_rng(seed)
    windows, labels = drawn(rng, batches, steps * WINDOWS)
    x = quantities(windows)                                                # (N,240,5)
    masks = windows[1] > 0.5                                               # (N,240)
    some = x[masks]
    some = some[rng.permutation(len(some))[:SAMPLES]]
    # An empty code stays unused; the data may have fewer kinds of current.
    centres, _ = vq.kmeans2(some.astype(float), codebook.CODES, iter=30, minit="++", seed=seed, missing="warn")
    ids = np.concatenate([nearest(part, centres) for part in np.array_split(x, 50)])
    ids = np.where(masks, ids, codebook.CODES)  # one more code for missing samples
    return centres.astype(np.float32), embed(ids, labels, dim, seed)


def drawn(rng, batches, count):
    """Windows of the currents recorded with the videos, evenly of both classes: arrays and labels."""
    by_class = [[(b, s) for b in batches for s in np.flatnonzero(b.label == c) if s >= EARLIEST] for c in (0, 1)]
    if not all(by_class):
        raise ValueError("the training batches contain only one class; name batches of both in train.json")
    labels = np.arange(count) % 2
    parts = []
    for label in labels:
        batch, second = by_class[label][rng.integers(len(by_class[label]))]
        parts.append(current_window(batch.currents[0], second))
    return [np.stack(p) for p in zip(*parts, strict=True)], labels


def quantities(windows):
    parts = []
    for amps, mask, set_point in zip(*(np.array_split(w, max(len(w) // 512, 1)) for w in windows), strict=True):
        r, valid = relative_current(amps, mask, set_point)
        parts.append(ops.convert_to_numpy(codebook.quantities(r, changes(r, valid)[0], valid)))
    return np.concatenate(parts)


def nearest(x, centres):
    """The index of the nearest centre: x (N,T,F) → (N,T)."""
    return ((centres**2).sum(1) / 2 - x @ centres.T).argmin(2)


def embed(ids, labels, dim, seed):
    """Embeddings of the codes, learnt by a small classifier of their sequence: (U,dim)."""
    keras.utils.set_random_seed(seed)
    table = keras.layers.Embedding(codebook.CODES + 1, dim)
    net = keras.Sequential([
        keras.Input((window.SAMPLES,), dtype="int32"),
        table,                                                             # (B,240,D)
        keras.layers.Conv1D(dim, 4, strides=4, activation="relu"),         # (B,60,D)
        keras.layers.GlobalAveragePooling1D(),                             # (B,D)
        keras.layers.Dense(1),
    ])
    net.compile(keras.optimizers.Adam(2e-3), loss=lambda y, logit: losses.verdict(y, logit))
    net.fit(ids.astype(np.int32), labels[:, None].astype(np.float32), batch_size=WINDOWS, epochs=1, verbose=0)
    found = ops.convert_to_numpy(table.embeddings)[: codebook.CODES]
    # Normalised to a standard deviation of 1.
    return (found / max(float(found.std()), 1e-6)).astype(np.float32)


def save(folder, centres, embedding):
    np.savez(folder / FILE, centres=centres, embedding=embedding)


def load(folder, layer):
    """Loads the file into a network's Codebook layer."""
    with np.load(folder / FILE) as kept:
        layer.centres.assign(kept["centres"])
        layer.embedding.assign(kept["embedding"])
