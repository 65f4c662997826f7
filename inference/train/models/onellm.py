"""Row 8, OneLLM: one encoder for all senses, and projection experts behind a router.

Han et al., "OneLLM: One Framework to Align All Modalities with Language", CVPR
2024. Each sense has a tokenizer of one convolution; both share a universal encoder, then
a universal projection module (UPM): the tokens of each sense and eight learned queries
pass through several experts, whose outputs a router of the sense mixes; only the queries
are kept. One fusion block and attention pooling replace OneLLM's language model. The
encoder (there a frozen CLIP ViT-L) is two blocks, trained in the first phase and frozen
in the second.
"""

import keras
from keras import ops

from ..data.window import FRAME_TOKENS
from . import losses
from .fusion import MASKED, AttentionPooling, FusionBlock, apart, mean
from .system import APART_TOKENS, CURRENT_TOKENS, System, cosine, unit

QUERIES = 8  # of each sense
ROUTERS = ("constant", "sparse", "soft")
FRAMES = ("mean", "concat")
SENSES = ("current", "video")


class Router(keras.layers.Layer):
    """The weight of each expert for a sense: (B,E), sums to 1."""

    def __init__(self, dim, experts, kind, **kwargs):
        super().__init__(**kwargs)
        if kind not in ROUTERS:
            raise ValueError(f"unknown router {kind!r}; name one of {', '.join(ROUTERS)}")
        self.dim, self.experts, self.kind = dim, experts, kind
        self.first = keras.layers.Dense(dim, activation="relu", name="first")
        self.second = keras.layers.Dense(experts, name="second")

    def build(self, *_):
        self.first.build((None, self.dim))
        self.second.build((None, self.dim))

    def call(self, x, mask):
        """x (B,N,D), mask (B,N)."""
        if self.kind == "constant" or self.experts == 1:
            return ops.ones_like(mask[:, : self.experts]) / self.experts
        weights = ops.softmax(self.second(self.first(mean(x, mask))), axis=1)  # (B,E)
        if self.kind == "soft":
            return weights
        # The best expert only, with the gradient of all (straight-through).
        best = ops.one_hot(ops.argmax(weights, axis=1), self.experts)
        return weights + losses.stop(best - weights)


class UPM(keras.layers.Layer):
    """Universal projection: experts of one block each, and a router and queries for each sense."""

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.count = config.dim, config.experts
        block = {"dim": config.dim, "heads": config.heads, "hidden": config.hidden, "dropout": config.dropout}
        self.experts = [FusionBlock(name=f"expert{i}", **block) for i in range(config.experts)]
        self.routers = {s: Router(config.dim, config.experts, config.router, name=f"router_{s}") for s in SENSES}

    def build(self, *_):
        self.queries = {s: self.add_weight(name=f"queries_{s}", shape=(QUERIES, self.dim), initializer="random_normal")
                        for s in SENSES}
        for layer in (*self.experts, *self.routers.values()):
            layer.build(None)

    def call(self, x, mask, sense=SENSES[0], training=False):
        """x (B,N,D), mask (B,N) → the sense's queries (B,8,D) and its router's weights (B,E)."""
        weights = self.routers[sense](x, mask)                             # (B,E)
        start = ops.broadcast_to(self.queries[sense], (ops.shape(x)[0], QUERIES, self.dim))
        y = ops.concatenate([start, x], axis=1)                            # (B,8+N,D)
        keys = ops.concatenate([ops.ones_like(start[:, :, 0]), mask], axis=1)  # (B,8+N)
        bias = (1.0 - keys)[:, None, None] * MASKED
        outs = [expert(y, bias, training=training)[:, :QUERIES] for expert in self.experts]
        return sum(out * weights[:, i, None, None] for i, out in enumerate(outs)), weights


