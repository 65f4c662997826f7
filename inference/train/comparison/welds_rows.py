"""The rows that are trained on welds: Q-Former, AlignVSR, and the product's alignment.

The networks are those of models/, without their verdicts, for which welds have no labels. A
frame's four tokens are the features of welds_ridge.Components; the current is the high-passed
one as a share of a set-point, so its level, which tells welds apart, tells nothing here. A
window's only partner is its own current. Codes are K-means over the current's swing in the
sample and in the 8 before it.
"""

import dataclasses
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from scipy.cluster import vq

from ..data import welds, window
from ..models import codebook, losses
from ..models.alignvsr import AlignVSR
from ..models.closed_loop import Compiled
from ..models.codebook import CODES, QUANTITIES, Codebook
from ..models.product import Product
from ..models.qformer import QFormer
from ..models.tokenizers import relative_current
from ..training import configs, fit
from .welds_offset import MOST, Codes, Similarities
from .welds_ridge import FEATURES

SET_POINT = 1000.0  # amperes
SHARE = 0.1  # of the set-point for a swing of one spread
BACK = 2  # samples between two quantities of a code
SPAN = 3  # samples of a frame, see window.samples_of_frame
NEIGHBOURS = 4  # windows of one weld in a row of a batch: the hard negatives
AROUND = window.FRAMES * welds.PER_FRAME + SPAN - 1 + 2 * MOST  # samples of every shift of a window
GAIN = 0.25  # spread of the logarithm of the gain that a window is augmented by
CHUNK = 64  # windows at once
HOP = 4  # frames between the windows over which a frame's attention is averaged
FLIPS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # of rows and columns; no seam has a preferred side
EMBEDDED = 3.0  # scale of the random features that embed the codes


@dataclass(frozen=True)
class Settings:
    """What all rows on welds have in common; a mix-in, before Run among the bases."""

    dim: int = FEATURES // window.FRAME_TOKENS
    heads: int = 5
    hidden: int = 140
    dropout: float = 0.2
    head_dropout: float = 0.0
    steps: int = 300
    windows: int = 32
    learning_rate: float = 2e-3
    label_weight: float = 0.0
    data_weight: float = 0.0
    own_weight: float = 0.0
    shift_weight: float = 0.0  # contrast between the shifts of one weld


@dataclass(frozen=True)
class WeldQFormer(Settings, configs.QFormer):
    """BLIP-2's Q-Former on welds."""


@dataclass(frozen=True)
class WeldAlignGlobal(Settings, configs.AlignGlobal):
    """AlignVSR without its local loss."""


@dataclass(frozen=True)
class WeldAlignLocal(Settings, configs.AlignLocal):
    """AlignVSR."""


@dataclass(frozen=True)
class WeldProduct(Settings, configs.ProductEqual):
    """The product's alignment, on the terms of all others."""

    title: str = "the product's alignment"
    hidden: int = 140


@dataclass(frozen=True)
class WeldProductShifts(WeldProduct):
    """The product's alignment, taught by contrast between the shifts of one weld too."""

    name: str = "product-shifts"
    row: str = "10s"
    title: str = "the product's alignment, taught over the shifts of a weld"
    shift_weight: float = 1.0


ROWS = {r().name: r for r in (WeldQFormer, WeldAlignGlobal, WeldAlignLocal, WeldProduct, WeldProductShifts)}


# Networks.


def swings(r):
    """The quantities of each sample's code from relative current r (B,T,3): (B,T,5)."""
    x = ops.mean(r, axis=2) / SHARE                                        # (B,T)
    x = 0.5 * (x + ops.pad(x, [[0, 0], [1, 0]])[:, :-1])                   # (B,T)
    length, most = x.shape[1], BACK * (QUANTITIES - 1)
    x = ops.pad(x, [[0, 0], [most, 0]])
    return ops.stack([x[:, i * BACK : i * BACK + length] for i in range(QUANTITIES)], axis=2)


class SwingCodebook(Codebook):
    """The codebook over swings, of which a code tells the sign; a furnace's tells how strong they are."""

    def code(self, s):
        return codebook.nearest(swings(s.r), self.centres)

    def local_loss(self, x, attention, seen):
        r, valid = relative_current(x["current"], x["sample_mask"], x["set_point"])
        share, counted = codebook.counts(codebook.nearest(swings(r), self.centres), valid, codebook.windows_of_frames())
        return ops.mean(codebook.local_loss(attention, share, counted * seen))


def without_verdicts(terms):
    return {k: v for k, v in terms.items() if k not in ("verdict", "own")}


class WeldQFormerNetwork(QFormer):
    def losses(self, x, y, out):
        return without_verdicts(super().losses(x, y, out))


