"""The next-current head's targets: what the current does in each patch of 4 s.

Generation in BLIP-2's sense: instead of the next word, the level and the
restlessness of the next stretch of current. Its error is the model's surprise.
"""

from keras import ops

from . import losses
from ..data import window
from .tokenizers import divide

TARGETS = 2  # level and log of the deviation


def of_patches(r, valid):
    """Level and log deviation of each patch (B,30,2), and which have all their samples (B,30).

    r (B,240,3), valid (B,240,1). Both about one unit wide.
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
    """Huber error of each patch, 0 where it does not count: (B,N)."""
    return ops.mean(losses.huber(predicted - targets), axis=2) * counted


def surprise(each, counted):
    """Mean error of the patches that count: (B,1)."""
    total = ops.sum(each, axis=1, keepdims=True)
    return total / ops.maximum(ops.sum(counted, axis=1, keepdims=True), 1.0)
