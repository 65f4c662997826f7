"""What every compared system shares: tokenizers, time slots, missing senses, export.

A system is two functions without hidden state, encode_frame and step (product.py
says what they give). Here stands everything before the alignment: both senses
become sequences of tokens of one width, each with a register in front; a system
overrides align() and losses() and nothing else, so that only the alignment
differs between the rows of the comparison.

One table of time slots (4 s each) serves both senses, so a frame and the
current of its own seconds meet under one mark; a second table tells the frames
of a slot apart. That is the alignment in time which all systems start from.

Shapes: B windows, T samples, P phases, N tokens, D features.
"""

from typing import NamedTuple

import keras
from keras import ops

from ..data import window
from ..data.window import FRAME_TOKENS
from .tokenizers import CurrentTokens, FrameTokens, changes, relative_current

CURRENT_TOKENS = 1 + window.PATCHES + len(CurrentTokens.SPANS)  # 34 with the register
MERGED_TOKENS = 1 + window.FRAMES  # 17 with the register: one token a frame
APART_TOKENS = 1 + window.FRAMES * FRAME_TOKENS  # 65: every token of every frame


class Sequences(NamedTuple):
    """One batch of windows, tokenized."""

    c: object  # (B,34,D) register, 30 patches of 4 s, 3 spans of statistics
    c_mask: object  # (B,34)
    c_there: object  # (B,1) whether there is enough current at all
    v: object  # (B,17 or 65,D) register, frames oldest first
    v_mask: object  # (B,17 or 65)
    v_there: object  # (B,1)
    seen: object  # (B,16) which frames count
    r: object  # (B,240,3) current relative to its set-point, − 1
    change: object  # (B,240,3) from sample to sample
    valid: object  # (B,240,1) which samples count