class WithCodes:
    """A network with a codebook, on welds."""

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.bank = SwingCodebook(config.dim, name="swings")
        self.bank.build(None)

    def losses(self, x, y, out):
        terms = without_verdicts(super().losses(x, y, out))
        if self.config.shift_weight:
            terms["shift"] = self.config.shift_weight * self.shift_loss(x, out["attention"])
        return terms

    def shift_loss(self, x, attention):
        """Cross-entropy of the true shift among SHIFTS, by the local loss at each: a scalar.

        The negatives are other shifts of the same weld, so nothing but the place in time
        can tell them apart.
        """
        code = codebook.nearest(swings(x["around"][:, :, None] * SHARE), self.bank.centres)  # (B,N,U)
        code = code[:, BACK * (QUANTITIES - 1) :]                          # (B,84,U)
        share = (code[:, :-2] + code[:, 1:-1] + code[:, 2:]) / SPAN        # (B,82,U)
        log = ops.log(attention + codebook.TINY)                           # (B,16,U)
        log = log - ops.log(ops.mean(attention, axis=1, keepdims=True) + codebook.TINY)
        told = ops.matmul(log, ops.transpose(share, (0, 2, 1)))            # (B,16,82)
        scores = sum(told[:, k, 2 * k : 2 * k + 2 * MOST + 1] for k in range(window.FRAMES)) / SPAN  # (B,51)
        target = np.zeros(2 * MOST + 1, np.float32)
        target[MOST - 1 : MOST + 2] = 0.25, 0.5, 0.25
        return -ops.mean(ops.sum(target * ops.log_softmax(scores, axis=1), axis=1))


class WeldAlignVSRNetwork(WithCodes, AlignVSR):
    pass


class WeldProductNetwork(WithCodes, Product):
    pass


NETWORKS = {"QFormer": WeldQFormerNetwork, "AlignVSR": WeldAlignVSRNetwork, "Product": WeldProductNetwork}


# Training.


