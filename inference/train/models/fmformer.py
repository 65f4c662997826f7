"""A network after FmFormer: a row of the comparison, and the baseline of speed.

After Wu, Zhang, Deng, Zhang & Chai, "Cross-Modal Learning for Anomaly Detection in
Complex Industrial Process: Methodology and Benchmark" (IEEE TCSVT 2024, arXiv
2406.09016): two streams of tokens. In each layer a stream attends to itself, then to
the other (both directions at once), then passes through a feed-forward network; the logits
of both class tokens are summed.

SMALL uses the product's tokens and is compared for accuracy; fmformer_b.py has the
published size. Unlike the published code, neither normalises over the phases of a sample,
which would erase the amplitude that carries the label.

Shapes: B windows, N tokens, V of video, C of current, D features.
"""

from dataclasses import dataclass, replace

import keras
from keras import ops

from ..data import window
from ..data.window import FRAME_TOKENS
from . import losses
from .fusion import MASKED, mean
from .system import System, cosine, unit
from .tokenizers import CurrentTokens


@dataclass(frozen=True)
class Config:
    """Sizes of the two streams."""

    name: str
    dim: int
    depth: int
    heads: int
    video_tokens: int
    current_tokens: int
    wider: int = 4  # times dim, inside the feed-forward networks


SMALL = Config("fmformer-small", dim=64, depth=2, heads=4,
               video_tokens=window.FRAMES * FRAME_TOKENS,
               current_tokens=window.PATCHES + len(CurrentTokens.SPANS))


class Look(keras.layers.Layer):
    """Multi-head attention of one stream's tokens over its own tokens or the other's."""

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.heads = config.dim, config.heads
        self.ask = keras.layers.Dense(self.dim, use_bias=False, name="ask")
        self.offer = keras.layers.Dense(2 * self.dim, use_bias=False, name="offer")
        self.tell = keras.layers.Dense(self.dim, name="tell")

    def build(self, *_):
        for layer in (self.ask, self.offer, self.tell):
            layer.build((None, None, self.dim))

    def call(self, x, seen, bias):
        """x (B,N,D) attends to seen (B,M,D); bias (B,1,1,M), 0 or MASKED."""
        n, m, width = x.shape[1], seen.shape[1], self.dim // self.heads
        query = ops.reshape(self.ask(x) * width**-0.5, (-1, n, self.heads, width))
        query = ops.transpose(query, (0, 2, 1, 3))                         # (B,H,N,W)
        pair = ops.reshape(self.offer(seen), (-1, m, 2, self.heads, width))
        pair = ops.transpose(pair, (2, 0, 3, 1, 4))                        # (2,B,H,M,W)
        scores = ops.matmul(query, ops.transpose(pair[0], (0, 1, 3, 2)))   # (B,H,N,M)
        weights = ops.softmax(scores + bias, axis=-1)                      # (B,H,N,M)
        told = ops.transpose(ops.matmul(weights, pair[1]), (0, 2, 1, 3))   # (B,N,H,W)
        return self.tell(ops.reshape(told, (-1, n, self.dim)))             # (B,N,D)


class Stream(keras.layers.Layer):
    """One sense's half of a layer: self-attention, attention to the other, a feed-forward network."""

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.dim, self.hidden = config.dim, config.wider * config.dim
        self.norms = [keras.layers.LayerNormalization(epsilon=1e-5, name=f"norm{i}") for i in range(3)]
        self.own, self.other = Look(config, name="own"), Look(config, name="other")
        self.widen = keras.layers.Dense(self.hidden, activation="gelu", name="widen")
        self.narrow = keras.layers.Dense(self.dim, name="narrow")

    def build(self, *_):
        for layer in (*self.norms, self.own, self.other, self.widen):
            layer.build((None, None, self.dim))
        self.narrow.build((None, None, self.hidden))

    def itself(self, x, bias):
        y = self.norms[0](x)                                               # (B,N,D)
        return x + self.own(y, y, bias)                                    # (B,N,D)

    def onward(self, x):
        return x + self.narrow(self.widen(self.norms[2](x)))               # (B,N,D)


