"""The product's network: two functions without hidden state.

encode_frame(frame, background) → tokens, background′, evidence, once a frame;
step(tokens, frame mask, current, sample mask, set-point) → p_abnormal,
alignment, frame_weight, once a second. The caller keeps tokens and background.

Both senses' tokens carry the same table of time slots (4 s each), so a frame and
the current of its own seconds meet under one mark; a second table tells the
frames of one slot apart. That is the alignment in time. One block lets each sense look at itself alone, from which each gives its
own verdict and its projection; then a fusion block sees everything. The fused
logit adds a correction to the sum of the senses' own logits: their errors are
nearly independent within a class, and for independent witnesses the sum of
logits is the best verdict (naive Bayes), so the network starts from it.

Shapes: B windows, N tokens, D features, M frames given in training.
"""

import keras
import numpy as np
from keras import ops

from . import augment, geometry
from .fusion import MASKED, AttentionPooling, FusionBlock
from .tokenizers import FRAME_TOKENS, GRID, CurrentTokens, FrameTokens

CURRENT_TOKENS = 1 + geometry.PATCHES + len(CurrentTokens.SPANS)  # 34 with the register
VIDEO_TOKENS = 1 + geometry.FRAMES * FRAME_TOKENS  # 65 with the register
NEEDED = CurrentTokens.NEEDED  # samples without which the current counts as missing


