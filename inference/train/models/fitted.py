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
from keras import ops

from ..data.background import FITTED, LEAST_SPREAD, MOST_SPREADS, TONE_MARGIN
from ..data.window import SIZE
from .tokenizers import GRID, FrameTokens

LEAST_RESIDUAL = 0.05  # spread of the residual; a quieter one is not magnified further
GAIN = (0.2, 3.0)  # of the background; a camera's gain stays within


def spread_of(x, mean):
    """1.25 times the mean distance from the mean, a standard deviation for normal noise: (B,1,1,1)."""
    return 1.25 * ops.mean(ops.abs(x - mean), axis=(1, 2), keepdims=True)


def tone_map(grey):
    """A frame's tone in units of its spread about its mean, shifted to be at least 0 (B,64,64,1), and the spread (B,1,1,1)."""
    mean = ops.mean(grey, axis=(1, 2), keepdims=True)                      # (B,1,1,1)
    reach = 3.0 * spread_of(grey, mean)                                    # (B,1,1,1)
    held = ops.minimum(ops.maximum(grey, mean - reach), mean + reach)      # (B,64,64,1)
    mean = ops.mean(held, axis=(1, 2), keepdims=True)                      # (B,1,1,1)
    spread = ops.maximum(spread_of(held, mean), LEAST_SPREAD)              # (B,1,1,1)
    return ops.clip((grey - mean) / spread, -MOST_SPREADS, MOST_SPREADS) + MOST_SPREADS, spread


def fitted(background, z, weight):
    """Gain and offset that bring the background nearest to z by weighted least squares: (B,1,1,1) each."""
    weighted = weight * background
    moments = ops.concatenate([weight, weighted, weight * z, weighted * background, weighted * z], axis=3)  # (B,32,32,5)
    moments = ops.mean(moments, axis=(1, 2), keepdims=True)                # (B,1,1,5)
    w, b, y, bb, by = (moments[..., i : i + 1] for i in range(5))          # (B,1,1,1) each
    w = ops.maximum(w, 1e-3)
    b, y = b / w, y / w
    # A flat background tells no gain.
    gain = ops.clip((by / w - b * y + 0.02) / (ops.maximum(bb / w - b * b, 0.0) + 0.02), *GAIN)
    return gain, y - gain * b


def residual_of(known, z):
    """z less the fitted background, cut, and its spread: (B,64,64,1), (B,1,1,1). Every second row and column is fitted."""
    # About their middle: moments about 0 would lose four digits in their differences.
    known, z = known - MOST_SPREADS, z - MOST_SPREADS
    some, seen = known[:, ::2, ::2], z[:, ::2, ::2]                        # (B,32,32,1) twice
    gain, offset = fitted(some, seen, ops.ones_like(seen))
    residual = seen - gain * some - offset                                 # (B,32,32,1)
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
    OVERALL = 17 + 3

    def build(self, *_):
        self.glow = keras.layers.Dense(1, name="glow")
        self.glow.build((None, GRID * GRID, self.dim))
        super().build()

    def prepare(self, frame, background):
        x = ops.clip(ops.cast(frame, "float32") / 255.0, 0.0, 1.0)         # (B,64,64,3)
        tone = ops.log((x + TONE_MARGIN) / (1.0 + TONE_MARGIN - x))        # (B,64,64,3)
        grey = ops.mean(tone, axis=3, keepdims=True)                       # (B,64,64,1)
        z, spread = tone_map(grey)                                         # (B,64,64,1), (B,1,1,1)
        known = ops.where(background < 0, z, ops.minimum(background, 2.0 * MOST_SPREADS))  # (B,64,64,1)
        ahead = z - known
        following = known + ahead * ops.where(ahead > 0, 1.0 / FITTED.rise, 1.0 / FITTED.fall)
        residual, own = residual_of(known, z)                              # (B,64,64,1), (B,1,1,1)
        stands = ops.clip(residual / own, -12.0, 12.0)                     # (B,64,64,1)
        colour = tone - grey                                               # (B,64,64,3)
        colour = (colour - ops.mean(colour, axis=(1, 2), keepdims=True)) / spread
        picture = self.picture(z - MOST_SPREADS, grey, ops.clip(colour[..., ::2], -4.0, 4.0), residual, stands)
        rows = ops.reshape(z - MOST_SPREADS, (-1, GRID, SIZE // GRID, SIZE))  # (B,8,8,64)
        mean = ops.mean(x, axis=(1, 2))                                    # (B,3)
        flat = lambda value: value[:, 0, 0]                                # (B,1,1,1) → (B,1)
        overall = ops.concatenate([
            2.0 * mean, 0.5 * ops.log(mean + 0.02) + 1.0,                  # (B,3) twice
            ops.mean(rows, axis=(2, 3)),                                   # (B,8)
            flat(ops.log(own)) + 1.5, 0.2 * ops.max(stands, axis=(1, 2)), flat(ops.log(spread)) + 1.0,  # (B,1) each
        ], axis=1)                                                         # (B,17)
        return picture, following, overall

    def picture(self, z, grey, colour, residual, stands):
        """The channels that the convolutions read: (B,64,64,CHANNELS)."""
        return ops.concatenate([z, 0.5 * grey, colour, residual, ops.abs(residual), 0.3 * stands], axis=3)

    def places(self, x):
        return self.glow(x)[:, :, 0]                                       # (B,64)

    def looked_at(self, scores, glow):
        first = scores[:, :, :1] + glow[:, :, None]                        # (B,64,1)
        return ops.concatenate([first, scores[:, :, 1:]], axis=2)          # (B,64,3)

    def described(self, overall, glow):
        greatest, _ = ops.top_k(glow, 4)                                   # (B,4)
        mean = ops.mean(glow, axis=1, keepdims=True)                       # (B,1)
        return ops.concatenate([overall, 0.3 * greatest[:, :1], 0.3 * greatest[:, 3:], 0.3 * mean], axis=1)
