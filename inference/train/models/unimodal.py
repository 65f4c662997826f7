"""The unimodal network: it trains the tokenizers, and is row 9, the reference.

The tokens of each sense pass through one block that does not attend to the other sense,
and yield a verdict of their own: video alone and current alone. The network is trained
end to end from pixels and amperes. The hot spot's mask trains the first query of a frame
to find it, and the current recorded with the video trains a frame's tokens to keep what
the flame just followed; otherwise nothing would tie a frame to its own seconds. The
resulting tokenizers are frozen for every other network, as CLIP and HuBERT are in the
papers. With both senses the logits of the verdicts are added, which is optimal for
independent witnesses without looking at both together.
"""

import keras
from keras import ops

from ..data import augment, window
from ..data.window import FRAME_TOKENS
from . import losses
from .fusion import MASKED, AttentionPooling, FusionBlock, apart
from .system import CURRENT_TOKENS, MERGED_TOKENS, System
from .tokenizers import GRID

TAKEN = 0.05  # share of a spot's pixels from which it takes a place
RARE = 8.0  # weight of a place with a spot against one without, of which there are far more


class Unimodal(System):
    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        d = config.dim
        self.own = FusionBlock(d, config.heads, config.hidden, config.dropout, name="own")
        self.pools = {s: AttentionPooling(d, name=f"pool_{s}") for s in ("current", "video")}
        self.verdicts = {s: keras.layers.Dense(1, name=f"verdict_{s}") for s in ("current", "video")}
        self.stir = keras.layers.Dense(1, name="stir")
        self.drop = keras.layers.Dropout(config.head_dropout)
        for layer in (self.own, *self.pools.values()):
            layer.build(None)
        for layer in self.verdicts.values():
            layer.build((None, d))
        self.stir.build((None, None, d))
        self._apart = apart(CURRENT_TOKENS, MERGED_TOKENS)
        self.built = True

    def align(self, s, training=False):
        mask = ops.concatenate([s.c_mask, s.v_mask], axis=1)               # (B,51)
        bias = ops.minimum((1.0 - mask)[:, None, None] * MASKED, self._apart)  # (B,1,51,51)
        x = self.own(ops.concatenate([s.c, s.v], axis=1), bias, training=training)  # (B,51,D)
        u_c, _ = self.pools["current"](x[:, :CURRENT_TOKENS], s.c_mask)    # (B,D)
        u_v, weights = self.pools["video"](x[:, CURRENT_TOKENS:], s.v_mask)  # (B,D), (B,17)
        logit_c = self.verdicts["current"](self.drop(u_c, training=training))  # (B,1)
        logit_v = self.verdicts["video"](self.drop(u_v, training=training))  # (B,1)
        return {
            "logit": self.evidence(logit_c, s.c_there) + self.evidence(logit_v, s.v_there),  # (B,1)
            "logit_current": logit_c, "logit_video": logit_v,
            "alignment": 0.0 * s.c_there,                                  # it does not align
            "frame_weight": self.frame_weight(weights[:, 1:]),             # (B,16)
            "stir": self.stir(x[:, CURRENT_TOKENS + 1:])[:, :, 0],         # (B,16)
        }

    def call(self, x, training=False):
        """A batch of sampler.PixelWindows: M of the 16 frames, with their slots."""
        frames, background = x["frames"], x["background"]                  # (B,M,64,64,3), (B,M,64,64,1)
        if training:
            frames, background = augment.pixels(frames, background, x)
        m, size = frames.shape[1], window.SIZE
        tokens, _, evidence, glow = self.frames(
            ops.reshape(frames, (-1, size, size, 3)),                      # (BM,64,64,3)
            ops.reshape(background, (-1, size, size, 1)),                  # (BM,64,64,1)
            training=training)
        tokens = ops.reshape(tokens, (-1, m, FRAME_TOKENS * self.config.dim))  # (B,M,4D)
        slots = ops.one_hot(x["frame_index"], window.FRAMES) * x["frame_seen"][:, :, None]  # (B,M,16)
        tokens = ops.matmul(ops.transpose(slots, (0, 2, 1)), tokens)       # (B,16,4D)
        tokens = ops.reshape(tokens, (-1, window.FRAMES, FRAME_TOKENS, self.config.dim))
        out = self.infer(tokens, ops.sum(slots, axis=1), x["current"], x["sample_mask"],
                         x["set_point"], training=training)
        stir = ops.take_along_axis(out["stir"], x["frame_index"], axis=1)  # (B,M)
        places = {} if glow is None else {"glow": ops.reshape(glow, (-1, m, GRID * GRID))}  # (B,M,64)
        return out | places | {"evidence": ops.reshape(evidence, (-1, m, GRID * GRID)), "stir": stir}  # (B,M,64)

    def losses(self, x, y, out):
        current, video = losses.own_verdicts(self.config, y, out)
        return {
            "current": current,
            "video": video,
            "spot": self.config.spot_weight * spot_loss(y["spot"], out["evidence"]),
            "stir": self.config.stir_weight * stir_loss(y["stir"], out["stir"]),
        } | ({"glow": self.config.glow_weight * glow_loss(y["spot"], out["glow"])} if "glow" in out else {})

    def phase(self, number, count):
        """The tokenizers are trained here, not frozen."""


def spot_loss(spot, evidence):
    """Cross-entropy between the hot spot and the attention of the first query.

    spot (B,M,64): the mask's share by cell; it sums to 1, or to 0 without a hot spot.
    """
    missed = -ops.sum(spot * ops.log(evidence + 1e-6), axis=2)             # (B,M)
    return ops.sum(missed) / ops.maximum(ops.sum(spot), 1.0)


def glow_loss(spot, glow):
    """Cross-entropy of the places' scores with whether the hot spot takes the place: spot and glow (B,M,64)."""
    taken = ops.cast(spot > TAKEN, "float32")                              # (B,M,64)
    return losses.cross_entropy(taken, glow, 1.0 + (RARE - 1.0) * taken)


def stir_loss(stir, told):
    """Huber error of the change of the current as read from the frames: stir (B,M,2), told (B,M)."""
    missed = losses.huber(told - stir[:, :, 0]) * stir[:, :, 1]          # (B,M)
    return ops.sum(missed) / ops.maximum(ops.sum(stir[:, :, 1]), 1.0)
