"""Networks: a file each, what they share (system.py, tokenizers.py, fusion.py), their losses, and the loop that runs one.

build() makes the network that a config names.
"""

from .alignvsr import AlignVSR
from .fmformer import FmFormerRow
from .mlf import MLF
from .onellm import OneLLM
from .product import Product
from .qformer import QFormer
from .senses import SensesApart

SYSTEMS = {kind.__name__: kind for kind in (AlignVSR, FmFormerRow, MLF, OneLLM, Product, QFormer, SensesApart)}


def build(config):
    """The network of a run, with fresh weights."""
    try:
        kind = SYSTEMS[config.system]
    except KeyError:
        raise ValueError(f"system {config.system!r} is none of {', '.join(SYSTEMS)}") from None
    return kind(config)