class FmFormer(keras.layers.Layer):
    """The tokens of both senses, with their masks → the logit of abnormal."""

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.video = [Stream(config, name=f"video{i}") for i in range(config.depth)]
        self.current = [Stream(config, name=f"current{i}") for i in range(config.depth)]
        self.verdicts = [keras.layers.Dense(1, name=f"verdict_{s}") for s in ("video", "current")]
        self.last = [keras.layers.LayerNormalization(epsilon=1e-5, name=f"last_{s}") for s in ("video", "current")]

    def build(self, *_):
        c, normal = self.config, keras.initializers.RandomNormal(stddev=0.05)
        self.first = [self.add_weight(name=f"class_{s}", shape=(1, 1, c.dim), initializer=normal)
                      for s in ("video", "current")]
        self.places = [self.add_weight(name=f"place_{s}", shape=(1, n, c.dim), initializer=normal)
                       for s, n in (("video", c.video_tokens), ("current", c.current_tokens))]
        for layer in (*self.video, *self.current, *self.last, *self.verdicts):
            layer.build((None, None, c.dim))

    def call(self, video, video_mask, current, current_mask):
        """video (B,V,D), current (B,C,D) and their masks → logit (B,1)."""
        v, v_bias = self.begin(0, video, video_mask)                       # (B,1+V,D), (B,1,1,1+V)
        c, c_bias = self.begin(1, current, current_mask)                   # (B,1+C,D), (B,1,1,1+C)
        for of_video, of_current in zip(self.video, self.current, strict=True):
            v, c = of_video.itself(v, v_bias), of_current.itself(c, c_bias)
            v_seen, c_seen = of_video.norms[1](v), of_current.norms[1](c)
            v = of_video.onward(v + of_video.other(v_seen, c_seen, c_bias))        # (B,1+V,D)
            c = of_current.onward(c + of_current.other(c_seen, v_seen, v_bias))    # (B,1+C,D)
        return (self.verdicts[0](self.last[0](v[:, 0]))
                + self.verdicts[1](self.last[1](c[:, 0])))                 # (B,1)

    def begin(self, sense, x, mask):
        """Prepends the class token, which is never masked, so attention is never empty."""
        x = ops.where(mask[:, :, None] > 0.5, x + self.places[sense], 0.0) # (B,N,D)
        first = ops.broadcast_to(self.first[sense], (ops.shape(x)[0], 1, self.config.dim))
        bias = (1.0 - ops.cast(mask > 0.5, "float32")) * MASKED            # (B,N)
        bias = ops.pad(bias, [[0, 0], [1, 0]])                             # (B,1+N)
        return ops.concatenate([first, x], axis=1), bias[:, None, None]


class Small(keras.layers.Layer):
    """FmFormer at a small size, over the product's tokens."""

    def __init__(self, config=SMALL, **kwargs):
        super().__init__(**kwargs)
        self.config, self.trunk = config, FmFormer(config, name="trunk")

    def build(self, *_):
        self.trunk.build()

    def call(self, tokens, frame_mask, current, current_mask):
        """tokens (B,16,4,D), frame_mask (B,16), current (B,33,D), its mask (B,33) → (B,1)."""
        video = ops.reshape(tokens, (-1, self.config.video_tokens, self.config.dim))  # (B,64,D)
        mask = ops.repeat(frame_mask, self.config.video_tokens // frame_mask.shape[1], axis=1)
        return self.trunk(video, mask, current, current_mask)              # (B,1)


class FmFormerRow(System):
    MERGED = False

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.net = Small(replace(SMALL, dim=config.dim), name="net")
        self.net.build()
        self.built = True

    def align(self, s, training=False):
        c, c_mask = s.c[:, 1:], s.c_mask[:, 1:]                            # (B,33,D), (B,33)
        v = ops.reshape(s.v[:, 1:], (-1, s.seen.shape[1], FRAME_TOKENS, self.config.dim))  # (B,16,4,D)
        alike = cosine(unit(mean(c, c_mask)), unit(mean(s.v[:, 1:], s.v_mask[:, 1:])))
        return {
            "logit": self.net(v, s.seen, c, c_mask),                       # (B,1)
            "alignment": alike * s.c_there * s.v_there,                    # (B,1)
            # Neither class token attends to frames alone, so every present frame weighs the same.
            "frame_weight": s.seen / ops.maximum(ops.sum(s.seen, axis=1, keepdims=True), 1.0),
        }

    def losses(self, x, y, out):
        return {"verdict": losses.verdict(y["label"], out["logit"])}
