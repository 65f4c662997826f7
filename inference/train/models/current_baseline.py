"""How much the current of this furnace usually fluctuates: the current's counterpart of the video's background.

A quiet current is the sign of an abnormal melt, but furnaces differ: what is quiet for one is usual
for another. So the logarithm of the coefficient of variation over each of CurrentTokens.SPANS is
compared with its own slow mean. The mean is a state that the caller passes from call to call, and
keeps while the furnace is suspected: (B,4), of each span, and the seconds that it was learnt for.
Zeros mean that nothing is known yet.

It follows a quieter current more slowly than a livelier one, because quiet is the sign. The numpy
version of it, for training, is data/current_baselines.py.

Shapes: B windows, S spans.
"""

from keras import ops

from ..data.current_baselines import FALL_SECONDS, LEAST_LEVEL, LEAST_SHARE, MOST_DROPPED, RISE_SECONDS, SPANS, TRUSTED_SECONDS

SIZE = SPANS + 1
MOST = 100.0  # a state with a greater value is invalid


def follow(deviation, share, dropped, level, enough, before):
    """The fluctuation relative to the usual one (B,S,2), with how far that is known, and the state of the next second (B,4).

    deviation (B,S) log CV; share (B,1) of the longest span's samples that are there; dropped (B,1) of
    these that lie far under the set-point, mean of the phases; level (B,1) the current of the shortest span relative to its
    set-point, − 1; enough (B,S) whether a span holds enough samples; before (B,4).
    """
    # A comparison with NaN is false, so a broken state counts as nothing known.
    sane = ops.all(ops.abs(before) < ops.convert_to_tensor([MOST] * SPANS + [2 * FALL_SECONDS]), axis=1, keepdims=True)  # (B,1)
    sane = ops.logical_and(sane, before[:, SPANS:] >= 0)                   # (B,1)
    before = ops.where(sane, before, 0.0)                                  # (B,4)
    usual, seconds = before[:, :SPANS], before[:, SPANS:]                  # (B,S), (B,1)
    known = ops.clip(seconds / TRUSTED_SECONDS, 0.0, 1.0) * enough         # (B,S)
    difference = deviation - usual                                         # (B,S)
    # A furnace that stands, stops or starts, and a span of a few samples, tell nothing of its work.
    works = ops.logical_and(ops.logical_and(share >= LEAST_SHARE, dropped <= MOST_DROPPED), level > LEAST_LEVEL)
    works = ops.cast(works, "float32")                                     # (B,1)
    counted = seconds + works                                              # (B,1)
    gain = ops.maximum(1.0 / ops.maximum(counted, 1.0), ops.where(difference > 0, 1.0 / RISE_SECONDS, 1.0 / FALL_SECONDS))  # (B,S)
    after = ops.concatenate([usual + works * enough * gain * difference, ops.minimum(counted, FALL_SECONDS)], axis=1)  # (B,4)
    return ops.stack([difference * known, known], axis=2), after
