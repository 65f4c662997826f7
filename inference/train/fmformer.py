"""A net in the style of FmFormer, as a row of the comparison and to compare speed with.

After Wu, Zhang, Deng, Zhang & Chai, "Cross-Modal Learning for Anomaly Detection in
Complex Industrial Process: Methodology and Benchmark" (IEEE TCSVT 2024, arXiv
2406.09016): two streams of tokens, each layer of which lets a stream look at itself,
then at the other (both ways at once), then through a network of its own; the logits
read off both class tokens are summed.

    python -m inference.train.fmformer --out runs/fmformer-b     # half a minute

SMALL shares the product's tokens. B has the published size: 400 + 1 tokens of video
(10 frames in pairs, 8×8 places, and 4×4 of the picture at every second pixel) and
240 + 1 of current, untrained, because only its latency is compared. Unlike the
published code it never normalises over the phases of a sample, which would erase the
amplitude that carries the label.

Shapes: B windows, N tokens, V of video, C of current, D features.
"""

import argparse
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from . import geometry
from .fusion import MASKED
from .tokenizers import FRAME_TOKENS, CurrentTokens, relative_current

FRAMES = 10  # of B
PAIR = 2  # frames in one token of B
PATCH = 8  # pixels of a token's side
PLACES = geometry.SIZE // PATCH  # along one side of a frame
VALUES = PATCH * PATCH * 3  # in one place of one frame
SCALE = 3.0  # relative current times this is about 1 in normal work's swings


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
               video_tokens=geometry.FRAMES * FRAME_TOKENS,
               current_tokens=geometry.PATCHES + len(CurrentTokens.SPANS))
B = Config("fmformer-b", dim=96, depth=6, heads=6,
           video_tokens=FRAMES // PAIR * (PLACES**2 + (PLACES // 2) ** 2),
           current_tokens=geometry.SAMPLES)


class Look(keras.layers.Layer):
    """Multi-head attention of one stream's tokens over its own or the other's."""

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
        """x (B,N,D) looks at seen (B,M,D); bias (B,1,1,M), 0 or MASKED."""
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
    """One sense's half of a layer: a look at itself, at the other, a network."""

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
    """Both senses' tokens, with their masks → the logit of abnormal."""

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
        """video (B,V,D), current (B,C,D) and which of each count → logit (B,1)."""
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
        """Puts the class token first; it always counts, so no look is at nothing."""
        x = ops.where(mask[:, :, None] > 0.5, x + self.places[sense], 0.0) # (B,N,D)
        first = ops.broadcast_to(self.first[sense], (ops.shape(x)[0], 1, self.config.dim))
        bias = (1.0 - ops.cast(mask > 0.5, "float32")) * MASKED            # (B,N)
        bias = ops.pad(bias, [[0, 0], [1, 0]])                             # (B,1+N)
        return ops.concatenate([first, x], axis=1), bias[:, None, None]


class Small(keras.layers.Layer):
    """The comparison's row: FmFormer over the product's own tokens."""

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


