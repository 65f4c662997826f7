"""The codebook of the current, and the local alignment of frames to its codes.

After AlignVSR (Liu et al., "AlignVSR: Audio-Visual Cross-Modal Alignment for
Visual Speech Recognition", 2024): K-means quantises audio into codes (its "units");
every video frame attends to all codes (global alignment), and its attention must
match the codes of the audio heard with it (local alignment). Here a code describes
what the current did within the last seconds, by K-means over five quantities of
each sample, and its embedding comes from a classifier of current alone. The codebook
is frozen afterwards (training/quantize.py makes it).

Shapes: B windows, T samples, U codes, F quantities.
"""

import keras
import numpy as np
from keras import ops

from ..data import window
from ..data.window import TRAIL
from .tokenizers import changes, relative_current

CODES = 32
QUANTITIES = 5
# Shifts of the current, in seconds, at which the local loss is computed.
SHIFTS = tuple(float(s) for s in np.arange(-5.0, 5.01, 0.5))
FIRST = window.SAMPLES - 2 * window.FRAMES - 10  # earliest sample of any shift: 198
NEAR = window.SAMPLES - FIRST  # 42 samples
TINY = 1e-8


def stir(change, reach=TRAIL):
    """Mean |ΔI| of the phases over the last `reach` samples: (B,T,3) → (B,T,1).

    The height of the flame follows it within a second or two.
    """
    step = ops.mean(ops.abs(change), axis=2, keepdims=True)                # (B,T,1)
    total = ops.pad(ops.cumsum(step, axis=1), [[0, 0], [reach, 0], [0, 0]])  # (B,T+4,1)
    return (total[:, reach:] - total[:, :-reach]) / reach


def quantities(r, change, valid):
    """The quantities of each sample that are quantised: (B,T,5), 0 where masked.

    r, change (B,T,3), valid (B,T,1), see tokenizers: shares of the set-point. The recent
    change of the current weighs most, because it drives the flame. The scale is linear, so
    that codes separate strong changes, which frames show, and group weak ones, which they do not.
    """
    step = ops.mean(ops.abs(change), axis=2, keepdims=True)                # (B,T,1)
    level = ops.mean(r, axis=2, keepdims=True)                             # (B,T,1)
    least = ops.min(r, axis=2, keepdims=True)                              # (B,T,1)
    return ops.concatenate([
        56.0 * stir(change),
        7.5 * step,
        10.0 * stir(change, 4 * TRAIL),
        0.6 * level,
        0.3 * (level - least),
    ], axis=2) * valid


def nearest(x, centres):
    """The one-hot code of each sample: x (B,T,F), centres (U,F) → (B,T,U)."""
    # |x − c|² without |x|², which is the same for all codes.
    score = ops.matmul(x, ops.transpose(centres)) - 0.5 * ops.sum(centres * centres, axis=1)  # (B,T,U)
    return ops.one_hot(ops.argmax(score, axis=2), centres.shape[0])


def windows_of_frames():
    """The weight of each sample for each frame: (16,240), from window.samples_of_frame.

    The samples of the newest frame are clamped, so its last sample counts twice.
    """
    out = np.zeros((window.FRAMES, window.SAMPLES), np.float32)
    for k in range(window.FRAMES):
        for i in window.samples_of_frame(k):
            out[k, i] += 1
    return out


def counts(code, valid, windows):
    """The share of each code among the samples of each frame.

    code (B,T,U) one-hot, valid (B,T,1), windows (M,T) → y (B,M,U), which sums to 1, or
    to 0 for a frame without a valid sample; and which frames have any (B,M).
    """
    total = ops.matmul(windows, code * valid)                              # (B,M,U)
    number = ops.sum(total, axis=2, keepdims=True)                         # (B,M,1)
    return total / ops.maximum(number, 1.0), ops.cast(number[:, :, 0] > 0, "float32")


def local_loss(attention, y, counted):
    """L_local = −mean over frames of Σ_u y[t,u] log(ā[t,u] + 1e-8): (B,).

    attention (B,M,U) sums to 1, y (B,M,U), counted (B,M): the frames to average.
    """
    missed = -ops.sum(y * ops.log(attention + TINY), axis=2) * counted     # (B,M)
    return ops.sum(missed, axis=1) / ops.maximum(ops.sum(counted, axis=1), 1.0)


