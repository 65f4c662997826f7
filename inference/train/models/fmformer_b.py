"""FmFormer-B at its published size, from raw inputs: the baseline of speed, never trained.

It has 400 + 1 tokens of video (10 frames in pairs, 8×8 cells, and 4×4 cells of the picture
at every second pixel) and 240 + 1 of current."""

import keras
from keras import ops

from ..data import window
from .fmformer import Config, FmFormer
from .tokenizers import relative_current

FRAMES = 10  # of B
PAIR = 2  # frames in one token of B
PATCH = 8  # pixels of a token's side
PLACES = window.SIZE // PATCH  # along one side of a frame
VALUES = PATCH * PATCH * 3  # in one place of one frame
SCALE = 3.0  # scales the swings of relative current in normal operation to about 1

B = Config("fmformer-b", dim=96, depth=6, heads=6,
           video_tokens=FRAMES // PAIR * (PLACES**2 + (PLACES // 2) ** 2),
           current_tokens=window.SAMPLES)


class Published(keras.Model):
    """FmFormer-B with the two functions that the agent calls.

    A token of B spans two frames, so encode_frame only cuts a frame into cells, and
    step does everything else.
    """

    def __init__(self, config=B, **kwargs):
        super().__init__(**kwargs)
        self.config, self.trunk = config, FmFormer(config, name="trunk")
        self.embed = {s: keras.layers.Dense(config.dim, name=f"embed_{s}")
                      for s in ("fine", "coarse", "current")}
        self.settle = {s: keras.layers.LayerNormalization(epsilon=1e-5, name=f"settle_{s}") for s in self.embed}
        self.trunk.build()
        for s, width in (("fine", PAIR * VALUES), ("coarse", PAIR * VALUES), ("current", window.PHASES)):
            self.embed[s].build((None, None, width))
            self.settle[s].build((None, None, config.dim))
        self.built = True

    def encode_frame(self, frame, background):
        """frame (B,64,64,3) 0–255 → tokens (B,64,192): 8×8 cells of 8×8 pixels."""
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
        """One token for each cell of two consecutive frames: (B,10,P,192) → (B,5P,D)."""
        places = tokens.shape[2]
        x = ops.reshape(tokens, (-1, FRAMES // PAIR, PAIR, places, VALUES))
        x = ops.transpose(x, (0, 1, 3, 2, 4))                              # (B,5,P,2,192)
        x = ops.reshape(x, (-1, FRAMES // PAIR * places, PAIR * VALUES))   # (B,5P,384)
        return self.settle[scale](self.embed[scale](x))                    # (B,5P,D)


def patches(frame):
    """(B,S,S,3) → (B,(S/8)²,192), cells row by row."""
    side = frame.shape[1] // PATCH
    x = ops.reshape(frame, (-1, side, PATCH, side, PATCH, 3))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * side, VALUES))


def halved(tokens):
    """Cells of the frames at every second pixel: (B,10,64,192) → (B,10,16,192)."""
    x = ops.reshape(tokens, (-1, PLACES, PLACES, PATCH, PATCH, 3))         # (10B,8,8,8,8,3)
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, window.SIZE, window.SIZE, 3))
    return ops.reshape(patches(x[:, ::2, ::2]), (-1, FRAMES, (PLACES // 2) ** 2, VALUES))