class Published(keras.Model):
    """FmFormer-B from raw inputs, behind the contract's two functions.

    A token of B spans two frames, so nothing of a frame can be worked out ahead:
    encode_frame only cuts it into places, and each step does all the rest.
    """

    def __init__(self, config=B, **kwargs):
        super().__init__(**kwargs)
        self.config, self.trunk = config, FmFormer(config, name="trunk")
        self.embed = {s: keras.layers.Dense(config.dim, name=f"embed_{s}")
                      for s in ("fine", "coarse", "current")}
        self.settle = {s: keras.layers.LayerNormalization(epsilon=1e-5, name=f"settle_{s}") for s in self.embed}
        self.trunk.build()
        for s, width in (("fine", PAIR * VALUES), ("coarse", PAIR * VALUES), ("current", geometry.PHASES)):
            self.embed[s].build((None, None, width))
            self.settle[s].build((None, None, config.dim))
        self.built = True

    def encode_frame(self, frame, background):
        """frame (B,64,64,3) 0–255 → tokens (B,64,192): 8×8 places of 8×8 pixels."""
        x = ops.cast(frame, "float32") / 255.0
        return {"tokens": patches(x), "background": background}

    def step(self, tokens, frame_mask, current, sample_mask, set_point):
        """tokens (B,10,64,192), current (B,240,3) A → p_abnormal (B,1)."""
        relative, valid = relative_current(current, sample_mask, set_point)  # (B,240,3), (B,240,1)
        c = self.settle["current"](self.embed["current"](SCALE * relative))  # (B,240,D)
        pairs = ops.min(ops.reshape(frame_mask, (-1, FRAMES // PAIR, PAIR)), axis=2)  # (B,5)
        v = ops.concatenate([self.tubes("fine", tokens), self.tubes("coarse", halved(tokens))], axis=1)
        mask = ops.concatenate([ops.repeat(pairs, PLACES**2, axis=1),
                                ops.repeat(pairs, (PLACES // 2) ** 2, axis=1)], axis=1)  # (B,400)
        return {"p_abnormal": ops.sigmoid(self.trunk(v, mask, c, valid[:, :, 0]))}

    def tubes(self, scale, tokens):
        """Places of two frames in a row as one token each: (B,10,P,192) → (B,5P,D)."""
        places = tokens.shape[2]
        x = ops.reshape(tokens, (-1, FRAMES // PAIR, PAIR, places, VALUES))
        x = ops.transpose(x, (0, 1, 3, 2, 4))                              # (B,5,P,2,192)
        x = ops.reshape(x, (-1, FRAMES // PAIR * places, PAIR * VALUES))   # (B,5P,384)
        return self.settle[scale](self.embed[scale](x))                    # (B,5P,D)


def patches(frame):
    """(B,S,S,3) → (B,(S/8)²,192), places row by row."""
    side = frame.shape[1] // PATCH
    x = ops.reshape(frame, (-1, side, PATCH, side, PATCH, 3))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * side, VALUES))


def halved(tokens):
    """Frames at every second pixel, cut anew: (B,10,64,192) → (B,10,16,192)."""
    x = ops.reshape(tokens, (-1, PLACES, PLACES, PATCH, PATCH, 3))         # (10B,8,8,8,8,3)
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, geometry.SIZE, geometry.SIZE, 3))
    return ops.reshape(patches(x[:, ::2, ::2]), (-1, FRAMES, (PLACES // 2) ** 2, VALUES))


def export(model, folder):
    """Writes the folder as release.py writes the product's, for the same Go code."""
    from .export import Function, TensorSpec, save

    size = geometry.SIZE
    f32 = lambda *shape: TensorSpec("float32", shape)
    functions = {
        "encode_frame": Function(model.encode_frame, {
            "frame": TensorSpec("uint8", (1, size, size, 3), "0-255"), "background": f32(1, size, size, 1)}),
        "step": Function(model.step, {
            "tokens": f32(1, FRAMES, PLACES**2, VALUES), "frame_mask": f32(1, FRAMES),
            "current": f32(1, geometry.SAMPLES, geometry.PHASES), "sample_mask": f32(1, geometry.SAMPLES),
            "set_point": f32(1, 1)}),
    }
    sections = {
        "name": model.config.name, "version": "untrained", "commit": "",
        "current": {"rate_hz": geometry.SAMPLE_HZ, "samples": geometry.SAMPLES,
                    "phases": geometry.PHASES, "unit": "A"},
        "video": {"rate_hz": geometry.FRAME_HZ, "frames": FRAMES, "width": size, "height": size,
                  "channels": "RGB", "resize": "area", "tokens": PLACES**2, "dim": VALUES,
                  "background": [1, size, size, 1], "evidence_rows": 0, "evidence_columns": 0},
        # Nobody trained it, so nothing it says may raise an alarm.
        "decision": {"mean_seconds": 600, "enter": 1, "exit": 1, "hold_seconds": 0, "freeze_background": 1},
        "rule": {"cv_120": 1e-9, "cv_45": 1e-9},
        "metrics": {"parameters": model.count_params()},
    }
    return save(folder, functions, sections, golden_inputs())


def golden_inputs():
    rng, size = np.random.default_rng(5), geometry.SIZE
    frame = rng.integers(0, 256, (1, size, size, 3), np.uint8)
    window = {
        "tokens": np.round(rng.random((1, FRAMES, PLACES**2, VALUES)) * 16).astype(np.float32) / 16,
        "frame_mask": np.ones((1, FRAMES), np.float32),
        "current": rng.normal(15000, 1500, (1, geometry.SAMPLES, geometry.PHASES)).astype(np.float32),
        "sample_mask": np.ones((1, geometry.SAMPLES), np.float32),
        "set_point": np.full((1, 1), 15000, np.float32),
    }
    return [("frame", "encode_frame", {"frame": frame, "background": np.zeros((1, size, size, 1), np.float32)}),
            ("window", "step", window),
            ("nothing", "step", window | {k: 0 * window[k] for k in ("frame_mask", "sample_mask")})]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="model folder to write anew")
    args = parser.parse_args(argv)
    keras.utils.set_random_seed(1)
    model = Published()
    export(model, args.out)
    print(f"{args.out}: {model.config.name}, untrained, {model.count_params():,} parameters")


if __name__ == "__main__":
    main()