def shift_matrix():
    """The matrix that sums the frames' samples at every shift: (16·42, 21).

    Row (k, i) is frame k and sample FIRST + i; column j is shift SHIFTS[j]. A shift
    leaves out frames whose samples it moves beyond the window.
    """
    out = np.zeros((window.FRAMES, NEAR, len(SHIFTS)), np.float32)
    for j, shift in enumerate(SHIFTS):
        for k in range(window.FRAMES):
            first = window.samples_of_frame(k)[0] + round(shift * window.SAMPLE_HZ) - FIRST
            # Not clamped: a frame counts only with all of its samples.
            if 0 <= first and first + 3 <= NEAR:
                out[k, first : first + 3, j] = 1.0 / 3.0
    return out.reshape(-1, len(SHIFTS))


def shifted_loss(attention, code, valid, seen, matrix):
    """The local loss at every shift of SHIFTS, less that of the frames' mean attention: (B,21).

    attention (B,16,U), code (B,T,U) one-hot, valid (B,T,1), seen (B,16). Which codes a
    shift brings into the window is chance, and some codes always cost more than others.
    Subtracting the loss of the window's mean attention leaves what each frame predicts
    about its own seconds; the result is negative where it predicts them.
    """
    near, there = code[:, FIRST:], valid[:, FIRST:, 0]                     # (B,42,U), (B,42)
    share = seen / ops.maximum(ops.sum(seen, axis=1, keepdims=True), 1.0)  # (B,16)
    mean = ops.matmul(share[:, None], attention)                           # (B,1,U)
    known = ops.log(attention + TINY) - ops.log(mean + TINY)               # (B,16,U)
    told = ops.matmul(known, ops.transpose(near, (0, 2, 1)))               # (B,16,42)
    pairs = seen[:, :, None] * there[:, None]                              # (B,16,42)
    flat = (-1, window.FRAMES * NEAR)
    total = ops.matmul(ops.reshape(-told * pairs, flat), matrix)           # (B,21)
    return total / ops.maximum(ops.matmul(ops.reshape(pairs, flat), matrix), 1e-6)


class Codebook(keras.layers.Layer):
    """The frozen codebook: centres of K-means, and their embeddings as keys and values of the alignment."""

    def __init__(self, dim, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.dim = dim

    def build(self, *_):
        self.centres = self.add_weight(name="centres", shape=(CODES, QUANTITIES),
                                       initializer="zeros", trainable=False)
        self.embedding = self.add_weight(name="embedding", shape=(CODES, self.dim),
                                         initializer="random_normal", trainable=False)

    def code(self, s):
        """The one-hot code of each sample of the window: (B,240,U)."""
        return nearest(quantities(s.r, s.change, s.valid), self.centres)

    def code_of(self, current, sample_mask, set_point):
        """The same of a window's inputs, current (B,240,3), sample_mask (B,240), set_point (B,1); and which samples are valid (B,240,1)."""
        r, valid = relative_current(current, sample_mask, set_point)       # (B,240,3), (B,240,1)
        return nearest(quantities(r, changes(r, valid)[0], valid), self.centres), valid

    def local_loss(self, x, attention, seen):
        """The local loss, averaged over a training batch's windows that have frames: a scalar.

        The target is the current recorded with the frames, which the window need not show:
        a frame's attention does not depend on the current, so every window of a batch can
        train it. x as from sampler.TokenWindows, attention (B,16,U), seen (B,16).
        """
        code, valid = self.code_of(x["own_current"], x["own_mask"], x["own_set_point"])  # (B,240,U), (B,240,1)
        share, counted = counts(code, valid, windows_of_frames())  # (B,16,U), (B,16)
        counted = counted * seen
        each = local_loss(attention, share, counted)                 # (B,)
        any_frame = ops.max(counted, axis=1)                               # (B,)
        return ops.sum(each * any_frame) / ops.maximum(ops.sum(any_frame), 1.0)
