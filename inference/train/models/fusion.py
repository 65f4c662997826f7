"""Multi-layer fusion: the tokens of both senses in one sequence, then attention pooling.

After CLMLF (Li et al., Findings of NAACL 2022): the token sequences are concatenated,
transformer encoder layers let every token attend to every other, and attention
pooling reads the sequence out, R = Σ softmax(W₂·act(W₁h)) h.

Masked tokens are neither attended to nor pooled. Callers keep at least one token of a
sequence unmasked, so no softmax is empty.
"""

import keras
import numpy as np
from keras import ops

MASKED = -1e9  # added to a score; exp of it is exactly 0 in float32


def normalized(x):
    """Divides the features of each token by their root mean square (Zhang & Sennrich 2019).

    Half the graph nodes of a LayerNorm. It has no gain, because the Dense layer after it has one.
    """
    return x * ops.rsqrt(ops.mean(x * x, axis=-1, keepdims=True) + 1e-5)


class FusionBlock(keras.layers.Layer):
    """One transformer encoder layer, pre-normalised, with ReLU.

    It normalises over the features of one token, never over the phases of a sample.
    """

    def __init__(self, dim, heads=4, hidden=128, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.heads = dim, heads
        self.ask = keras.layers.Dense(3 * dim, name="ask")
        self.tell = keras.layers.Dense(dim, name="tell")
        self.widen = keras.layers.Dense(hidden, activation="relu", name="widen")
        self.narrow = keras.layers.Dense(dim, name="narrow")
        self.drop = keras.layers.Dropout(dropout)
        self.hidden = hidden

    def build(self, *_):
        shape = (None, None, self.dim)
        for layer in (self.ask, self.tell, self.widen):
            layer.build(shape)
        self.narrow.build((None, None, self.hidden))

    def call(self, x, bias, training=False):
        """x (B,N,D); bias (B or 1,1,N or 1,N), 0 or MASKED, added to the attention scores."""
        y = normalized(x)                                                  # (B,N,D)
        x = x + self.drop(self.look(y, bias), training=training)           # (B,N,D)
        y = self.narrow(self.widen(normalized(x)))                         # (B,N,D)
        return x + self.drop(y, training=training)                         # (B,N,D)

    def look(self, y, bias):
        n, width = y.shape[1], self.dim // self.heads
        y = ops.reshape(self.ask(y), (-1, n, 3, self.heads, width))        # (B,N,3,H,W)
        y = ops.transpose(y, (2, 0, 3, 1, 4))                              # (3,B,H,N,W)
        query = y[0] * width**-0.5                                         # (B,H,N,W)
        scores = ops.matmul(query, ops.transpose(y[1], (0, 1, 3, 2)))      # (B,H,N,N)
        weights = ops.softmax(scores + bias, axis=-1)                      # (B,H,N,N)
        seen = ops.transpose(ops.matmul(weights, y[2]), (0, 2, 1, 3))      # (B,N,H,W)
        return self.tell(ops.reshape(seen, (-1, n, self.dim)))             # (B,N,D)


class AttentionPooling(keras.layers.Layer):
    """R = Σ softmax(W₂·relu(W₁h)) h over the unmasked tokens."""

    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.first = keras.layers.Dense(dim, activation="relu", name="first")
        self.second = keras.layers.Dense(1, use_bias=False, name="second")

    def build(self, *_):
        self.first.build((None, None, self.dim))
        self.second.build((None, None, self.dim))

    def call(self, h, mask):
        """h (B,N,D), mask (B,N) with at least one 1 → R (B,D), weights (B,N)."""
        read, weights = self.several(h, mask[:, None])                     # (B,1,D), (B,1,N)
        return read[:, 0], weights[:, 0]                                   # (B,D), (B,N)

    def several(self, h, masks):
        """h (B,N,D) read under each of R masks (B,R,N) → (B,R,D), weights (B,R,N)."""
        scores = self.second(self.first(h))[:, :, 0]                       # (B,N)
        weights = ops.softmax(scores[:, None] + (1.0 - masks) * MASKED, axis=2)  # (B,R,N)
        return ops.matmul(weights, h), weights                             # (B,R,D), (B,R,N)


def mean(x, mask):
    """Mean of the unmasked tokens: x (B,N,D), mask (B,N) → (B,D)."""
    total = ops.sum(x * mask[:, :, None], axis=1)
    return total / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)


def apart(*lengths):
    """The bias that keeps sequences of these lengths from attending to each other: (N,N) of 0 and MASKED."""
    part = np.repeat(np.arange(len(lengths)), lengths)
    return np.where(part[:, None] == part[None], 0, MASKED).astype("float32")
