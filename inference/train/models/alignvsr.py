"""Rows 2 and 3, AlignVSR: frames attend to a codebook of the current.

Liu et al. 2024 (codebook.py). Global alignment: cross-attention from the video's tokens,
which carry their place in time, to the whole frozen codebook; any frame may align to any
code. Local alignment adds the loss that ties a frame's attention to the codes of its own
seconds. The verdict also reads the current's own tokens, because both senses are present
here; visual speech recognition has no audio. One block and K-means of the current replace
Conformer and HuBERT.
"""

import keras
from keras import ops

from . import codebook, losses
from .codebook import Codebook
from .fusion import MASKED, AttentionPooling, FusionBlock, apart, normalized
from .system import CURRENT_TOKENS, MERGED_TOKENS, System, cosine, unit


class GlobalAlignment(keras.layers.Layer):
    """Cross-attention from tokens to the codebook: (B,N,D) → (B,N,D) and mean attention (B,N,U)."""

    def __init__(self, dim, heads=4, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.heads = dim, heads
        self.query = keras.layers.Dense(dim, name="query")
        self.key = keras.layers.Dense(dim, use_bias=False, name="key")
        self.value = keras.layers.Dense(dim, name="value")
        self.tell = keras.layers.Dense(dim, name="tell")

    def build(self, *_):
        for layer in (self.query, self.key, self.value, self.tell):
            layer.build((None, None, self.dim))

    def call(self, x, embedding):
        """x (B,N,D), embedding of the codes (U,D)."""
        n, h, width = x.shape[1], self.heads, self.dim // self.heads
        q = ops.transpose(ops.reshape(self.query(x), (-1, n, h, width)), (0, 2, 1, 3))  # (B,H,N,W)
        k = ops.transpose(ops.reshape(self.key(embedding), (-1, h, width)), (1, 2, 0))  # (H,W,U)
        v = ops.transpose(ops.reshape(self.value(embedding), (-1, h, width)), (1, 0, 2))  # (H,U,W)
        weights = ops.softmax(ops.matmul(q, k) * width**-0.5, axis=-1)     # (B,H,N,U)
        seen = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))         # (B,N,H,W)
        return self.tell(ops.reshape(seen, (-1, n, self.dim))), ops.mean(weights, axis=1)


class AlignVSR(System):
    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        d = config.dim
        block = {"dim": d, "heads": config.heads, "hidden": config.hidden, "dropout": config.dropout}
        self.own = FusionBlock(name="own", **block)
        self.bank = Codebook(d, name="bank")
        self.globally = GlobalAlignment(d, config.heads, name="global")
        self.pools = {s: AttentionPooling(d, name=f"pool_{s}") for s in ("current", "video")}
        self.project = {s: keras.layers.Dense(d // 2, name=f"project_{s}") for s in ("current", "video")}
        self.hidden = keras.layers.Dense(d, activation="relu", name="hidden")
        self.head = keras.layers.Dense(1, name="head")
        self.drop = keras.layers.Dropout(config.head_dropout)
        for layer in (self.own, self.bank, self.globally, *self.pools.values()):
            layer.build(None)
        for layer in self.project.values():
            layer.build((None, d))
        self.hidden.build((None, 2 * d))
        self.head.build((None, d))
        self._apart = apart(CURRENT_TOKENS, MERGED_TOKENS)
        self._shifts = codebook.shift_matrix()
        self.built = True

    def align(self, s, training=False):
        mask = ops.concatenate([s.c_mask, s.v_mask], axis=1)               # (B,51)
        bias = ops.minimum((1.0 - mask)[:, None, None] * MASKED, self._apart)  # (B,1,51,51)
        x = self.own(ops.concatenate([s.c, s.v], axis=1), bias, training=training)  # (B,51,D)
        c, v = x[:, :CURRENT_TOKENS], x[:, CURRENT_TOKENS:]                # (B,34,D), (B,17,D)
        seen, attention = self.globally(normalized(v), self.bank.embedding)  # (B,17,D), (B,17,U)
        v = v + seen                                                       # (B,17,D)
        u_c, _ = self.pools["current"](c, s.c_mask)                        # (B,D)
        u_v, weights = self.pools["video"](v, s.v_mask)                    # (B,D), (B,17)
        z_c, z_v = unit(self.project["current"](u_c)), unit(self.project["video"](u_v))
        read = self.hidden(ops.concatenate([u_c, u_v], axis=1))            # (B,D)
        return {
            "logit": self.head(self.drop(read, training=training)),        # (B,1)
            "alignment": cosine(z_c, z_v) * s.c_there * s.v_there,         # (B,1)
            "z_current": z_c, "z_video": z_v,                              # (B,D/2)
            "frame_weight": self.frame_weight(weights[:, 1:]),             # (B,16)
            "attention": attention[:, 1:],                                 # (B,16,U)
            "code": self.bank.code(s), "valid": s.valid, "seen": s.seen,
        }

    def local_losses(self, out):
        """The local loss at every shift: (B,21)."""
        return codebook.shifted_loss(out["attention"], out["code"], out["valid"], out["seen"], self._shifts)

    def losses(self, x, y, out):
        c = self.config
        terms = {
            "verdict": losses.verdict(y["label"], out["logit"]),
            "align": c.align_weight * losses.soft_contrast(
                out["z_video"], out["z_current"],
                losses.pair_targets(y["label"], x["paired"], x["there"])),
        }
        if c.local_weight:
            terms["local"] = c.local_weight * self.bank.local_loss(x, out["attention"], out["seen"])
        return terms
