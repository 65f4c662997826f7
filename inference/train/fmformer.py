"""Command that runs export/fmformer.py."""

import sys

from .commands.run import run
from .export.fmformer import main

if __name__ == "__main__":
    sys.exit(run(main))
