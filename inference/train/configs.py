"""One dataclass a run: what it trains, how long that takes, what it scores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """The product.

    A block of each sense alone, a fusion block over both, cross-entropy with a verdict of each
    sense beside it, attention taught by the spot's mask, weak contrast between
    the senses.

        python -m inference.train.train --data data --out inference/models/product
    """

    name: str = "product"
    version: str = "0.1.0"
    seed: int = 1
    # Network.
    dim: int = 64
    heads: int = 4
    hidden: int = 128
    fusion_blocks: int = 1
    dropout: float = 0.1
    head_dropout: float = 0.3
    # Losses.
    label_smoothing: float = 0.02
    own_weight: float = 0.3  # of each sense's own verdict
    spot_weight: float = 0.1
    align_weight: float = 0.05
    # Training.
    steps: int = 2400
    windows: int = 64  # a batch
    frames: int = 5  # of the 16, given in training
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    drop_sense: float = 0.2
    # Decision.
    freeze_background: float = 0.5


@dataclass(frozen=True)
class Toy(Run):
    """A few steps of a narrow network, for tests: seconds, scores nothing."""

    name: str = "toy"
    dim: int = 16
    hidden: int = 16
    fusion_blocks: int = 1
    steps: int = 3
    windows: int = 8
    frames: int = 4
