"""Row 10, the product: it combines the parts of the other rows that are worth their cost.

One block, shared by both senses (OneLLM's universal encoder), lets each sense attend to
itself. Frames then attend to the codebook of the current, and the local loss ties them to
their own seconds (AlignVSR), which yields the clock offset between the senses. Each sense
has a verdict of its own. Attention pooling reads the tokens of both (CLMLF's MLF; its
fusion blocks exist for the comparison and are not released), with label contrast on the
result (LBCL). The fused logit adds a correction to the sum of the senses' own logits:
their errors are nearly independent within a class, and for independent witnesses the sum
of logits is optimal (naive Bayes), so training starts from it. A forecast head predicts
the next patch of current from the patch before and from the frames of its seconds
(BLIP-2's generation); its error is the surprise.

encode_frame(frame, background) → tokens, background′, evidence, once a frame;
step(tokens, frame mask, current, sample mask, set-point) → p_abnormal, p_current,
p_video, alignment, frame_weight, local_loss, surprise, once a second; with the constants of
familiarity.py also familiarity_current and familiarity_video. With config.current_baseline step
also takes current_baseline and returns the next one (current_baseline.py).

p_current and p_video are p_abnormal with the other sense masked, but for config.offset_alone. One pass gives all three,
because the senses meet in the pooling only: it reads the tokens under three masks, and the
register of a missing sense stands beside that sense's own tokens. Fusion blocks mix the
senses before; with them step has no p_current and p_video.

Shapes: B windows, N tokens, D features.
"""

import keras
import numpy as np
from keras import ops

from ..data import window
from . import codebook, familiarity, forecast, losses
from .alignvsr import GlobalAlignment
from .codebook import Codebook
from .familiarity import MISSING
from .fusion import MASKED, AttentionPooling, FusionBlock, apart, normalized
from .system import CURRENT_TOKENS, MERGED_TOKENS, System, cosine, unit

FORECAST_PATCHES = 4  # newest patches, whose seconds the frames show


