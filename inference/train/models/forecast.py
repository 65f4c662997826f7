"""Targets of the forecast head: level and deviation of the current in each patch of 4 s.

It takes the place of BLIP-2's generation: instead of the next word, it predicts the level
and the deviation of the next patch. The error is the model's surprise.
"""

from keras import ops

from ..data import window
from . import losses
from .tokenizers import divide

TARGETS = 2  # level and log of the deviation


def of_patches(r, valid):
    """Level and log deviation of each patch (B,30,2), and which patches are complete (B,30).

    r (B,240,3), valid (B,240,1). Both have a spread of about 1.
    """
    shape = (-1, window.PATCHES, window.PATCH, r.shape[2])
    x = ops.reshape(r, shape)                                              # (B,30,8,3)
    count = ops.sum(ops.reshape(valid, (-1, window.PATCHES, window.PATCH)), axis=2)  # (B,30)
    mean = divide(ops.sum(x, axis=2), count[:, :, None], 1.0)              # (B,30,3)
    square = divide(ops.sum(x * x, axis=2), count[:, :, None], 1.0)        # (B,30,3)
    deviation = ops.sqrt(ops.maximum(square - mean * mean, 0.0) + 1e-8)    # (B,30,3)
    out = ops.stack([5.0 * ops.mean(mean, axis=2),
                     ops.log(1.0 + 150.0 * ops.mean(deviation, axis=2)) - 2.0], axis=2)
    return out, ops.cast(count >= window.PATCH - 1, "float32")


def errors(predicted, targets, counted):
    """Huber error of each patch, 0 where it is not counted: (B,N)."""
    return ops.mean(losses.huber(predicted - targets), axis=2) * counted


def surprise(each, counted):
    """Mean error of the counted patches: (B,1)."""
    total = ops.sum(each, axis=1, keepdims=True)
    return total / ops.maximum(ops.sum(counted, axis=1, keepdims=True), 1.0)
