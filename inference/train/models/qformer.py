"""Row 1, BLIP-2's Q-Former: learned queries between video and current.

Li et al., "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image
Encoders and Large Language Models", ICML 2023. Eight queries attend to the video by
cross-attention in every second layer. They share self-attention with the tokens of the
current, which replace BLIP-2's text; queries and current have feed-forward networks of
their own. Three masks of the self-attention define three tasks: contrast (ITC, neither
attends to the other), matching (ITM, all attend to all), generation (queries attend to
queries, a patch of current to queries and earlier patches). The verdict is read from the
matching pass. Three convolutions replace CLIP's ViT-L, one replaces BERT, and a forecast
head replaces the language model.
"""

import keras
import numpy as np
from keras import ops

from ..data import window
from . import forecast, losses
from .fusion import MASKED, normalized
from .system import CURRENT_TOKENS, System, unit

QUERIES = 8
TOKENS = QUERIES + CURRENT_TOKENS  # 42 in the self-attention
STATISTICS = slice(QUERIES + 1 + window.PATCHES, TOKENS)


def masks():
    """The masks of the self-attention by task: (42,42) of 0 and MASKED.

    Rows attend to columns: queries first, then register, 30 patches and 3 statistics. In
    generation the statistics are hidden from all others, because they summarise the whole
    window.
    """
    query = np.arange(TOKENS) < QUERIES
    contrastive = query[:, None] == query[None]
    order = np.arange(TOKENS)
    generating = (query[None] & np.ones((TOKENS, 1), bool)) | (~query[:, None] & (order[None] <= order[:, None]))
    generating[:, STATISTICS] = np.eye(TOKENS, dtype=bool)[:, STATISTICS]
    allowed = {"contrast": contrastive, "match": np.ones((TOKENS, TOKENS), bool), "generate": generating}
    return {k: np.where(v, 0, MASKED).astype("float32") for k, v in allowed.items()}


class Layer(keras.layers.Layer):
    """One layer: shared self-attention, cross-attention of the queries, two feed-forward networks."""

    def __init__(self, config, crosses, **kwargs):
        super().__init__(**kwargs)
        d, self.heads, self.dim, self.crosses = config.dim, config.heads, config.dim, crosses
        self.ask = keras.layers.Dense(3 * d, name="ask")
        self.tell = keras.layers.Dense(d, name="tell")
        self.cross_ask = keras.layers.Dense(d, name="cross_ask")
        self.cross_show = keras.layers.Dense(2 * d, name="cross_show")
        self.cross_tell = keras.layers.Dense(d, name="cross_tell")
        self.feed = {k: (keras.layers.Dense(config.hidden, activation="relu", name=f"widen_{k}"),
                         keras.layers.Dense(d, name=f"narrow_{k}")) for k in ("query", "current")}
        self.drop = keras.layers.Dropout(config.dropout)
        self.hidden = config.hidden

    def build(self, *_):
        shape = (None, None, self.dim)
        cross = (self.cross_ask, self.cross_show, self.cross_tell) if self.crosses else ()
        for layer in (self.ask, self.tell, *cross):
            layer.build(shape)
        for widen, narrow in self.feed.values():
            widen.build(shape)
            narrow.build((None, None, self.hidden))

    def call(self, x, bias, video, video_bias, training=False):
        """x (B,42,D), bias (B,1,42,42), video (B,17,D), video_bias (B,1,1,17) → x, cross weights (B,8,17) or None."""
        drop = lambda y: self.drop(y, training=training)
        q, k, v = ops.split(self.ask(normalized(x)), 3, axis=-1)           # (B,42,D) thrice
        x = x + drop(self.tell(self.attend(q, k, v, bias)[0]))             # (B,42,D)
        queries, current = x[:, :QUERIES], x[:, QUERIES:]                  # (B,8,D), (B,34,D)
        weights = None
        if self.crosses:
            k, v = ops.split(self.cross_show(video), 2, axis=-1)           # (B,17,D) twice
            seen, weights = self.attend(self.cross_ask(normalized(queries)), k, v, video_bias)
            queries = queries + drop(self.cross_tell(seen))                # (B,8,D)
        parts = []
        for name, part in (("query", queries), ("current", current)):
            widen, narrow = self.feed[name]
            parts.append(part + drop(narrow(widen(normalized(part)))))
        return ops.concatenate(parts, axis=1), weights

    def attend(self, q, k, v, bias):
        """Scaled dot products by heads: (B,N,D) and their mean weights (B,N,M)."""
        n, width = q.shape[1], self.dim // self.heads
        split = lambda y: ops.transpose(ops.reshape(y, (-1, y.shape[1], self.heads, width)), (0, 2, 1, 3))
        scores = ops.matmul(split(q), ops.transpose(split(k), (0, 1, 3, 2))) * width**-0.5  # (B,H,N,M)
        weights = ops.softmax(scores + bias, axis=-1)
        out = ops.transpose(ops.matmul(weights, split(v)), (0, 2, 1, 3))   # (B,N,H,W)
        return ops.reshape(out, (-1, n, self.dim)), ops.mean(weights, axis=1)