class OneLLM(System):
    MERGED = False

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        if config.frame_tokens not in FRAMES:
            raise ValueError(f"unknown frame_tokens {config.frame_tokens!r}; name one of {', '.join(FRAMES)}")
        d = config.dim
        block = {"dim": d, "heads": config.heads, "hidden": config.hidden, "dropout": config.dropout}
        self.body = [FusionBlock(name=f"universal{i}", **block) for i in range(2)]
        self.upm = UPM(config, name="upm")
        self.fusion = FusionBlock(name="fusion", **block)
        self.pool = AttentionPooling(d, name="pool")
        self.project = {s: keras.layers.Dense(d // 2, name=f"project_{s}") for s in SENSES}
        self.body_head = keras.layers.Dense(1, name="body_head")
        self.head = keras.layers.Dense(1, name="head")
        self.drop = keras.layers.Dropout(config.head_dropout)
        for layer in (*self.body, self.upm, self.fusion, self.pool):
            layer.build(None)
        for layer in (*self.project.values(), self.head):
            layer.build((None, d))
        self.body_head.build((None, 2 * d))
        self._apart = {n: apart(CURRENT_TOKENS, n) for n in (1 + FRAME_TOKENS, APART_TOKENS)}
        self.built = True

    def phase(self, number, count):
        """Freezes the universal encoder in the last of several phases."""
        super().phase(number, count)
        for block in self.body:
            block.trainable = number < count - 1 or count == 1

    def frames_of(self, s):
        """The video's tokens: all of them, or their mean over the frames."""
        if self.config.frame_tokens == "concat":
            return s.v, s.v_mask
        d = self.config.dim
        x = ops.reshape(s.v[:, 1:], (-1, s.seen.shape[1], FRAME_TOKENS, d))  # (B,16,4,D)
        count = ops.maximum(ops.sum(s.seen, axis=1), 1.0)[:, None, None]   # (B,1,1)
        x = ops.sum(x * s.seen[:, :, None, None], axis=1) / count          # (B,4,D)
        mask = ops.concatenate([s.v_mask[:, :1], ops.repeat(s.v_there, FRAME_TOKENS, axis=1)], axis=1)
        return ops.concatenate([s.v[:, :1], x], axis=1), mask              # (B,5,D), (B,5)

    def align(self, s, training=False):
        v, v_mask = self.frames_of(s)                                      # (B,65 or 5,D)
        x = ops.concatenate([s.c, v], axis=1)                              # (B,99 or 39,D)
        mask = ops.concatenate([s.c_mask, v_mask], axis=1)
        bias = ops.minimum((1.0 - mask)[:, None, None] * MASKED, self._apart[v.shape[1]])
        for block in self.body:
            x = block(x, bias, training=training)
        parts = {"current": (x[:, :CURRENT_TOKENS], s.c_mask), "video": (x[:, CURRENT_TOKENS:], v_mask)}
        told, router = {}, {}
        for sense, (tokens, counted) in parts.items():
            told[sense], router[sense] = self.upm(tokens, counted, sense=sense, training=training)
        y = self.fusion(ops.concatenate(list(told.values()), axis=1), ops.zeros((1, 1, 1, 1)), training=training)  # (B,16,D)
        read, _ = self.pool(y, ops.ones_like(y[:, :, 0]))                  # (B,D)
        plain = {sense: mean(*part) for sense, part in parts.items()}      # (B,D) twice
        z = {sense: unit(self.project[sense](ops.mean(told[sense], axis=1))) for sense in SENSES}
        return {
            "logit": self.head(self.drop(read, training=training)),        # (B,1)
            "logit_body": self.body_head(ops.concatenate([plain[k] for k in SENSES], axis=1)),  # (B,1)
            "alignment": cosine(z["current"], z["video"]) * s.c_there * s.v_there,
            # The mixed experts have no single attention map, so every present frame weighs the same.
            "frame_weight": s.seen / ops.maximum(ops.sum(s.seen, axis=1, keepdims=True), 1.0),
            "z_current": z["current"], "z_video": z["video"],
            "router_current": router["current"], "router_video": router["video"],  # (B,E)
        }

    def losses(self, x, y, out):
        c = self.config
        return {
            "verdict": losses.verdict(y["label"], out["logit"]),
            "body": c.own_weight * losses.verdict(y["label"], out["logit_body"]),
            "align": c.align_weight * losses.soft_contrast(
                out["z_video"], out["z_current"],
                losses.pair_targets(y["label"], x["paired"], x["there"])),
            "balance": c.balance_weight * sum(balance(out[f"router_{s}"]) for s in SENSES),
        }


def balance(weights):
    """E · Σ (mean load)²: 1 if all experts carry the same load, E if one carries all. weights (B,E)."""
    load = ops.mean(weights, axis=0)
    return weights.shape[1] * ops.sum(load * load)
