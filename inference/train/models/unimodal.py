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

from . import losses
from .fusion import MASKED, AttentionPooling, FusionBlock, apart
from .system import CURRENT_TOKENS, MERGED_TOKENS, System


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
        """As System.call; what the current did is told of the frames in x, M of the 16."""
        out = super().call(x, training=training)
        if "frame_index" in x:
            out["stir"] = ops.take_along_axis(out["stir"], x["frame_index"], axis=1)  # (B,M)
        return out

    def losses(self, x, y, out):
        current, video = losses.own_verdicts(self.config, y, out)
        terms = {"current": current, "video": video}
        # Windows of tokens, whose tokenizers are trained already, lack it.
        if "stir" in y:
            terms["stir"] = self.config.stir_weight * stir_loss(y["stir"], out["stir"])
        return terms

    def phase(self, number, count):
        super().phase(number, count)
        self.stir.trainable = self.config.train_frames


def stir_loss(stir, told):
    """Huber error of the change of the current as read from the frames: stir (B,M,2), told (B,M)."""
    missed = losses.huber(told - stir[:, :, 0]) * stir[:, :, 1]          # (B,M)
    return ops.sum(missed) / ops.maximum(ops.sum(stir[:, :, 1]), 1.0)