class WeldWindows(keras.utils.PyDataset):
    """Batches of windows of some welds; x and y as of sampler.TokenWindows.

    around (B,92): the swing at all samples of every shift, with the past that their codes
    need. label: a number of the window's own, so that its own current is its only partner.
    """

    def __init__(self, known, components, config, steps, seed):
        super().__init__(workers=1)
        self.known, self.config, self.steps, self.seed = known, config, steps, seed
        self.features = [[components.tokens(w.frames, flip) for flip in FLIPS] for w in known]
        self.swing = [welds.swing(w.current) for w in known]

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        rng = np.random.default_rng((*self.seed, step))
        spots = [self.spot(rng, n) for n in rng.integers(0, len(self.known), -(-self.config.windows // NEIGHBOURS))
                 for _ in range(NEIGHBOURS)][: self.config.windows]
        parts = [self.drawn(rng, *spot) for spot in spots]
        x = {k: np.stack([p[k] for p in parts]) for k in parts[0]}
        ones = np.ones((len(spots), 1), np.float32)
        y = {"label": np.arange(len(spots), dtype=np.float32)[:, None], "shows": np.ones((len(spots), 2), np.float32)}
        return x | {"there": ones, "paired": ones}, y

    def spot(self, rng, n):
        """A weld and the newest frame of a window in it."""
        lowest, highest = welds.inner(self.known[n], MOST + BACK * QUANTITIES)
        return n, int(rng.integers(lowest + window.FRAMES, highest))

    def drawn(self, rng, n, last):
        swing = self.swing[n] * np.float32(np.exp(GAIN * rng.normal()))
        x = inputs_at(self.features[n][rng.integers(len(FLIPS))], swing, last)
        x["tokens"] = x["tokens"] * np.float32(np.exp(GAIN * rng.normal()))
        first = welds.PER_FRAME * (last - window.FRAMES + 1) - MOST
        return x | {"around": swing[first - BACK * (QUANTITIES - 1) : first + AROUND]}


def inputs_at(features, swing, last):
    """The inputs of the window whose newest frame is `last`; what lies before the weld is masked."""
    at = welds.PER_FRAME * (last + 1) - window.SAMPLES + np.arange(window.SAMPLES)
    there = (at >= 0) & (at < len(swing))
    amps = SET_POINT * (1 + SHARE * swing[np.clip(at, 0, len(swing) - 1)] * there)
    frames = np.arange(last - window.FRAMES + 1, last + 1)
    return {"tokens": features[np.maximum(frames, 0)].reshape(window.FRAMES, window.FRAME_TOKENS, -1),
            "frame_mask": (frames >= 0).astype(np.float32),
            "current": np.repeat(amps[:, None], window.PHASES, axis=1).astype(np.float32),
            "sample_mask": there.astype(np.float32), "set_point": np.array([SET_POINT], np.float32)}


class Trainer:
    """The network of a row, trained anew for each fold and seed.

    The graphs are kept, because tracing them takes longer than training. Every weight,
    moment and random state starts afresh, so the order of the runs does not matter.
    """

    def __init__(self):
        self.model = self.ask = self.moments = None

    def train(self, config, known, components, log=print):
        """Trains a row, with its config's seed, on some welds."""
        keras.utils.set_random_seed(config.seed)
        fresh = NETWORKS[config.system](config)
        if hasattr(fresh, "bank"):
            centres = fit_codes(known, config.seed)
            fresh.bank.centres.assign(centres)
            fresh.bank.embedding.assign(embed(centres, config.dim, config.seed))
        if self.model is None:
            self.start(fresh, config)
        else:
            for mine, new in zip(self.model.variables, fresh.variables, strict=True):
                mine.assign(new)
            for moment, initial in zip(self.model.optimizer.variables, self.moments, strict=True):
                moment.assign(initial)
        windows = WeldWindows(known, components, config, config.steps, (config.seed, 0))
        fit.fit_phase(self.model, windows, 0, config.steps, 0, fit.Course(log))

    def start(self, model, config):
        self.model = model
        model.phase(0, 1)
        model.compile(fit.optimizer(config, config.steps))
        model.optimizer.build(model.trainable_variables)
        self.moments = [ops.convert_to_numpy(v).copy() for v in model.optimizer.variables]
        keys = KEYS["codes" if hasattr(model, "bank") else "similarities"]
        self.ask = Compiled(lambda *arrays: {k: v for k, v in model.infer(*arrays).items() if k in keys})

    def predict(self, inputs):
        """Outputs of windows, by key; in chunks of one size, so that one graph serves all."""
        count, parts = len(inputs["set_point"]), []
        for at in range(0, count, CHUNK):
            index = np.minimum(np.arange(at, at + CHUNK), count - 1)
            parts.append(self.ask.predict_on_batch([inputs[k][index] for k in ORDER]))
        return {k: np.concatenate([np.asarray(p[k]) for p in parts])[:count] for k in parts[0]}


def fit_codes(known, seed):
    """The centres of K-means over the swings of some welds: (32,5)."""
    x = np.concatenate([quantities(w) for w in known])
    centres, _ = vq.kmeans2(x.astype(float), CODES, iter=20, minit="++", seed=seed, missing="warn")
    return centres.astype(np.float32)


def quantities(weld):
    """The quantities of each sample of a weld: (2T,5)."""
    return ops.convert_to_numpy(swings(SHARE * welds.swing(weld.current)[None, :, None]))[0]


def embed(centres, dim, seed):
    """Embeddings of the codes: random features of their centres, (32,D), because the welds have no labels."""
    rng = np.random.default_rng(seed)
    scaled = centres / max(float(centres.std()), 1e-6)
    smooth = np.sin(scaled @ rng.normal(0, 1 / EMBEDDED, (centres.shape[1], dim)) * 2 + rng.uniform(0, 2 * np.pi, dim))
    return (smooth / smooth.std()).astype(np.float32)


# Reading.


ORDER = ("tokens", "frame_mask", "current", "sample_mask", "set_point")
KEYS = {"codes": ("attention", "z_video", "z_current"), "similarities": ("z_video", "z_current", "match")}


def read(trainer, weld, components):
    """A trained network's reading of a weld."""
    return (codes if hasattr(trainer.model, "bank") else similarities)(trainer, weld, components)


def inputs_of(weld, tokens, ends):
    """The inputs of the windows that end at some frames."""
    swing = welds.swing(weld.current)
    each = [inputs_at(tokens, swing, last) for last in ends]
    return {k: np.stack([e[k] for e in each]) for k in ORDER}


def codes(trainer, weld, components):
    """The reading of a network with a codebook.

    Each frame's log attention is a mean over the windows that hold it and over its mirrored pictures.
    """
    ends = np.unique(np.r_[np.arange(window.FRAMES - 1, len(weld), HOP), len(weld) - 1])
    total, count = np.zeros((len(weld), CODES)), np.zeros((len(weld), 1))
    for flip in FLIPS:
        attention = trainer.predict(inputs_of(weld, components.tokens(weld.frames, flip), ends))["attention"]  # (N,16,U)
        for last, each in zip(ends, attention, strict=True):
            total[last - window.FRAMES + 1 : last + 1] += np.log(each + codebook.TINY)
            count[last - window.FRAMES + 1 : last + 1] += 1
    centres = ops.convert_to_numpy(trainer.model.bank.centres)
    x = quantities(weld)
    code = np.eye(CODES)[(0.5 * (centres**2).sum(1) - x @ centres.T).argmin(1)]
    wide = np.concatenate([code, np.repeat(code[-1:], SPAN - 1, axis=0)])
    share = sum(wide[i : i + len(code)] for i in range(SPAN)) / SPAN
    return Codes(total / count, share)


def similarities(trainer, weld, components):
    """The reading of Q-Former: windows that end at every frame."""
    out = trainer.predict(inputs_of(weld, components.tokens(weld.frames), np.arange(len(weld))))
    return Similarities(out["z_video"], out["z_current"])


def config_of(name, seed, steps=None):
    """The settings of a row; steps: fewer or more steps than its own."""
    config = ROWS[name](seed=seed)
    return dataclasses.replace(config, steps=steps) if steps else config


def configs_of(names):
    """(name, settings) of rows, in the order of the page."""
    return [(name, config_of(name, 0)) for name in ROWS if name in names]
