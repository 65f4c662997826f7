"""Rows 4–7, CLMLF: multi-layer fusion, with or without its two contrasts.

Li et al., "CLMLF: A Contrastive Learning and Multi-Layer Fusion Method for
Multimodal Sentiment Detection", Findings of NAACL 2022. The tokens of
both senses form one sequence, transformer layers let every token attend to every other,
and attention pooling reads the result. Current and one convolution replace text and BERT;
frames and three convolutions replace images and ResNet.

LBCL contrasts windows by label. DBCL contrasts two views of one window, for which rows
i and i + B/2 of a batch are views (data/sampler.py, config.views).
"""

import keras
from keras import ops

from . import losses
from .fusion import MASKED, AttentionPooling, FusionBlock, mean
from .system import CURRENT_TOKENS, System, cosine, unit


class MLF(System):
    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        d = config.dim
        block = {"dim": d, "heads": config.heads, "hidden": config.hidden, "dropout": config.dropout}
        self.blocks = [FusionBlock(name=f"fusion{i}", **block) for i in range(config.fusion_blocks)]
        self.pool = AttentionPooling(d, name="pool") if config.pooling == "attention" else None
        self.head = keras.layers.Dense(1, name="head")
        self.contrasts = config.label_weight > 0 or config.data_weight > 0
        self.drop = keras.layers.Dropout(config.head_dropout)
        for layer in (*self.blocks, *([self.pool] if self.pool else [])):
            layer.build(None)
        self.head.build((None, d))
        if self.contrasts:
            self.project = keras.layers.Dense(d // 2, name="project")
            self.project.build((None, d))
        self.built = True

    def align(self, s, training=False):
        x = ops.concatenate([s.c, s.v], axis=1)                            # (B,51,D)
        mask = ops.concatenate([s.c_mask, s.v_mask], axis=1)               # (B,51)
        bias = (1.0 - mask)[:, None, None] * MASKED                        # (B,1,1,51)
        for block in self.blocks:
            x = block(x, bias, training=training)                          # (B,51,D)
        read, weights = self.read(x, mask)                                 # (B,D), (B,51)
        # The similarity of the two senses' parts of the sequence.
        c, v = (mean(x[:, part], mask[:, part]) for part in (slice(CURRENT_TOKENS), slice(CURRENT_TOKENS, None)))
        # The vectors that are contrasted: (B,D/2).
        gathered = {"z_fused": unit(self.project(read))} if self.contrasts else {}
        return gathered | {
            "logit": self.head(self.drop(read, training=training)),        # (B,1)
            "alignment": cosine(unit(c), unit(v)) * s.c_there * s.v_there,  # (B,1)
            "frame_weight": self.frame_weight(weights[:, CURRENT_TOKENS + 1:]),  # (B,16)
        }

    def read(self, x, mask):
        if self.pool is None:
            return mean(x, mask), mask / ops.sum(mask, axis=1, keepdims=True)
        return self.pool(x, mask)

    def losses(self, x, y, out):
        c, half = self.config, self.config.windows // 2
        terms = {"verdict": losses.verdict(y["label"], out["logit"])}
        if c.label_weight:
            terms["label"] = c.label_weight * losses.label_contrast(
                out["z_fused"], y["label"], c.label_temperature)
        if c.data_weight:
            terms["data"] = c.data_weight * losses.data_contrast(out["z_fused"][:half], out["z_fused"][half:])
        return terms
