"""Base of all compared networks: tokenizers, time slots, missing senses, export.

A network is two stateless functions, encode_frame and step (product.py documents their
outputs). The base does everything before the alignment: both senses become sequences of
tokens of one width, each headed by a register. A network overrides align() and losses()
only, so that the rows of the comparison differ in their alignment alone.

Both senses share one table of time slots of 4 s, so a frame and the current of its own
seconds get the same embedding; a second table distinguishes the frames of a slot. All
networks start from this alignment in time.

Attributes and layers keep the names under which runs have saved their weights.

Shapes: B windows, T samples, P phases, N tokens, D features.
"""

import math
from typing import NamedTuple

import keras
from keras import ops

from ..data import augment, window
from ..data.window import FRAME_TOKENS
from . import losses
from .fitted import FittedFrameTokens
from .tokenizers import GRID, CurrentTokens, FrameTokens, changes, relative_current

# By the names of background.SPACES.
FRAMES = {"mean": FrameTokens, "fitted": FittedFrameTokens}

CURRENT_TOKENS = 1 + window.PATCHES + len(CurrentTokens.SPANS)  # 34 with the register
MERGED_TOKENS = 1 + window.FRAMES  # 17 with the register: one token a frame
APART_TOKENS = 1 + window.FRAMES * FRAME_TOKENS  # 65: every token of every frame


class Sequences(NamedTuple):
    """A batch of windows as two sequences of tokens."""

    c: object  # (B,34,D) register, 30 patches of 4 s, 3 spans of statistics
    c_mask: object  # (B,34)
    c_there: object  # (B,1) whether there is enough current
    v: object  # (B,17 or 65,D) register, frames oldest first
    v_mask: object  # (B,17 or 65)
    v_there: object  # (B,1)
    seen: object  # (B,16) which frames count
    r: object  # (B,240,3) current relative to its set-point, − 1
    change: object  # (B,240,3) from sample to sample
    valid: object  # (B,240,1) which samples count
    baseline: object  # (B,4) the current's, for the next window; None for a network without one
    statistics: object  # (B,45 or 48) of all spans, those relative to the baseline among them; None likewise