class Product(keras.Model):
    """The network, its training graph and its losses; config is configs.Product."""

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        d, self.config = config.dim, config
        self.frames = FrameTokens(d, name="frames")
        self.current = CurrentTokens(d, name="current")
        block = {"dim": d, "heads": config.heads, "hidden": config.hidden, "dropout": config.dropout}
        self.own = FusionBlock(name="own", **block)
        self.fusion = [FusionBlock(name=f"fusion{i}", **block) for i in range(config.fusion_blocks)]
        self.pools = {s: AttentionPooling(d, name=f"pool_{s}") for s in ("current", "video", "fused")}
        self.verdicts = {s: keras.layers.Dense(1, name=f"verdict_{s}") for s in ("current", "video")}
        # The correction starts from nothing, so training starts from the sum.
        self.correct = keras.layers.Dense(1, name="correct", kernel_initializer="zeros")
        self.project = {s: keras.layers.Dense(d // 2, name=f"project_{s}") for s in ("current", "video")}
        self.drop = keras.layers.Dropout(config.head_dropout)
        self._build(d)

    def _build(self, d):
        normal = {"initializer": keras.initializers.RandomNormal(stddev=0.05)}
        self.slot = self.add_weight(name="slot", shape=(geometry.PATCHES, d), **normal)
        self.moment = self.add_weight(name="moment", shape=(geometry.FRAMES, d), **normal)
        self.kind = self.add_weight(name="kind", shape=(FRAME_TOKENS, d), **normal)
        # Registers: one token a sense that always counts; row 0 while the sense is
        # missing, row 1 while it is there.
        self.register = {s: self.add_weight(name=f"register_{s}", shape=(2, d), **normal)
                         for s in ("current", "video")}
        for layer in (self.frames, self.current, self.own, *self.fusion, *self.pools.values()):
            layer.build(None)
        for layer in (*self.verdicts.values(), *self.project.values(), self.correct):
            layer.build((None, d))
        senses = np.arange(CURRENT_TOKENS + VIDEO_TOKENS) < CURRENT_TOKENS
        self._apart = np.where(senses[:, None] == senses[None], 0, MASKED).astype("float32")
        self._frame_slots = geometry.frame_slots()
        self.built = True

    # What is exported.

    def encode_frame(self, frame, background, training=False):
        """frame (B,64,64,3) 0–255, background (B,64,64,1) → a dict, see the module."""
        tokens, background, evidence = self.frames(frame, background, training=training)
        return {"tokens": tokens, "background": background, "evidence": evidence}

    def step(self, tokens, frame_mask, current, sample_mask, set_point):
        """One window → what the agent publishes. Shapes in geometry.py."""
        out = self.judge(tokens, frame_mask, current, sample_mask, set_point)
        return {
            "p_abnormal": ops.sigmoid(out["logit"]),                       # (B,1)
            "alignment": out["alignment"],                                 # (B,1)
            "frame_weight": out["frame_weight"],                           # (B,16)
        }

    # What both training and export run.

    def judge(self, tokens, frame_mask, current, sample_mask, set_point, training=False):
        c, c_mask, c_there = self.current_sequence(current, sample_mask, set_point)  # (B,34,D), (B,34), (B,1)
        v, v_mask, v_there = self.video_sequence(tokens, frame_mask)       # (B,65,D), (B,65), (B,1)
        mask = ops.concatenate([c_mask, v_mask], axis=1)                   # (B,99)
        bias = (1.0 - mask)[:, None, None] * MASKED                        # (B,1,1,99)
        x = self.own(ops.concatenate([c, v], axis=1),
                     ops.minimum(bias, self._apart), training=training)    # (B,99,D)
        u_c, _ = self.pools["current"](x[:, :CURRENT_TOKENS], c_mask)      # (B,D)
        u_v, _ = self.pools["video"](x[:, CURRENT_TOKENS:], v_mask)        # (B,D)
        logit_c = self.verdicts["current"](self.drop(u_c, training=training))  # (B,1)
        logit_v = self.verdicts["video"](self.drop(u_v, training=training))    # (B,1)
        for block in self.fusion:
            x = block(x, bias, training=training)                          # (B,99,D)
        fused, weights = self.pools["fused"](x, mask)                      # (B,D), (B,99)
        logit = self.correct(self.drop(fused, training=training))          # (B,1)
        logit = logit + logit_c * c_there + logit_v * v_there              # (B,1)
        z_c, z_v = self.projected("current", u_c), self.projected("video", u_v)  # (B,D/2)
        cosine = ops.sum(z_c * z_v, axis=1, keepdims=True)                 # (B,1)
        return {
            "logit": logit, "logit_current": logit_c, "logit_video": logit_v,
            "z_current": z_c, "z_video": z_v,
            "alignment": ops.clip(cosine, -1.0, 1.0) * c_there * v_there,  # (B,1)
            "frame_weight": self.frame_weight(weights),                    # (B,16)
        }

    def current_sequence(self, current, sample_mask, set_point):
        """Register + patches + spans, with their mask and whether the sense is there."""
        x, mask = self.current(current, sample_mask, set_point)            # (B,33,D), (B,33)
        slots = ops.pad(self.slot, [[0, x.shape[1] - geometry.PATCHES], [0, 0]])  # (33,D)
        x = x + slots                                                      # (B,33,D)
        # The longest span's bit says whether there are enough samples at all.
        there = mask[:, -1:]                                               # (B,1)
        return *self.with_register("current", x, mask, there), there

    def video_sequence(self, tokens, frame_mask):
        """Register + frames' tokens, oldest first, with their mask and whether any is there."""
        seen = ops.cast(frame_mask > 0.5, "float32")                       # (B,16)
        slots = ops.take(self.slot, self._frame_slots, axis=0) + self.moment  # (16,D)
        x = tokens + (slots[:, None] + self.kind)                          # (B,16,4,D)
        x = ops.where(seen[:, :, None, None] > 0.5, x, 0.0)                # (B,16,4,D)
        x = ops.reshape(x, (-1, VIDEO_TOKENS - 1, self.config.dim))        # (B,64,D)
        mask = ops.repeat(seen, FRAME_TOKENS, axis=1)                      # (B,64)
        there = ops.max(seen, axis=1, keepdims=True)                       # (B,1)
        return *self.with_register("video", x, mask, there), there

    def with_register(self, sense, x, mask, there):
        """Puts the sense's register first; it carries "missing" or "there"."""
        missing, present = self.register[sense][0], self.register[sense][1]  # (D,) twice
        register = missing + there * (present - missing)                   # (B,D)
        x = ops.concatenate([register[:, None], x], axis=1)                # (B,N+1,D)
        # A sense that counts as missing is not looked at, whatever is left of it.
        return x, ops.concatenate([ops.ones_like(there), mask * there], axis=1)

    def projected(self, sense, u):
        z = self.project[sense](u)                                         # (B,D/2)
        return z / ops.sqrt(ops.sum(z * z, axis=1, keepdims=True) + 1e-6)

    def frame_weight(self, weights):
        """The read-out's attention by frame, scaled to 1; 0 without frames: (B,16)."""
        w = ops.reshape(weights[:, CURRENT_TOKENS + 1:], (-1, geometry.FRAMES, FRAME_TOKENS))
        w = ops.sum(w, axis=2)                                             # (B,16)
        total = ops.sum(w, axis=1, keepdims=True)                          # (B,1)
        return ops.where(total > 1e-12, w / ops.maximum(total, 1e-12), 0.0)

    # Training.

    def call(self, x, training=False):
        """A batch of windows.py: M of the 16 frames are given, with their slots."""
        frames, background = x["frames"], x["background"]                  # (B,M,64,64,3), (B,M,64,64,1)
        if training:
            frames, background = augment.pixels(frames, background, x)
        m, size = frames.shape[1], geometry.SIZE
        tokens, _, evidence = self.frames(
            ops.reshape(frames, (-1, size, size, 3)),                      # (BM,64,64,3)
            ops.reshape(background, (-1, size, size, 1)),             # (BM,64,64,1)
            training=training)
        tokens = ops.reshape(tokens, (-1, m, FRAME_TOKENS * self.config.dim))  # (B,M,4D)
        slots = ops.one_hot(x["frame_index"], geometry.FRAMES) * x["frame_seen"][:, :, None]  # (B,M,16)
        tokens = ops.matmul(ops.transpose(slots, (0, 2, 1)), tokens)       # (B,16,4D)
        tokens = ops.reshape(tokens, (-1, geometry.FRAMES, FRAME_TOKENS, self.config.dim))
        out = self.judge(tokens, ops.sum(slots, axis=1), x["current"], x["sample_mask"],
                         x["set_point"], training=training)
        return out | {"evidence": ops.reshape(evidence, (-1, m, GRID * GRID))}  # (B,M,64)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        w = self.config
        label = y["label"]                                                 # (B,1)
        target = label * (1.0 - w.label_smoothing) + 0.5 * w.label_smoothing
        loss = cross_entropy(target, y_pred["logit"])
        own = (cross_entropy(target, y_pred["logit_current"])
               + cross_entropy(target, y_pred["logit_video"]))
        spot = spot_loss(y["spot"], y_pred["evidence"])
        align = alignment_loss(label, y_pred["z_video"], y_pred["z_current"])
        return loss + w.own_weight * own + w.spot_weight * spot + w.align_weight * align


def cross_entropy(target, logit):
    """Binary cross-entropy from logits, mean over the batch."""
    return ops.mean(ops.relu(logit) - logit * target + ops.log1p(ops.exp(-ops.abs(logit))))


def spot_loss(spot, evidence):
    """Cross-entropy between where the hot spot is and where the first query looks.

    spot (B,M,64): the mask's share by place, sums to 1, or 0 where there is no spot.
    """
    missed = -ops.sum(spot * ops.log(evidence + 1e-6), axis=2)             # (B,M)
    return ops.sum(missed) / ops.maximum(ops.sum(spot), 1.0)


def alignment_loss(label, z_video, z_current, temperature=0.1):
    """Contrast between the senses, both ways; windows of one label are all positives."""
    scores = ops.matmul(z_video, ops.transpose(z_current)) / temperature   # (B,B)
    same = ops.cast(ops.equal(label, ops.transpose(label)), "float32")     # (B,B)
    same = same / ops.sum(same, axis=1, keepdims=True)                     # (B,B)
    there = -ops.mean(ops.sum(same * ops.log_softmax(scores, axis=1), axis=1))
    back = -ops.mean(ops.sum(same * ops.log_softmax(ops.transpose(scores), axis=1), axis=1))
    return 0.5 * (there + back)
