"""The settings of every run, one dataclass each: network, losses and training.

The comparison writes their scores to docs/comparison.md. Every run but Unimodal reads the
tokens of Unimodal's frozen tokenizers, so a run of 51,000 windows takes one to four minutes
on two cores. Runs and results are stored under these names and fields.
"""

from dataclasses import dataclass

from .run import Longer, Run, Transfer


@dataclass(frozen=True)
class Unimodal(Run):
    """Video alone, current alone and the sum of their logits; its tokenizers serve all other runs.

        python -m inference.train.train --config senses --data data/train --run runs/senses
    """

    name: str = "senses"
    row: str = "9"
    title: str = "sum of the senses' own logits"
    system: str = "SensesApart"
    steps: int = 2500  # all other runs depend on these tokens
    train_frames: bool = True
    stir_weight: float = 0.15
    early: int = 1


@dataclass(frozen=True)
class UnimodalTransfer(Transfer, Unimodal):
    """The senses for other makers' furnaces."""

    name: str = "senses-transfer"
    row: str = ""
    title: str = "the senses, for other makers' furnaces"
    version: str = "0.4.0"
    steps: int = 5000  # of four families; 900 steps of three reached 0.82 to 0.83 on the fourth
    learning_rate: float = 2e-3
    windows: int = 48
    frames: int = 4


@dataclass(frozen=True)
class QFormer(Run):
    """BLIP-2's Q-Former: 8 queries, ITC, ITM and generation under three masks."""

    name: str = "qformer"
    row: str = "1"
    title: str = "Q-Former (BLIP-2)"
    system: str = "QFormer"
    itc_weight: float = 1.0
    itm_weight: float = 1.0


@dataclass(frozen=True)
class AlignGlobal(Run):
    """AlignVSR without its local loss: frames attend to the frozen codebook of the current."""

    name: str = "align-global"
    row: str = "2"
    title: str = "AlignVSR, global only"
    version: str = "0.3.0"
    system: str = "AlignVSR"


@dataclass(frozen=True)
class AlignLocal(AlignGlobal):
    """AlignVSR: the attention must match the codes of the frame's own seconds."""

    name: str = "align-local"
    row: str = "3"
    title: str = "AlignVSR, global + local"
    local_weight: float = 4.0


@dataclass(frozen=True)
class AlignLocalLong(Longer, AlignLocal):
    """AlignLocal trained as long as the product; the alignment in time converges slowly."""

    name: str = "align-local-long"
    row: str = "3t"
    title: str = "AlignVSR, global + local, 1,500 steps at twice the rate"


@dataclass(frozen=True)
class MLF(Run):
    """Multi-layer fusion alone: two blocks over both senses' tokens, attention pooling."""

    name: str = "mlf"
    row: str = "4"
    title: str = "MLF only"
    system: str = "MLF"
    fusion_blocks: int = 2


@dataclass(frozen=True)
class MLFMean(MLF):
    """MLF read by the mean of its tokens: measures the worth of attention pooling."""

    name: str = "mlf-mean"
    row: str = "4b"
    title: str = "MLF, mean pooling"
    variant: bool = True
    pooling: str = "mean"


@dataclass(frozen=True)
class MLFLabel(MLF):
    """MLF with label-based contrast.

    At a temperature of 0.1 the loss saturates when the cosines of the labels differ by 0.4,
    whatever its weight; at 0.5 it separates them by 1.6.
    """

    name: str = "mlf-label"
    row: str = "5"
    title: str = "MLF + LBCL"
    label_weight: float = 0.5
    label_temperature: float = 0.5


@dataclass(frozen=True)
class MLFData(MLF):
    """MLF with data-based contrast between two views of each window."""

    name: str = "mlf-data"
    row: str = "6"
    title: str = "MLF + DBCL"
    data_weight: float = 0.25
    views: bool = True


@dataclass(frozen=True)
class CLMLF(MLFData):
    """Complete CLMLF: both contrasts."""

    name: str = "clmlf"
    row: str = "7"
    title: str = "CLMLF (LBCL + DBCL)"
    label_weight: float = 0.5
    label_temperature: float = 0.5


@dataclass(frozen=True)
class OneLLM(Run):
    """OneLLM-style: universal encoder, then UPM with the encoder frozen in the last phase."""

    name: str = "onellm"
    row: str = "8"
    title: str = "OneLLM-style, 3 experts, soft router, frames concatenated"
    system: str = "OneLLM"
    phases: tuple = (0.6, 0.4)


@dataclass(frozen=True)
class OneLLMOneExpert(OneLLM):
    """One expert in the UPM."""

    name: str = "onellm-1-expert"
    row: str = "8a"
    title: str = "… 1 expert"
    variant: bool = True
    experts: int = 1


@dataclass(frozen=True)
class OneLLMFiveExperts(OneLLM):
    """Five experts in the UPM."""

    name: str = "onellm-5-experts"
    row: str = "8b"
    title: str = "… 5 experts"
    variant: bool = True
    experts: int = 5


@dataclass(frozen=True)
class OneLLMConstant(OneLLM):
    """All experts have the same weight."""

    name: str = "onellm-constant"
    row: str = "8c"
    title: str = "… constant router"
    variant: bool = True
    router: str = "constant"