class System(keras.Model):
    """Base of all rows; config is a configs.Run."""

    MERGED = True  # one token a frame; False keeps all four

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        d, self.config = config.dim, config
        self.frames = FRAMES[config.normalisation](d, name="frames")
        self.current = CurrentTokens(d, sparse=config.sparse_current, baseline=config.current_baseline, name="current")
        normal = {"initializer": keras.initializers.RandomNormal(stddev=0.05)}
        self.slot = self.add_weight(name="slot", shape=(window.PATCHES, d), **normal)
        self.moment = self.add_weight(name="moment", shape=(window.FRAMES, d), **normal)
        # Registers: one token for each sense that is never masked; row 0 while the
        # sense is missing, row 1 while it is present.
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

    # What a network overrides.

    def align(self, s, training=False):
        """Senses → a dict with logit (B,1), alignment (B,1), frame_weight (B,16), and what losses() needs."""
        raise NotImplementedError

    def losses(self, x, y, out):
        """Weighted terms of the loss by name, summed in training."""
        raise NotImplementedError

    # What is exported.

    def encode_frame(self, frame, background, training=False):
        """frame (B,64,64,3) 0–255, background (B,64,64,1) → tokens, background′, evidence."""
        tokens, background, evidence, _ = self.frames(frame, background, training=training)
        return {"tokens": tokens, "background": background, "evidence": evidence}

    def step(self, tokens, frame_mask, current, sample_mask, set_point):
        """One window → what the agent publishes; shapes as in data/window.py."""
        out = self.infer(tokens, frame_mask, current, sample_mask, set_point)
        return {
            "p_abnormal": ops.sigmoid(out["logit"]),                       # (B,1)
            "alignment": out["alignment"],                                 # (B,1)
            "frame_weight": out["frame_weight"],                           # (B,16)
        }

    # Shared by training and export.

    def infer(self, tokens, frame_mask, current, sample_mask, set_point, current_baseline=None, training=False):
        return self.align(self.sequences(tokens, frame_mask, current, sample_mask, set_point, current_baseline), training=training)

    def sequences(self, tokens, frame_mask, current, sample_mask, set_point, current_baseline=None):
        r, valid = relative_current(current, sample_mask, set_point)       # (B,240,3), (B,240,1)
        change, both = changes(r, valid)                                   # (B,240,3), (B,240,1)
        c, c_mask, c_there, baseline, statistics = self.current_sequence(r, change, valid, both, current_baseline)
        v, v_mask, v_there, seen = self.video_sequence(tokens, frame_mask)
        return Sequences(c, c_mask, c_there, v, v_mask, v_there, seen, r, change, valid, baseline, statistics)

    def current_sequence(self, r, change, valid, both, before=None):
        """Register, patches and spans, with their mask, whether the sense is present, the next baseline, and the statistics."""
        x, mask, after, statistics = self.current.tokens(r, change, valid, both, before)  # (B,33,D), (B,33), (B,4)
        x = x + ops.pad(self.slot, [[0, x.shape[1] - window.PATCHES], [0, 0]])
        # The mask of the longest span tells whether there are enough samples.
        there = mask[:, -1:]                                               # (B,1)
        return *self.with_register("current", x, mask, there), there, after, statistics

    def video_sequence(self, tokens, frame_mask):
        """Register and frames, oldest first, with their mask, whether any frame is present, and which."""
        d, seen = self.config.dim, ops.cast(frame_mask > 0.5, "float32")   # (B,16)
        # A masked frame's tokens may hold any value, including NaN.
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
        """Prepends the sense's register, which tells "missing" from "present"."""
        missing, present = self.register[sense][0], self.register[sense][1]  # (D,) twice
        register = missing + there * (present - missing)                   # (B,D)
        x = ops.concatenate([register[:, None], x], axis=1)                # (B,N+1,D)
        # A missing sense is masked as a whole, whatever remains of it.
        return x, ops.concatenate([ops.ones_like(there), mask * there], axis=1)

    def evidence(self, logit, there):
        """What a sense's own verdict adds to the fused logit; 0 where the sense is missing: (B,1).

        A sense that shows an episode with probability 1 − config.blind_share only has, at a
        likelihood ratio of e^logit where it shows, the ratio blind_share + (1 − blind_share) e^logit.
        So it hardly speaks against an episode that the other sense sees.
        """
        blind = self.config.blind_share
        if blind:
            logit = ops.logaddexp(math.log(blind), logit + math.log(1.0 - blind))
        return logit * there

    def frame_weight(self, weights):
        """Attention over the frames' tokens (B,16 or 64), summed by frame and scaled to 1; 0 without frames: (B,16)."""
        if not self.MERGED:
            weights = ops.sum(ops.reshape(weights, (-1, window.FRAMES, FRAME_TOKENS)), axis=2)
        total = ops.sum(weights, axis=1, keepdims=True)                    # (B,1)
        return ops.where(total > 1e-12, weights / ops.maximum(total, 1e-12), 0.0)

    # Training.

    def call(self, x, training=False):
        """A batch of sampler.TokenWindows, or of windows with frames, whose places are told too."""
        told = {}
        if "frames" in x:
            frames, background = x["frames"], x["background"]              # (B,M,64,64,3), (B,M,64,64,1)
            if training:
                frames, background = augment.pixels(frames, background, x)
            tokens, frame_mask, told = self.read_frames(frames, background, x, training=training)
        else:
            tokens, frame_mask = x["tokens"], x["frame_mask"]
        out = self.infer(tokens, frame_mask, x["current"], x["sample_mask"], x["set_point"], x.get("current_baseline"), training=training)
        return out | told

    def read_frames(self, frames, background, x, training=False):
        """M of a window's 16 frames, in their slots → tokens (B,16,4,D), frame mask (B,16), and what is told of places (B,M,64)."""
        m, size, d = frames.shape[1], window.SIZE, self.config.dim
        tokens, _, evidence, glow = self.frames(
            ops.reshape(frames, (-1, size, size, 3)),                      # (BM,64,64,3)
            ops.reshape(background, (-1, size, size, 1)),                  # (BM,64,64,1)
            training=training)
        tokens = ops.reshape(tokens, (-1, m, FRAME_TOKENS * d))            # (B,M,4D)
        slots = ops.one_hot(x["frame_index"], window.FRAMES) * x["frame_seen"][:, :, None]  # (B,M,16)
        tokens = ops.matmul(ops.transpose(slots, (0, 2, 1)), tokens)       # (B,16,4D)
        places = {"evidence": evidence} | ({} if glow is None else {"glow": glow})
        return (ops.reshape(tokens, (-1, window.FRAMES, FRAME_TOKENS, d)), ops.sum(slots, axis=1),
                {k: ops.reshape(v, (-1, m, GRID * GRID)) for k, v in places.items()})

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum((self.losses(x, y, y_pred) | self.place_losses(y, y_pred)).values())

    def place_losses(self, y, out):
        """What the hot spot's mask teaches the tokenizer of frames; nothing where it is not trained."""
        if "evidence" not in out:
            return {}
        terms = {"spot": self.config.spot_weight * losses.spot(y["spot"], out["evidence"])}
        if "glow" in out:
            terms["glow"] = self.config.glow_weight * losses.glow(y["spot"], out["glow"])
        return terms

    def phase(self, number, count):
        """Called before phase `number` of `count` in training; a network may freeze parts."""
        self.frames.trainable = self.config.train_frames
        self.current.trainable = self.config.train_current


def unit(x):
    """Vectors scaled to length 1, 0 staying 0: (…,D)."""
    return x * ops.rsqrt(ops.sum(x * x, axis=-1, keepdims=True) + 1e-6)


def cosine(a, b):
    """Cosine of unit vectors within −1 … 1: (B,1)."""
    return ops.clip(ops.sum(a * b, axis=1, keepdims=True), -1.0, 1.0)
