"""Row 9's FmFormer as a system of the comparison: the small one of fmformer.py over the shared tokens."""

import dataclasses

from keras import ops

from . import contrast
from .fmformer import SMALL, Small
from .mlf import mean
from .system import System, cosine, unit
from .tokenizers import FRAME_TOKENS


class FmFormerRow(System):
    MERGED = False

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.net = Small(dataclasses.replace(SMALL, dim=config.dim), name="net")
        self.net.build()
        self.built = True

    def align(self, s, training=False):
        c, c_mask = s.c[:, 1:], s.c_mask[:, 1:]                            # (B,33,D), (B,33)
        v = ops.reshape(s.v[:, 1:], (-1, s.seen.shape[1], FRAME_TOKENS, self.config.dim))  # (B,16,4,D)
        alike = cosine(unit(mean(c, c_mask)), unit(mean(s.v[:, 1:], s.v_mask[:, 1:])))
        return {
            "logit": self.net(v, s.seen, c, c_mask),                       # (B,1)
            "alignment": alike * s.c_there * s.v_there,                    # (B,1)
            # Read off two class tokens, of which neither looks at frames alone.
            "frame_weight": s.seen / ops.maximum(ops.sum(s.seen, axis=1, keepdims=True), 1.0),
        }

    def losses(self, x, y, out):
        return {"verdict": contrast.verdict(y["label"], out["logit"])}