@dataclass(frozen=True)
class OneLLMSparse(OneLLM):
    """Only the best expert of the router."""

    name: str = "onellm-sparse"
    row: str = "8d"
    title: str = "… sparse router"
    variant: bool = True
    router: str = "sparse"


@dataclass(frozen=True)
class OneLLMMean(OneLLM):
    """The video as the mean of its frames' tokens."""

    name: str = "onellm-mean"
    row: str = "8e"
    title: str = "… mean of the frames"
    variant: bool = True
    frame_tokens: str = "mean"


@dataclass(frozen=True)
class FmFormer(Run):
    """A small FmFormer: two streams that attend to each other in every layer."""

    name: str = "fmformer"
    row: str = "9f"
    title: str = "FmFormer-style, small"
    system: str = "FmFormerRow"


@dataclass(frozen=True)
class Product(Longer, Run):
    """The product: global and local alignment, attention pooling, LBCL, forecast, sum of logits.

    The smallest of three sizes, because the larger two gain less than 0.3 points.
    ProductEqual is trained like the other rows.
    """

    name: str = "product"
    row: str = "10"
    title: str = "the product, 1,500 steps at twice the rate"
    version: str = "0.3.1"
    system: str = "Product"
    hidden: int = 64
    fusion_blocks: int = 0
    local_weight: float = 2.0
    label_weight: float = 0.1


@dataclass(frozen=True)
class ProductLone(Product):
    """The product whose lone witness is not outvoted, on the same weights (export/recover.py); see docs/transfer-earlier.md."""

    name: str = "product-lone"
    row: str = ""
    title: str = "the product, a lone witness not outvoted"
    version: str = "0.4.0"
    lone_witness: bool = True
    offset: float = 2.0
    offset_alone: float = 1.1
    freeze_alone: float = 0.27
    freeze_alone_seconds: int = 300


@dataclass(frozen=True)
class ProductTransfer(Transfer, Product):
    """The product for other makers' furnaces."""

    name: str = "product-transfer"
    row: str = ""
    title: str = "the product, for other makers' furnaces"
    version: str = "0.4.2"
    steps: int = 3000


@dataclass(frozen=True)
class ProductFinetune(ProductTransfer):
    """A trained ProductTransfer, fine-tuned together with its tokenizers, from pixels.

    The tokenizers of the senses alone never learn what the body misses. A running mean of the
    weights (Izmailov et al. 2018) takes the place of the last ones.
    """

    name: str = "product-finetune"
    title: str = "the product, for other makers' furnaces, fine-tuned with its tokenizers"
    version: str = "0.4.3"
    seed: int = 5
    steps: int = 1800
    learning_rate: float = 6e-4
    windows: int = 48
    frames: int = 6
    train_frames: bool = True
    average: float = 0.995


@dataclass(frozen=True)
class ProductFinetuneAgain(ProductFinetune):
    """A trained ProductFinetune, fine-tuned once more on more families, with fixed look-alikes."""

    name: str = "product-finetune-again"
    title: str = "the product, for other makers' furnaces, fine-tuned twice"
    version: str = "0.4.4"
    seed: int = 6
    steps: int = 3000
    lookalike: float = 0.2


@dataclass(frozen=True)
class ProductBaseline(ProductFinetuneAgain):
    """A trained ProductFinetuneAgain, fine-tuned with a baseline of the current."""

    name: str = "product-baseline"
    title: str = "the product, for other makers' furnaces, with a baseline of the current"
    version: str = "0.5.0"
    seed: int = 7
    steps: int = 4000
    current_baseline: bool = True
    spans_steps: int = 2000
    start_share: float = 0.5


@dataclass(frozen=True)
class ProductEqual(Product):
    """The product with the steps and the rate of the other rows."""

    name: str = "product-equal"
    row: str = "10e"
    title: str = "the product, on the terms of all others"
    steps: int = Run.steps
    learning_rate: float = Run.learning_rate


@dataclass(frozen=True)
class ProductFusion(ProductEqual):
    """The product with a fusion block, its feed-forward parts twice as wide."""

    name: str = "product-fusion"
    row: str = "10m"
    title: str = "… with a fusion block"
    variant: bool = True
    hidden: int = 128
    fusion_blocks: int = 1


@dataclass(frozen=True)
class ProductLarge(ProductEqual):
    """The product with three wide fusion blocks."""

    name: str = "product-large"
    row: str = "10l"
    title: str = "… with three wide fusion blocks"
    variant: bool = True
    hidden: int = 256
    fusion_blocks: int = 3


@dataclass(frozen=True)
class Toy(Product):
    """A few steps of a narrow network, for tests; takes seconds."""

    name: str = "toy"
    dim: int = 16
    hidden: int = 16
    steps: int = 3
    windows: int = 8
    frames: int = 4


ROWS = (QFormer, AlignGlobal, AlignLocal, AlignLocalLong, MLF, MLFMean, MLFLabel, MLFData, CLMLF, OneLLM,
        OneLLMOneExpert, OneLLMFiveExperts, OneLLMConstant, OneLLMSparse, OneLLMMean, FmFormer, Product, ProductEqual,
        ProductFusion, ProductLarge)
ALL = {run.name: run for run in (Unimodal, *ROWS, UnimodalTransfer, ProductLone, ProductTransfer, ProductFinetune, ProductFinetuneAgain,
                             ProductBaseline, Toy)}
