"""The comparison on left-out furnaces: its folds, the terms on which every row is trained, and what a run costs.

A fold leaves out one family of picture and one of current. No melt of either trains a network
or chooses a threshold; the rows are compared on melts of the left-out pair. Nothing here
imports a network, so that the command's arguments are read at once.
"""

import dataclasses

from ..training import configs
from ..training.run import Run, Transfer


@dataclasses.dataclass(frozen=True)
class Fold:
    """The families that training leaves out."""

    picture: str
    current: str

    @property
    def name(self):
        return self.picture


FOLDS = {fold.name: fold for fold in (Fold("emission", "autoregressive"), Fold("metal", "arclength"))}

# Which tokenizers a row has: those of the fold's unimodal network, frozen, or its own, trained with it from pixels.
SHARED, OWN = "shared", "own"
TOKENIZERS = (SHARED, OWN)
SEEDS = {SHARED: (1, 2, 3), OWN: (1,)}
STEPS = {SHARED: Run.steps, OWN: 900}

# What every row takes over from the release's settings for unseen furnaces.
TERMS = {f.name: f.default for f in dataclasses.fields(Transfer)}
# From pixels a row is trained as the unimodal network is, whose tokenizers the others share.
FROM_PIXELS = {"train_frames": True} | {k: getattr(configs.UnimodalTransfer(), k) for k in ("windows", "frames", "learning_rate")}


@dataclasses.dataclass(frozen=True)
class Summed(configs.Unimodal):
    """The sum of the senses' own logits on the terms of all others; on shared tokenizers its blocks alone are trained."""

    name: str = "summed"
    steps: int = Run.steps
    train_frames: bool = False
    early: int = Run.early


ROWS = {kind().name: kind for kind in (
    configs.QFormer, configs.AlignGlobal, configs.AlignLocal, configs.MLF, configs.MLFLabel, configs.MLFData, configs.CLMLF,
    configs.OneLLM, Summed, configs.FmFormer, configs.ProductEqual)}
SUMMED = Summed.name

# Two rows that nothing is trained for: the unimodal network that the shared tokenizers are of, and the rule.
UNIMODAL, RULE = "senses", "rule"
UNTRAINED = {UNIMODAL: ("9t", "the same of the network that the tokenizers are of"), RULE: ("9", "CV of 120 s, best level")}


def config_of(row, tokenizers, seed, steps=None):
    """The settings of a row's run; steps: in place of STEPS."""
    config = dataclasses.replace(ROWS[row](seed=seed), steps=steps or STEPS[tokenizers], **TERMS)
    return dataclasses.replace(config, **FROM_PIXELS) if tokenizers == OWN else config


def head_of(row):
    """A row's number and title."""
    return UNTRAINED[row] if row in UNTRAINED else (ROWS[row]().row, ROWS[row]().title)


@dataclasses.dataclass(frozen=True)
class Job:
    """One row on one fold with one kind of tokenizers and one seed."""

    fold: str
    tokenizers: str
    row: str
    seed: int

    @property
    def name(self):
        return f"{self.fold}-{self.tokenizers}-{self.row}-{self.seed}"


def jobs(fold, tokenizers=TOKENIZERS, rows=None, seeds=SEEDS):
    """All jobs of a fold: what needs no training, then each row's first seed with either tokenizers, then the further seeds."""
    rows = list(rows or [*UNTRAINED, *ROWS])
    if SHARED in tokenizers:
        yield from (Job(fold, SHARED, row, 1) for row in rows if row in UNTRAINED)
    trained = [row for row in rows if row in ROWS]
    for turn in range(max(len(seeds[kind]) for kind in tokenizers)):
        for kind in (k for k in tokenizers if turn < len(seeds[k])):
            yield from (Job(fold, kind, row, seeds[kind][turn]) for row in trained)


CPU_HOURS = 12  # for all of it

# What the estimate is made of, measured on two busy cores of an EPYC.
MILLISECONDS = {"qformer": 363, "align-global": 91, "align-local": 91, "mlf": 114, "mlf-label": 114, "mlf-data": 114, "clmlf": 114,
                "onellm": 426, "summed": 73, "fmformer": 261, "product-equal": 104}  # CPU time of a step of 64 windows of tokens
PIXELS = 267  # more for a step of 48 windows from pixels, which otherwise takes three quarters of the above
SCORING = 400  # steps that take as long as scoring
STARTING, ENCODING = 0.7, 5.0  # CPU-minutes of tracing a network, and of encoding what scores and chooses
TOKENIZING = 60.0  # CPU-minutes of a fold's unimodal network and the tokens of its training batches


def minutes(job, steps=None):
    """CPU-minutes that a job is expected to take; steps: in place of STEPS."""
    if job.row == RULE:
        return STARTING
    if job.row == UNIMODAL:
        return STARTING + ENCODING
    step, steps = MILLISECONDS[job.row], steps or STEPS[job.tokenizers]
    scoring = STARTING + SCORING * step / 60e3
    if job.tokenizers == SHARED:
        return steps * step / 60e3 + scoring
    return steps * (PIXELS + 0.75 * step) / 60e3 + scoring + ENCODING


def expected_hours():
    """CPU-hours that all of the comparison is expected to take."""
    return sum(TOKENIZING + sum(map(minutes, jobs(fold))) for fold in FOLDS) / 60