class System(keras.Model):
    """Base of all rows; config is a configs.Run."""

    MERGED = True  # one token a frame; False keeps all four

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        d, self.config = config.dim, config
        self.frames = FrameTokens(d, name="frames")
        self.current = CurrentTokens(d, name="current")
        normal = {"initializer": keras.initializers.RandomNormal(stddev=0.05)}
        self.slot = self.add_weight(name="slot", shape=(window.PATCHES, d), **normal)
        self.moment = self.add_weight(name="moment", shape=(window.FRAMES, d), **normal)
        # Registers: one token a sense that always counts; row 0 while the sense is
        # missing, row 1 while it is there.
        self.register = {s: self.add_weight(name=f"register_{s}", shape=(2, d), **normal)
                         for s in ("current", "video")}
        if self.MERGED:
            self.merge = keras.layers.Dense(d, name="merge")
            self.merge.build((None, None, FRAME_TOKENS * d))
        else:
            self.kind = self.add_weight(name="kind", shape=(FRAME_TOKENS, d), **normal)
        self.frames.build(None)
        self.current.build(None)
        self._frame_slots = window.frame_slots()

    # What a system says of itself.

    def align(self, s, training=False):
        """Senses → a dict with logit (B,1), alignment (B,1), frame_weight (B,16), and what losses() needs."""
        raise NotImplementedError

    def losses(self, x, y, out):
        """Weighted terms by name, added up in training."""
        raise NotImplementedError

    # What is exported.

    def encode_frame(self, frame, background, training=False):
        """frame (B,64,64,3) 0–255, background (B,64,64,1) → tokens, background′, evidence."""
        tokens, background, evidence = self.frames(frame, background, training=training)
        return {"tokens": tokens, "background": background, "evidence": evidence}

    def step(self, tokens, frame_mask, current, sample_mask, set_point):
        """One window → what the agent publishes. Shapes in window.py."""
        out = self.infer(tokens, frame_mask, current, sample_mask, set_point)
        return {
            "p_abnormal": ops.sigmoid(out["logit"]),                       # (B,1)
            "alignment": out["alignment"],                                 # (B,1)
            "frame_weight": out["frame_weight"],                           # (B,16)
        }

    # What both training and export run.

    def infer(self, tokens, frame_mask, current, sample_mask, set_point, training=False):
        return self.align(self.sequences(tokens, frame_mask, current, sample_mask, set_point), training=training)

    def sequences(self, tokens, frame_mask, current, sample_mask, set_point):
        r, valid = relative_current(current, sample_mask, set_point)       # (B,240,3), (B,240,1)
        change, both = changes(r, valid)                                   # (B,240,3), (B,240,1)
        c, c_mask, c_there = self.current_sequence(r, change, valid, both)
        v, v_mask, v_there, seen = self.video_sequence(tokens, frame_mask)
        return Sequences(c, c_mask, c_there, v, v_mask, v_there, seen, r, change, valid)

    def current_sequence(self, r, change, valid, both):
        """Register + patches + spans, with their mask and whether the sense is there."""
        x, mask = self.current.tokens(r, change, valid, both)              # (B,33,D), (B,33)
        x = x + ops.pad(self.slot, [[0, x.shape[1] - window.PATCHES], [0, 0]])
        # The longest span's bit says whether there are enough samples at all.
        there = mask[:, -1:]                                               # (B,1)
        return *self.with_register("current", x, mask, there), there

    def video_sequence(self, tokens, frame_mask):
        """Register + frames, oldest first; their mask, whether any is there, and which."""
        d, seen = self.config.dim, ops.cast(frame_mask > 0.5, "float32")   # (B,16)
        # A masked frame's tokens may be anything, NaN included.
        x = ops.where(seen[:, :, None, None] > 0.5, tokens, 0.0)           # (B,16,4,D)
        slots = ops.take(self.slot, self._frame_slots, axis=0) + self.moment  # (16,D)
        if self.MERGED:
            x = self.merge(ops.reshape(x, (-1, window.FRAMES, FRAME_TOKENS * d))) + slots  # (B,16,D)
            mask = seen                                                    # (B,16)
        else:
            x = x + (slots[:, None] + self.kind)                           # (B,16,4,D)
            x = ops.reshape(x, (-1, window.FRAMES * FRAME_TOKENS, d))    # (B,64,D)
            mask = ops.repeat(seen, FRAME_TOKENS, axis=1)                  # (B,64)
        there = ops.max(seen, axis=1, keepdims=True)                       # (B,1)
        return *self.with_register("video", x, mask, there), there, seen

    def with_register(self, sense, x, mask, there):
        """Puts the sense's register first; it carries "missing" or "there"."""
        missing, present = self.register[sense][0], self.register[sense][1]  # (D,) twice
        register = missing + there * (present - missing)                   # (B,D)
        x = ops.concatenate([register[:, None], x], axis=1)                # (B,N+1,D)
        # A sense that counts as missing is not looked at, whatever is left of it.
        return x, ops.concatenate([ops.ones_like(there), mask * there], axis=1)

    def frame_weight(self, weights):
        """Attention over the frames' tokens (B,16 or 64) by frame, scaled to 1; 0 without frames: (B,16)."""
        if not self.MERGED:
            weights = ops.sum(ops.reshape(weights, (-1, window.FRAMES, FRAME_TOKENS)), axis=2)
        total = ops.sum(weights, axis=1, keepdims=True)                    # (B,1)
        return ops.where(total > 1e-12, weights / ops.maximum(total, 1e-12), 0.0)

    # Training.

    def call(self, x, training=False):
        """A batch of windows.TokenWindows."""
        return self.infer(x["tokens"], x["frame_mask"], x["current"], x["sample_mask"], x["set_point"],
                          training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum(self.losses(x, y, y_pred).values())

    def phase(self, number, count):
        """Called before training's phase number of count; a system may freeze parts."""
        self.frames.trainable = False
        self.current.trainable = self.config.train_current


def unit(x):
    """Vectors scaled to length 1, 0 staying 0: (…,D)."""
    return x * ops.rsqrt(ops.sum(x * x, axis=-1, keepdims=True) + 1e-6)


def cosine(a, b):
    """Cosine of unit vectors within −1 … 1: (B,1)."""
    return ops.clip(ops.sum(a * b, axis=1, keepdims=True), -1.0, 1.0)
