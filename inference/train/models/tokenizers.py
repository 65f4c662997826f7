"""Tokenizers: layers that turn raw current and pixels into tokens of one size.

Preprocessing is part of the graph, so that Go passes raw readings. Every division is
guarded and every logarithm has a positive argument: no input, however broken, produces
a NaN.

The amplitude carries the label (a quiet current is abnormal), so nothing here divides a
sample by its own spread.

Shapes: B windows, T samples, P phases, N tokens, D features.
"""

import keras
import numpy as np
from keras import ops

from ..data.background import BACKGROUND_SECONDS, BRIGHTEST
from ..data.window import FRAME_TOKENS, PATCH, PATCHES, SAMPLE_HZ, SAMPLES, SIZE
from . import current_baseline

LEAST_SET_POINT = 100.0  # amperes; a lower set-point counts as unknown
MOST_AMPS = 100e3  # a greater reading of either sign is a fault of the meter
GRID = 8  # cells along one side of a frame's feature map
QUERIES = FRAME_TOKENS - 1  # attending tokens of a frame; one more token carries its colour


def divide(a, b, least):
    """a / b, with b at least `least`, a positive number."""
    return a / ops.maximum(b, least)


def relative_current(current, sample_mask, set_point):
    """Current relative to its set-point, and which samples are valid.

    current (B,T,P) amperes, sample_mask (B,T), set_point (B,1) amperes or 0.
    Gives r = I/set − 1 (B,T,P), 0 where masked, and valid (B,T,1).
    """
    # NaN fails both comparisons, so it is masked too.
    sane = ops.logical_and(current > -MOST_AMPS, current < MOST_AMPS)      # (B,T,P)
    valid = ops.all(sane, axis=2, keepdims=True)                           # (B,T,1)
    valid = ops.logical_and(valid, sample_mask[:, :, None] > 0.5)          # (B,T,1)
    amps = ops.maximum(ops.where(valid, current, 0.0), 0.0)                # (B,T,P)
    valid = ops.cast(valid, "float32")                                     # (B,T,1)
    count = ops.sum(valid, axis=1)                                         # (B,1)
    mean = divide(ops.sum(ops.mean(amps, axis=2), axis=1, keepdims=True), count, 1.0)  # (B,1)
    level = ops.where(set_point >= LEAST_SET_POINT, set_point, mean)       # (B,1)
    level = ops.maximum(level, LEAST_SET_POINT)[:, :, None]                # (B,1,1)
    relative = ops.clip(amps / level - 1.0, -1.0, 2.0) * valid             # (B,T,P)
    return relative, valid


def changes(relative, valid):
    """Change from sample to sample, 0 unless both are valid: (B,T,P), and which are valid (B,T,1)."""
    both = valid[:, 1:] * valid[:, :-1]                                    # (B,T-1,1)
    change = (relative[:, 1:] - relative[:, :-1]) * both                   # (B,T-1,P)
    pad = [[0, 0], [1, 0], [0, 0]]
    return ops.pad(change, pad), ops.pad(both, pad)                        # (B,T,P), (B,T,1)


