"""Networks: a file each, what they share (system.py, tokenizers.py, fusion.py), their losses, and the loop that runs one.

build() makes the network that a config names.
"""

from .alignvsr import AlignVSR
from .fmformer import FmFormerRow
from .mlf import MLF
from .onellm import OneLLM
from .product import Product
from .qformer import QFormer
from .unimodal import Unimodal

# By the names that configs and the config.json of trained runs hold.
SYSTEMS = {"AlignVSR": AlignVSR, "FmFormerRow": FmFormerRow, "MLF": MLF, "OneLLM": OneLLM, "Product": Product, "QFormer": QFormer,
           "SensesApart": Unimodal}


def build(config):
    """The network of a run, with initial weights."""
    try:
        kind = SYSTEMS[config.system]
    except KeyError:
        raise ValueError(f"unknown system {config.system!r}; name one of {', '.join(SYSTEMS)}") from None
    return kind(config)
