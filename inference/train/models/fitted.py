"""Frame tokens whose contrast survives clipping, and a residual that survives swings of the camera.

Levels become tones, log(x / (1 − x)) with a margin, so that differences near white and near
black count as much as those between. A frame is measured in its own spread about its own
mean, both without the outermost pixels. The background, kept in the same measure, is fitted
to the frame by gain and offset before it is taken off: what remains is neither exposure nor
white balance nor a changed tone curve, as far as these move all pixels alike. The residual
is also given in units of its own spread, so that a spot counts by how it stands out of
what else differs.

Shapes: B frames, D features.
"""

import keras
import numpy as np
from keras import ops

from ..data.background import FITTED, LEAST_SPREAD, MOST_SPREADS, TONE_MARGIN
from ..data.window import SIZE
from .tokenizers import GRID, QUERIES, FrameTokens, each_place

LEAST_RESIDUAL = 0.05  # spread of the residual; a quieter one is not magnified further
GAIN = (0.2, 3.0)  # of the background; a camera's gain stays within


def spread_of(x, mean):
    """1.25 times the mean distance from the mean, a standard deviation for normal noise: (B,1,1,1)."""
    return 1.25 * ops.mean(ops.abs(x - mean), axis=(2, 3), keepdims=True)


def tone_map(grey):
    """A frame's tone in units of its spread about its mean, shifted to be at least 0 (B,1,64,64), and the spread (B,1,1,1)."""
    mean = ops.mean(grey, axis=(2, 3), keepdims=True)                      # (B,1,1,1)
    reach = 3.0 * spread_of(grey, mean)                                    # (B,1,1,1)
    held = ops.minimum(ops.maximum(grey, mean - reach), mean + reach)      # (B,1,64,64)
    mean = ops.mean(held, axis=(2, 3), keepdims=True)                      # (B,1,1,1)
    spread = ops.maximum(spread_of(held, mean), LEAST_SPREAD)              # (B,1,1,1)
    return ops.clip((grey - mean) / spread, -MOST_SPREADS, MOST_SPREADS) + MOST_SPREADS, spread


def fitted(background, z, weight):
    """Gain and offset that bring the background nearest to z by weighted least squares: (B,1,1,1) each; all inputs (B,1,32,32)."""
    terms = ops.concatenate([ops.ones_like(z), background, z], axis=1)     # (B,3,32,32)
    flat = (-1, 3, terms.shape[2] * terms.shape[3])
    moments = ops.matmul(ops.reshape(weight * terms, flat), ops.transpose(ops.reshape(terms, flat), (0, 2, 1)))  # (B,3,3)
    moments = moments / flat[2]
    w, b, y, bb, by = (moments[:, i : i + 1, j : j + 1, None] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2)))  # (B,1,1,1) each
    w = ops.maximum(w, 1e-3)
    b, y = b / w, y / w
    # A flat background tells no gain.
    gain = ops.clip((by / w - b * y + 0.02) / (ops.maximum(bb / w - b * b, 0.0) + 0.02), *GAIN)
    return gain, y - gain * b


def residual_of(known, z):
    """z less the fitted background, cut, and its spread: (B,1,64,64), (B,1,1,1). Every second row and column is fitted."""
    # About their middle: moments about 0 would lose four digits in their differences.
    known, z = known - MOST_SPREADS, z - MOST_SPREADS
    some, seen = known[:, :, ::2, ::2], z[:, :, ::2, ::2]                  # (B,1,32,32) twice
    gain, offset = fitted(some, seen, 1.0)
    residual = seen - gain * some - offset                                 # (B,1,32,32)
    # A second fit hardly counts what stands out of the first.
    spread = ops.maximum(spread_of(residual, 0.0), LEAST_RESIDUAL)         # (B,1,1,1)
    gain, offset = fitted(some, seen, 1.0 / (1.0 + ops.square(residual / spread)))
    residual = seen - gain * some - offset
    spread = spread_of(ops.clip(residual, -2.0 * spread, 2.0 * spread), 0.0)
    return ops.clip(z - gain * known - offset, -4.0, 4.0), ops.maximum(spread, LEAST_RESIDUAL)