class Product(System):
    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        d = config.dim
        if config.fusion_blocks and (config.lone_witness or config.freeze_alone):
            raise ValueError("lone_witness and freeze_alone need each sense alone, which fusion blocks mix; set fusion_blocks to 0")
        block = {"dim": d, "heads": config.heads, "hidden": config.hidden, "dropout": config.dropout}
        self.own = FusionBlock(name="own", **block)
        self.bank = Codebook(d, name="bank")
        self.globally = GlobalAlignment(d, config.heads, name="global")
        self.fusion = [FusionBlock(name=f"fusion{i}", **block) for i in range(config.fusion_blocks)]
        self.pools = {s: AttentionPooling(d, name=f"pool_{s}") for s in ("current", "video", "fused")}
        self.verdicts = {s: keras.layers.Dense(1, name=f"verdict_{s}") for s in ("current", "video")}
        # The correction starts at 0, so training starts from the sum.
        self.correct = keras.layers.Dense(1, name="correct", kernel_initializer="zeros")
        self.project = {s: keras.layers.Dense(d // 2, name=f"project_{s}") for s in ("current", "video", "fused")}
        if config.current_baseline:
            # Reads the statistics of the spans directly, because pooling blurs how they compare. It starts at 0, too,
            # unless it is trained before (training/spans.py).
            self.spans = [keras.layers.Dense(2 * d, activation="relu", name=f"spans{i}") for i in range(2)]
            self.verdict_spans = keras.layers.Dense(1, name="verdict_spans", kernel_initializer="zeros")
            self.spans[0].build((None, len(self.current.SPANS) * (self.current.STATISTICS + config.sparse_current + 2)))
            self.spans[1].build((None, 2 * d))
            self.verdict_spans.build((None, 2 * d))
        self.foresee = keras.layers.Dense(d // 2, activation="relu", name="foresee")
        self.next = keras.layers.Dense(forecast.TARGETS, name="next")
        self.drop = keras.layers.Dropout(config.head_dropout)
        for layer in (self.own, self.bank, self.globally, *self.fusion, *self.pools.values()):
            layer.build(None)
        for layer in (*self.verdicts.values(), *self.project.values(), self.correct):
            layer.build((None, d))
        self.foresee.build((None, None, 2 * d))
        self.next.build((None, None, d // 2))
        self._apart = apart(CURRENT_TOKENS, MERGED_TOKENS, 1, 1)
        # The registers of the missing senses see themselves, and are masked for the rest.
        self._maskable = np.repeat([1.0, 0.0], [CURRENT_TOKENS + MERGED_TOKENS, 2]).astype("float32")
        # Which tokens each reading hears: both senses, the current, the video; a missing one leaves its register. (3,53) twice.
        heard = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], "float32")[: 1 if self.fusion else 3]
        left = np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "float32")[: len(heard)]
        lengths = (CURRENT_TOKENS, MERGED_TOKENS, 1, 1)
        self._heard, self._in_its_place = (np.repeat(rows, lengths, axis=1) for rows in (heard, left))
        self._heard_senses = heard[:, :2].T.copy()                         # (2,1 or 3)
        self._shifts = codebook.shift_matrix()
        # The frames of each of the newest patches: (4,16).
        self._patch_frames = (self._frame_slots[None] == window.PATCHES - FORECAST_PATCHES
                              + np.arange(FORECAST_PATCHES)[:, None]).astype("float32")
        self.densities = {}  # by sense, see familiarity.py; set once the network is trained
        self.built = True

    def step(self, tokens, frame_mask, current, sample_mask, set_point, current_baseline=None):
        s = self.sequences(tokens, frame_mask, current, sample_mask, set_point, current_baseline)
        out = self.align(s)
        kept = {k: out[k] for k in out.keys() & {"current_baseline"}}          # (B,4)
        return self.verdict(out) | familiarity.outputs(self.densities, tokens, s) | kept | {                                       # (B,1) each
            "alignment": out["alignment"],                                 # (B,1)
            "frame_weight": out["frame_weight"],                           # (B,16)
            "local_loss": self.local_losses(out),                          # (B,21)
            "surprise": forecast.surprise(out["forecast_error"], out["forecast_mask"]),  # (B,1)
        }

    def align(self, s, training=False):
        """The sequence: the current's tokens, the video's, the register of a missing video, that of a missing current."""
        c_mask, v_mask = s.c_mask, ops.pad(s.v_mask, [[0, 0], [0, 1]])     # (B,34), (B,18)
        mask = ops.pad(ops.concatenate([c_mask, v_mask], axis=1), [[0, 0], [0, 1]])  # (B,53)
        bias = (1.0 - mask)[:, None, None] * MASKED                        # (B,1,1,53)
        x = ops.pad(ops.concatenate([s.c, s.v], axis=1), [[0, 0], [0, 2], [0, 0]]) + self.missing()  # (B,53,D)
        x = self.own(x, ops.minimum(bias * self._maskable, self._apart), training=training)  # (B,53,D)
        c, v = x[:, :CURRENT_TOKENS], x[:, CURRENT_TOKENS:-1]              # (B,34,D), (B,18,D)
        seen, attention = self.globally(normalized(v), self.bank.embedding)  # (B,18,D), (B,18,U)
        forecast_errors, counted = self.forecast_errors(s, v[:, :-1])      # (B,4) twice
        v = v + seen                                                       # (B,18,D)
        u_c, _ = self.pools["current"](c, c_mask)                          # (B,D)
        u_v, _ = self.pools["video"](v, v_mask)                            # (B,D)
        logit_c = self.verdicts["current"](self.drop(u_c, training=training))  # (B,1)
        if self.config.current_baseline:
            logit_c = logit_c + self.spans_logit(s.statistics, training)   # (B,1)
        logit_v = self.verdicts["video"](self.drop(u_v, training=training))    # (B,1)
        x = ops.concatenate([c, v, x[:, -1:]], axis=1)                     # (B,53,D)
        for block in self.fusion:
            x = block(x, bias, training=training)                          # (B,53,D)
        masks = mask[:, None] * self._heard + self._in_its_place           # (B,1 or 3,53)
        fused, weights = self.pools["fused"].several(x, masks)             # (B,1 or 3,D), (B,1 or 3,53)
        corrections = self.correct(self.drop(fused, training=training))[:, :, 0]   # (B,1 or 3)
        z_c, z_v = unit(self.project["current"](u_c)), unit(self.project["video"](u_v))  # (B,D/2)
        evidence = ops.concatenate([self.evidence(logit_c, s.c_there), self.evidence(logit_v, s.v_there)], axis=1)  # (B,2)
        logits = corrections + ops.matmul(evidence, self._heard_senses)    # (B,1 or 3)
        return {
            "logit": logits[:, :1], "logits": logits,                      # (B,1), (B,1 or 3)
            "logit_current": logit_c, "logit_video": logit_v,
            "there_current": s.c_there, "there_video": s.v_there,          # (B,1) twice
            "z_current": z_c, "z_video": z_v, "z_fused": unit(self.project["fused"](fused[:, 0])),
            "alignment": cosine(z_c, z_v) * s.c_there * s.v_there,         # (B,1)
            "frame_weight": self.frame_weight(weights[:, 0, CURRENT_TOKENS + 1 : -2]),  # (B,16)
            "attention": attention[:, 1:-1],                               # (B,16,U)
            "code": self.bank.code(s), "valid": s.valid, "seen": s.seen,
            "forecast_error": forecast_errors, "forecast_mask": counted,                # (B,4)
        } | ({"current_baseline": s.baseline} if self.config.current_baseline else {})

    def spans_logit(self, statistics, training=False):
        """What the statistics of the spans (B,45 or 48) say: a logit (B,1)."""
        for layer in self.spans:
            statistics = layer(statistics)                                 # (B,2D)
        return self.verdict_spans(self.drop(statistics, training=training))

    def missing(self):
        """The registers of a missing video and of a missing current at the end of a sequence of zeros: (53,D)."""
        registers = ops.stack([self.register[sense][0] for sense in ("video", "current")])  # (2,D)
        return ops.pad(registers, [[CURRENT_TOKENS + MERGED_TOKENS, 0], [0, 0]])

    def verdict(self, out):
        """p_abnormal, and p_current and p_video, which are MISSING with their sense: (B,1) each."""
        config, logits = self.config, out["logits"]
        if config.offset or config.offset_alone:
            both = out["there_current"] * out["there_video"]               # (B,1)
            logits = logits - (config.offset_alone + both * (config.offset - config.offset_alone))
        p = ops.sigmoid(logits)                                            # (B,1 or 3)
        if self.fusion:
            return {"p_abnormal": p}
        there = ops.concatenate([out["there_current"], out["there_video"]], axis=1) > 0.5  # (B,2)
        alone = ops.where(there, p[:, 1:], MISSING)                        # (B,2)
        found = ops.max(ops.concatenate([p[:, :1], alone], axis=1), axis=1, keepdims=True) if config.lone_witness else p[:, :1]
        return {"p_abnormal": found, "p_current": alone[:, :1], "p_video": alone[:, 1:]}

    def forecast_errors(self, s, v):
        """Forecast errors of the newest four patches, and which count: (B,4) each.

        Predicted from the tokens of the patch before, s.c, and of the frames of the patch's
        own seconds, v (B,17,D), which have not attended to the current.
        """
        first = 1 + window.PATCHES - FORECAST_PATCHES
        before = s.c[:, first - 1 : first - 1 + FORECAST_PATCHES]                  # (B,4,D)
        share = self._patch_frames * s.seen[:, None]                       # (B,4,16)
        number = ops.sum(share, axis=2, keepdims=True)                     # (B,4,1)
        shown = ops.matmul(share, v[:, 1:]) / ops.maximum(number, 1.0)     # (B,4,D)
        predicted = self.next(self.foresee(ops.concatenate([before, shown], axis=2)))  # (B,4,2)
        targets, whole = forecast.of_patches(s.r, s.valid)                   # (B,30,2), (B,30)
        counted = whole[:, -FORECAST_PATCHES:] * whole[:, -FORECAST_PATCHES - 1 : -1]      # (B,4)
        return forecast.errors(predicted, targets[:, -FORECAST_PATCHES:], counted), counted

    def local_losses(self, out):
        """The local loss at every shift of codebook.SHIFTS: (B,21)."""
        return codebook.shifted_loss(out["attention"], out["code"], out["valid"], out["seen"], self._shifts)

    def losses(self, x, y, out):
        c, label, half = self.config, y["label"], self.config.windows // 2
        terms = {
            "verdict": losses.verdict(label, out["logit"]),
            "own": c.own_weight * sum(losses.own_verdicts(c, y, out)),
            "next": c.next_weight * ops.sum(out["forecast_error"]) / ops.maximum(ops.sum(out["forecast_mask"]), 1.0),
        }
        if c.align_weight:
            terms["align"] = c.align_weight * losses.soft_contrast(
                out["z_video"], out["z_current"], losses.pair_targets(label, x["paired"], x["there"]))
        if c.label_weight:
            terms["label"] = c.label_weight * losses.label_contrast(out["z_fused"], label, c.label_temperature)
        if c.data_weight:
            terms["data"] = c.data_weight * losses.data_contrast(out["z_fused"][:half], out["z_fused"][half:])
        if c.local_weight:
            terms["local"] = c.local_weight * self.bank.local_loss(x, out["attention"], out["seen"])
        return terms
