"""Command that runs export/parity.py."""

import sys

from .commands.run import run
from .export.parity import main

if __name__ == "__main__":
    sys.exit(run(main))