class CurrentTokens(keras.layers.Layer):
    """120 s of current → 30 tokens of 4 s, and one token of statistics for each of SPANS.

    The statistics complement the convolution, because the plant's own criterion, the
    coefficient of variation, needs longer spans than a small convolution covers: 120 s
    separates quiet from calm, 45 s does so sooner. One product with a constant matrix sums
    all spans: at this size graph nodes cost more than arithmetic.
    """

    SPANS = (30, 45, 120)  # seconds
    ROLLING = 10 * SAMPLE_HZ  # samples of the rolling deviation
    DROP = -0.4  # relative current below which a phase counts as dropped out
    NEEDED = 8  # fewest samples of a span
    STRIDES = (4, 2)  # of the two convolutions; their product is PATCH
    CHANNELS = STATISTICS = 13

    def __init__(self, dim, sparse=False, baseline=False, **kwargs):
        """sparse: also tell how many changes from sample to sample are known, and claim none that are not.

        baseline: also compare the fluctuation with the furnace's usual one (current_baseline.py).
        """
        super().__init__(**kwargs)
        self.sparse, self.baseline = sparse, baseline
        first, second = self.STRIDES
        self.patches = keras.layers.Conv1D(dim, first, strides=first, activation="relu", name="patches")
        self.mix = keras.layers.Conv1D(dim, 2 * second, strides=second, padding="same", name="mix")
        self.statistics = keras.layers.Dense(dim, activation="relu", name="statistics")
        self.spread = keras.layers.Dense(dim, name="spread")
        self.dim = dim
        last = SAMPLE_HZ * np.array(self.SPANS)[:, None]
        # The samples of each span: (3,240).
        self.within = (np.arange(SAMPLES) >= SAMPLES - last).astype("float32")
        self.whole = self.within.sum(axis=1, keepdims=True)  # samples of each span: (3,1)

    def build(self, *_):
        self.span = self.add_weight(name="span", shape=(len(self.SPANS), self.dim),
                                    initializer="random_normal")
        self.patches.build((None, SAMPLES, self.CHANNELS))
        self.mix.build((None, SAMPLES // self.STRIDES[0], self.dim))
        self.statistics.build((None, len(self.SPANS), self.STATISTICS + self.sparse + 2 * self.baseline))
        self.spread.build((None, len(self.SPANS), self.dim))

    def call(self, current, sample_mask, set_point):
        r, valid = relative_current(current, sample_mask, set_point)       # (B,240,3), (B,240,1)
        change, both = changes(r, valid)                                   # (B,240,3), (B,240,1)
        return self.tokens(r, change, valid, both)[:2]

    def tokens(self, r, change, valid, both, before=None):
        """Tokens from the results of relative_current() and changes(): (B,33,D), which count (B,33), the next baseline
        (B,4), and all statistics in one row (B,45), 48 with sparse; None twice without a baseline.

        before: the baseline (B,4), of a network that has one; None for nothing known yet.
        """
        x = self.patches(self.channels(r, change, valid))                  # (B,60,D)
        x = self.mix(x)                                                    # (B,30,D)
        features, spans, after = self.compared(r, change, valid, both, before)  # (B,3,13 to 16), (B,3), (B,4)
        statistics = self.row(features, spans) if self.baseline else None
        s = self.spread(self.statistics(features)) + self.span             # (B,3,D)
        patches = ops.max(ops.reshape(valid, (-1, PATCHES, PATCH)), axis=2)  # (B,30)
        return ops.concatenate([x, s], axis=1), ops.concatenate([patches, spans], axis=1), after, statistics

    def compared(self, r, change, valid, both, before=None):
        """Statistics of each span, compared with the baseline `before` if the network has one (B,3,13 to 16); which spans
        have enough samples (B,3); the next baseline (B,4) or None.
        """
        features, spans = self.span_features(r, change, valid, both)       # (B,3,13), (B,3)
        if not self.baseline:
            return features, spans, None
        # By the columns of span_features(): the mean of the deviations, the samples, those dropped, and the level.
        before = ops.zeros_like(features[:, 0, : current_baseline.SIZE]) if before is None else before
        dropped = ops.mean(features[:, -1, 6:9], axis=1, keepdims=True) / 5.0  # (B,1)
        relative, after = current_baseline.follow(
            features[:, :, 11], features[:, -1, 10:11], dropped, features[:, 0, 12:13], spans, before)
        return ops.concatenate([features, relative], axis=2), spans, after  # (B,3,15), 16 with sparse

    def row(self, features, spans):
        """The results of compared() in one row, 0 where a span has too few samples: (B,45), 48 with sparse."""
        return ops.reshape(features * spans[:, :, None], (-1, len(self.SPANS) * features.shape[2]))

    def channels(self, r, change, valid):
        """Input channels of the convolution: (B,240,13)."""
        level = ops.mean(r, axis=2, keepdims=True) + 1.0                   # (B,240,1)
        imbalance = ops.clip(divide(r + 1.0, level, 0.05) - 1.0, -1.0, 1.0)  # (B,240,3)
        return ops.concatenate([
            3.0 * r,                                                       # (B,240,3)
            15.0 * change,                                                 # (B,240,3)
            self.rolling_deviation(r, valid),                              # (B,240,3)
            2.0 * imbalance * valid,                                       # (B,240,3)
            valid,                                                         # (B,240,1)
        ], axis=2)

    def rolling_deviation(self, r, valid):
        """log(1 + standard deviation over 10 s / 0.7 % of the set-point): (B,240,3)."""
        sums = ops.concatenate([r, r * r, valid], axis=2)                  # (B,240,7)
        sums = ops.average_pool(sums, self.ROLLING, 1, padding="same")     # (B,240,7)
        means = divide(sums[:, :, :6], sums[:, :, 6:], 0.05)               # (B,240,6)
        mean = means[:, :, :3]                                             # (B,240,3)
        variance = ops.maximum(means[:, :, 3:] - mean * mean, 0.0)         # (B,240,3)
        return ops.log(1.0 + 150.0 * ops.sqrt(variance + 1e-8)) * valid

    def span_features(self, r, change, valid, both):
        """Statistics of each span (B,3,13), and which spans have enough samples (B,3)."""
        drop = ops.cast(r < self.DROP, "float32")                          # (B,240,3)
        sums = ops.concatenate([r, r * r, drop, valid, ops.abs(change), both], axis=2)  # (B,240,14)
        sums = ops.matmul(self.within, sums)                               # (B,3,14)
        count = sums[:, :, 9:10]                                           # (B,3,1)
        means = divide(sums[:, :, :9], count, 1.0)                         # (B,3,9)
        mean, drop = means[:, :, :3], means[:, :, 6:]                      # (B,3,3) twice
        variance = ops.maximum(means[:, :, 3:6] - mean * mean, 0.0)        # (B,3,3)
        cv = divide(ops.sqrt(variance + 1e-8), mean + 1.0, 0.05)           # (B,3,3)
        step = divide(sums[:, :, 10:13], sums[:, :, 13:], 1.0)             # (B,3,3)
        # Both are near 0 for a lively furnace: CV 0.08, step 0.05.
        spread = ops.log(ops.concatenate([cv, step], axis=2) + 1e-3) + 2.75  # (B,3,6)
        if self.sparse:
            # Without changes their mean would read as the quietest of currents.
            told = ops.cast(sums[:, :, 13:] >= self.NEEDED, "float32")     # (B,3,1)
            spread = ops.concatenate([spread[:, :, :3], spread[:, :, 3:] * told], axis=2)
        level = ops.mean(mean, axis=2, keepdims=True)                      # (B,3,1)
        between = ops.max(mean, axis=2, keepdims=True) - ops.min(mean, axis=2, keepdims=True)
        features = ops.concatenate([
            spread,                                                        # (B,3,6)
            5.0 * drop,                                                    # (B,3,3)
            divide(between, level + 1.0, 0.05),                            # (B,3,1)
            count / self.whole,                                            # (B,3,1)
            ops.mean(spread[:, :, :3], axis=2, keepdims=True),             # (B,3,1)
            level,                                                         # (B,3,1)
            *([sums[:, :, 13:] / self.whole] if self.sparse else []),      # (B,3,1)
        ], axis=2)
        return features, ops.cast(count[:, :, 0] >= self.NEEDED, "float32")


def normalized_frame(frame):
    """Pixels in units of the frame's own mean colour, and that mean.

    frame (B,64,64,3) 0–255. The camera's exposure and white balance follow the flame and
    change the whole frame in both classes; dividing each channel by its mean removes this
    and keeps contrast. Returns (B,64,64,3) within 0…6 and (B,3) within 0…1.
    """
    x = ops.cast(frame, "float32") / 255.0                                 # (B,64,64,3)
    mean = ops.mean(x, axis=(1, 2))                                        # (B,3)
    balanced = divide(x, mean[:, None, None], 0.02)                        # (B,64,64,3)
    return ops.minimum(balanced, BRIGHTEST), mean


def follow(background, grey):
    """Updates the slow background by one second; negative values start from the frame.

    Returns the background to compare with, and the one for the next call.
    """
    known = ops.where(background < 0, grey, ops.minimum(background, BRIGHTEST))  # (B,64,64,1)
    return known, known + (grey - known) / BACKGROUND_SECONDS


def convolved(x, convolution, norm, training):
    """A convolution and its batch normalisation.

    Outside training the normalisation is folded into the kernel, constant in the exported
    graph, where it costs nothing.
    """
    if training:
        return norm(convolution(x), training=True)
    scale = norm.gamma * ops.rsqrt(norm.moving_variance + norm.epsilon)    # (C,)
    x = ops.conv(x, convolution.kernel * scale, strides=2, padding="same")
    return ops.add(x, norm.beta - norm.moving_mean * scale)  # TensorFlow joins it to the convolution, unlike +


def each_place(x, kernel, here):
    """Linear readings of every place: x (B,64,D), kernel (D,K), what each place adds (64,K) → (B,K,64)."""
    return ops.matmul(ops.transpose(kernel), ops.transpose(x, (0, 2, 1))) + ops.transpose(here)


class FrameTokens(keras.layers.Layer):
    """One frame and its background → 4 tokens, the next background, the evidence, scores of the places or None.

    Three learned queries attend to an 8 × 8 map. The first is trained to find the hot
    spot (unimodal.py), and its attention is the evidence. The last token describes the
    light of the whole frame: exposure follows the flame and the flame follows the current,
    the only physical coupling of the senses.
    """

    WIDTHS = (16, 32)
    CHANNELS = 5  # of the picture that the convolutions read
    OVERALL = 17  # quantities of the whole frame

    def __init__(self, dim, **kwargs):
        super().__init__(**kwargs)
        widths = (*self.WIDTHS, dim)
        self.convolutions = [
            keras.layers.Conv2D(w, 3, strides=2, padding="same", use_bias=False, name=f"conv{i}")
            for i, w in enumerate(widths)]
        self.norms = [keras.layers.BatchNormalization(momentum=0.98, name=f"norm{i}")
                      for i in range(len(widths))]
        self.block = keras.layers.Conv2D(dim, 3, padding="same", name="block")
        self.keys = keras.layers.Dense(dim, use_bias=False, name="keys")
        self.values = keras.layers.Dense(dim, name="values")
        self.colour = keras.layers.Dense(dim, activation="relu", name="colour")
        self.dim = dim

    def build(self, *_):
        normal = "random_normal"
        self.place = self.add_weight(name="place", shape=(GRID * GRID, self.dim), initializer=normal)
        self.queries = self.add_weight(name="queries", shape=(QUERIES, self.dim), initializer=normal)
        shape = (None, SIZE, SIZE, self.CHANNELS)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
            norm.build(shape)
        self.block.build(shape)
        self.keys.build((None, GRID * GRID, self.dim))
        self.values.build((None, GRID * GRID, self.dim))
        self.colour.build((None, self.OVERALL))

    def prepare(self, frame, background):
        """What the convolutions read (B,64,64,CHANNELS), the next background, quantities of the whole frame (B,OVERALL)."""
        balanced, mean = normalized_frame(frame)                           # (B,64,64,3), (B,3)
        grey = ops.mean(balanced, axis=3, keepdims=True)                   # (B,64,64,1)
        known, following = follow(background, grey)                        # (B,64,64,1) twice
        residual = ops.clip(grey - known, -3.0, 3.0)                       # (B,64,64,1)
        x = ops.concatenate([balanced - 1.0, residual, ops.abs(residual)], axis=3)  # (B,64,64,5)
        return x, following, self.overall(mean, grey, residual)

    def call(self, frame, background, training=False):
        x, following, overall = self.prepare(frame, background)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.relu(convolved(x, convolution, norm, training))        # (B,32,32,16) … (B,8,8,D)
        x = x + ops.relu(self.block(x))                                    # (B,8,8,D)
        x = ops.reshape(x, (-1, GRID * GRID, self.dim))                    # (B,64,D)
        scores, glow = self.scores(x)                                      # (B,3,64), (B,64) or None
        weights = ops.softmax(scores, axis=2)                              # (B,3,64)
        # The weights sum to 1, so that the values need not be computed for each place.
        looked = self.values(ops.matmul(weights, x + self.place))          # (B,3,D)
        colour = self.colour(self.described(overall, glow))                # (B,D)
        tokens = ops.concatenate([looked, colour[:, None]], axis=1)        # (B,4,D)
        evidence = ops.reshape(weights[:, 0], (-1, GRID, GRID))            # (B,8,8)
        return tokens, following, evidence, glow

    def looks(self):
        """The queries on the keys as one linear reading of x: its kernel (D,3), and what the place itself adds (64,3)."""
        kernel = ops.matmul(self.keys.kernel, ops.transpose(self.queries))
        return kernel, ops.matmul(self.place, kernel)

    # What a subclass with a score of each place overrides.

    def scores(self, x):
        """The queries' scores of every place, from its features x (B,64,D): (B,3,64); and scores of the places themselves (B,64), or None."""
        return each_place(x, *self.looks()), None

    def described(self, overall, glow):
        """The quantities of the whole frame with those of the places."""
        return overall

    def overall(self, mean, grey, residual):
        """Quantities of the whole frame: (B,17).

        The flame burns above the crop and lights its upper rows, so the decrease of
        brightness from row to row shows its height, which follows the current.
        """
        rows = ops.reshape(grey, (-1, GRID, SIZE // GRID, SIZE))           # (B,8,8,64)
        return ops.concatenate([
            2.0 * mean,                                                    # (B,3)
            0.5 * ops.log(mean + 0.02) + 1.0,                              # (B,3)
            4.0 * (ops.mean(rows, axis=(2, 3)) - 1.0),                     # (B,8)
            ops.mean(residual, axis=(1, 2)),                               # (B,1)
            ops.mean(ops.abs(residual), axis=(1, 2)),                      # (B,1)
            ops.max(residual, axis=(1, 2)),                                # (B,1)
        ], axis=1)
