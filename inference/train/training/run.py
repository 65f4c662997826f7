"""What a run is set by: network, losses and training, and settings that several runs share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """The settings of a run, and their defaults."""

    name: str = ""  # unique
    row: str = ""  # number of its row in the comparison
    title: str = ""
    variant: bool = False  # of another row; run with one seed only
    system: str = ""  # name of the network, see models.SYSTEMS
    senses: str = "senses"  # name of the run whose tokenizers it takes over
    version: str = "0.2.0"  # increased when code changes the result, so that the run is repeated
    seed: int = 1
    # Network.
    dim: int = 64
    heads: int = 4
    hidden: int = 128
    fusion_blocks: int = 1
    dropout: float = 0.1
    head_dropout: float = 0.3
    pooling: str = "attention"  # or mean
    experts: int = 3
    router: str = "soft"  # or sparse, constant
    frame_tokens: str = "concat"  # or mean
    train_current: bool = True  # whether the current's tokenizer is trained further
    train_frames: bool = False  # whether the frames' tokenizer is trained with the network, from pixels
    normalisation: str = "mean"  # of frames: mean, or fitted to the background (models/fitted.py)
    sparse_current: bool = False  # whether the statistics tell how many changes of the current are known
    current_baseline: bool = False  # whether the current's fluctuation is compared with the furnace's usual one (models/current_baseline.py)
    blind_share: float = 0.0  # probability that a sense does not show an episode (System.evidence)
    lone_witness: bool = False  # whether the verdict is the greatest of the fused logit and of each sense's alone
    offset: float = 0.0  # taken off the verdict's logit
    offset_alone: float = 0.0  # the offset while a sense is missing, when there is only one witness
    # Losses.
    own_blind: bool = True  # whether a sense is also taught episodes that it does not show
    own_weight: float = 0.3  # verdict of each sense
    spot_weight: float = 0.1
    glow_weight: float = 1.0  # places of the hot spot, where the tokenizer scores places
    stir_weight: float = 0.5  # recent change of the current, read from a frame
    align_weight: float = 0.1  # contrast between the senses' projections
    local_weight: float = 0.0  # frames to the codes of their own seconds
    label_weight: float = 0.0  # LBCL
    label_temperature: float = 0.1
    data_weight: float = 0.0  # DBCL
    itc_weight: float = 0.5
    itm_weight: float = 0.25
    next_weight: float = 0.1
    balance_weight: float = 0.01
    # Training.
    phases: tuple = (1.0,)  # shares of the steps; a network may freeze parts in later phases
    steps: int = 800
    spans_steps: int = 0  # before these, of the layers that read the current's statistics, by themselves (training/spans.py)
    windows: int = 64  # in a batch
    views: bool = False  # two views of each window in a batch
    frames: int = 5  # of the 16, in PixelWindows
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    average: float = 0.0  # share of the running mean of the weights that a step keeps; the mean is what is saved, 0 for the last weights
    start_share: float = 0.0  # of a fine-tuned network's weights, those it started from; the layers that read the statistics, if it got them, keep theirs (fit.blend)
    drop_sense: float = 0.15
    own_current: float = 0.5  # share of windows with the current recorded with the video
    wide: bool = False  # whether augmentation draws other cameras and halls too
    lookalike: float = 0.0  # share of windows with a fixed look-alike of the hot spot (data/lookalike.py), from pixels
    odd_sampling: float = 0.0  # share of windows from slow or lossy meters
    late: float = 0.3  # share of windows with one sense delayed against the other
    early: int = 3  # factor by which windows soon after a change of the label are drawn more often
    # Decision.
    freeze_background: float = 0.5
    freeze_alone: float = 0.0  # p of one sense alone that freezes it too, 0 for never
    freeze_alone_seconds: int = 0


@dataclass(frozen=True)
class Longer:
    """Nearly twice as many steps as other runs, at twice their rate; a mix-in, before Run among the bases."""

    steps: int = 1500
    learning_rate: float = 2e-3


@dataclass(frozen=True)
class Transfer:
    """What helps on furnaces of other makers; a mix-in, before Run among the bases.

    Trained on data of several families with episodes that one sense alone shows
    (furnace-sim dataset --life hard --picture … --current …).
    """

    senses: str = "senses-transfer"
    normalisation: str = "fitted"
    sparse_current: bool = True
    blind_share: float = 0.25
    own_blind: bool = False
    wide: bool = True
    odd_sampling: float = 0.25