class FittedFrameTokens(FrameTokens):
    """FrameTokens of tones, against a fitted background, with a score of each place.

    The scores are trained to tell the places that the hot spot takes (losses.glow).
    A place is judged by what is around it, so the score transfers between shells better than
    a verdict on the whole frame. The first query attends by it, and its greatest values
    are among the quantities of the whole frame.
    """

    CHANNELS = 7
    SCALES = np.diag([1, 0.5, 1, 1, 1, 1, 0.3]).astype("float32")[None]
    OVERALL = 17 + 3

    def build(self, *_):
        self.glow = keras.layers.Dense(1, name="glow")
        self.glow.build((None, GRID * GRID, self.dim))
        super().build()

    def prepare(self, frame, background):
        # Channels first, where slices and joints of channels are whole blocks of memory.
        x = ops.transpose(ops.cast(frame, "float32"), (0, 3, 1, 2))        # (B,3,64,64)
        x = ops.clip(x / 255.0, 0.0, 1.0)
        tone = ops.log((x + TONE_MARGIN) / (1.0 + TONE_MARGIN - x))        # (B,3,64,64)
        grey = ops.mean(tone, axis=1, keepdims=True)                       # (B,1,64,64)
        z, spread = tone_map(grey)                                         # (B,1,64,64), (B,1,1,1)
        background = ops.reshape(background, (-1, 1, SIZE, SIZE))
        known = ops.where(background < 0, z, ops.minimum(background, 2.0 * MOST_SPREADS))  # (B,1,64,64)
        ahead = z - known
        following = known + ahead * (1.0 / FITTED.fall) + ops.maximum(ahead, 0.0) * (1.0 / FITTED.rise - 1.0 / FITTED.fall)
        residual, own = residual_of(known, z)                              # (B,1,64,64), (B,1,1,1)
        stands = ops.clip(residual / own, -12.0, 12.0)                     # (B,1,64,64)
        z = z - MOST_SPREADS
        colour = ops.concatenate([tone[:, :1], tone[:, 2:]], axis=1) - grey  # (B,2,64,64) red and blue
        colour = ops.clip((colour - ops.mean(colour, axis=(2, 3), keepdims=True)) / spread, -4.0, 4.0)
        picture = self.picture(z, grey, colour, residual, stands)          # (B,64,64,7)
        rows = ops.reshape(z, (-1, GRID, SIZE // GRID * SIZE))             # (B,8,512)
        mean = ops.mean(x, axis=(2, 3))                                    # (B,3)
        flat = lambda value: value[:, 0, 0]                                # (B,1,1,1) → (B,1)
        overall = ops.concatenate([
            2.0 * mean, 0.5 * ops.log(mean + 0.02) + 1.0,                  # (B,3) twice
            ops.mean(rows, axis=2),                                        # (B,8)
            flat(ops.log(own)) + 1.5, 0.2 * ops.max(stands, axis=(2, 3)), flat(ops.log(spread)) + 1.0,  # (B,1) each
        ], axis=1)                                                         # (B,17)
        return picture, ops.reshape(following, (-1, SIZE, SIZE, 1)), overall

    def picture(self, z, grey, colour, residual, stands):
        """The channels that the convolutions read, last: (B,64,64,CHANNELS)."""
        x = ops.concatenate([z, grey, colour, residual, ops.abs(residual), stands], axis=1)  # (B,7,64,64)
        x = ops.transpose(ops.reshape(x, (-1, self.CHANNELS, SIZE * SIZE)), (0, 2, 1))
        # TensorFlow joins the transpose to the product, which is quicker than it alone.
        return ops.reshape(ops.matmul(x, self.SCALES), (-1, SIZE, SIZE, self.CHANNELS))

    def scores(self, x):
        kernel, here = self.looks()                                        # (D,3), (64,3)
        # A column more for the score of the places, which the first query adds to its own.
        score = self.glow.kernel                                           # (D,1)
        kernel = ops.concatenate([kernel[:, :1] + score, kernel[:, 1:], score], axis=1)  # (D,4)
        glows = self.glow.bias + ops.zeros((GRID * GRID, 1))               # (64,1)
        here = ops.concatenate([here[:, :1] + glows, here[:, 1:], glows], axis=1)  # (64,4)
        found = each_place(x, kernel, here)                                # (B,4,64)
        return found[:, :QUERIES], found[:, QUERIES]

    def described(self, overall, glow):
        greatest, _ = ops.top_k(glow, 4)                                   # (B,4)
        mean = ops.mean(glow, axis=1, keepdims=True)                       # (B,1)
        return ops.concatenate([overall, 0.3 * greatest[:, :1], 0.3 * greatest[:, 3:], 0.3 * mean], axis=1)