class QFormer(System):
    LAYERS = 4  # cross-attention in the first and the third

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        d = config.dim
        self.queries = self.add_weight(name="queries", shape=(QUERIES, d), initializer="random_normal")
        self.towers = [Layer(config, crosses=i % 2 == 0, name=f"layer{i}") for i in range(self.LAYERS)]
        self.project = {s: keras.layers.Dense(d // 2, name=f"project_{s}") for s in ("current", "video")}
        # Agreement of two states is not linear in them, hence a hidden layer.
        self.agree = keras.layers.Dense(d, activation="relu", name="agree")
        self.match = keras.layers.Dense(1, name="match")
        self.next = keras.layers.Dense(forecast.TARGETS, name="next")
        self.head = keras.layers.Dense(1, name="head")
        self.drop = keras.layers.Dropout(config.head_dropout)
        for layer in self.towers:
            layer.build(None)
        for layer in (*self.project.values(), self.match, self.next):
            layer.build((None, d))
        for layer in (self.agree, self.head):
            layer.build((None, 2 * d))
        self._masks = masks()
        self.dice = keras.random.SeedGenerator()
        self.built = True

    def transform(self, task, c, c_mask, v, v_mask, training=False):
        """One pass under a task's mask: queries (B,8,D), current (B,34,D), cross weights (B,8,17)."""
        keys = ops.concatenate([ops.ones_like(c_mask[:, :1]) * ops.ones((1, QUERIES)), c_mask], axis=1)
        bias = ops.minimum((1.0 - keys)[:, None, None] * MASKED, self._masks[task])  # (B,1,42,42)
        video_bias = (1.0 - v_mask)[:, None, None] * MASKED                # (B,1,1,17)
        start = ops.broadcast_to(self.queries, (ops.shape(c)[0], *self.queries.shape))
        x, weights = ops.concatenate([start, c], axis=1), None             # (B,42,D)
        for layer in self.towers:
            x, looked = layer(x, bias, v, video_bias, training=training)
            weights = weights if looked is None else looked
        return x[:, :QUERIES], x[:, QUERIES:], weights

    def verdicts(self, queries, current, training=False):
        """From the matching pass: the logits of the furnace's state and of whether the senses match."""
        read = ops.concatenate([ops.mean(queries, axis=1), current[:, 0]], axis=1)  # (B,2D)
        return self.head(self.drop(read, training=training)), self.match(self.agree(read))  # (B,1) twice

    def align(self, s, training=False):
        video = (s.v, s.v_mask)
        apart, lone, _ = self.transform("contrast", s.c, s.c_mask, *video, training=training)
        z_v = unit(self.project["video"](apart))                           # (B,8,D/2)
        z_c = unit(self.project["current"](lone[:, 0]))                    # (B,D/2)
        # As in BLIP-2, the query most similar to the text represents the picture.
        each = ops.sum(z_v * z_c[:, None], axis=2)                         # (B,8)
        queries, current, weights = self.transform("match", s.c, s.c_mask, *video, training=training)
        logit, match = self.verdicts(queries, current, training)           # (B,1) twice
        return {
            "logit": logit,
            "alignment": ops.clip(ops.max(each, axis=1, keepdims=True), -1.0, 1.0) * s.c_there * s.v_there,
            "frame_weight": self.frame_weight(ops.mean(weights, axis=1)[:, 1:]),  # (B,16)
            "z_video": z_v, "z_current": z_c, "match": match,
            "sequences": s,
        }

    def scores(self, z_video, z_current):
        """Greatest cosine of any query, every video against every current: (B,B)."""
        each = ops.tensordot(z_video, z_current, axes=[[2], [1]])          # (B,8,B)
        return ops.max(each, axis=1)

    def losses(self, x, y, out):
        c, s = self.config, out["sequences"]
        there, label = x["there"], y["label"]
        scores = self.scores(out["z_video"], out["z_current"])             # (B,B)
        target = losses.pair_targets(label, x["paired"], there)
        itc = 0.5 * (losses.belonging(scores / losses.TEMPERATURE, target)
                     + losses.belonging(ops.transpose(scores) / losses.TEMPERATURE, ops.transpose(target)))
        return {
            "verdict": losses.verdict(label, out["logit"]),
            "itc": c.itc_weight * itc,
            "itm": c.itm_weight * self.matching(s, scores, out["match"], x, label),
            "next": c.next_weight * self.generation(s, x),
        }

    def matching(self, s, scores, match, x, label):
        """ITM: true pairs against currents of the other label, the most similar one for half of the videos.

        The other half gets a random one: the most similar ones are few and always the same,
        so a network would memorise them and accept all others.
        """
        wrong = ops.cast(ops.equal(label, ops.transpose(label)), "float32") * losses.FAR  # (B,B)
        # In pairs of rows, because labels alternate from row to row.
        hard = ops.arange(ops.shape(label)[0])[:, None] // 2 % 2 == 0      # (B,1)
        likely = ops.where(hard, losses.stop(scores), keras.random.uniform(ops.shape(scores), seed=self.dice))
        other = ops.argmax(likely + wrong + (1.0 - ops.transpose(x["there"])) * losses.FAR, axis=1)
        queries, current, _ = self.transform("match", ops.take(s.c, other, axis=0), ops.take(s.c_mask, other, axis=0),
                                             s.v, s.v_mask, training=True)
        _, negative = self.verdicts(queries, current, training=True)       # (B,1)
        counted = x["there"] / ops.maximum(ops.mean(x["there"]), 1e-3)
        return 0.5 * (ops.mean(ops.softplus(-match) * counted) + ops.mean(ops.softplus(negative) * counted))

    def generation(self, s, x):
        """Huber error of the next patch's level and deviation, from queries and earlier patches."""
        _, current, _ = self.transform("generate", s.c, s.c_mask, s.v, s.v_mask, training=True)
        targets, counted = forecast.of_patches(s.r, s.valid)                 # (B,30,2), (B,30)
        predicted = self.next(current[:, 1 : window.PATCHES])            # (B,29,2)
        both = counted[:, 1:] * counted[:, :-1]                            # (B,29)
        each = forecast.errors(predicted, targets[:, 1:], both)              # (B,29)
        return ops.sum(each) / ops.maximum(ops.sum(both), 1.0)
