"""Command that runs export/holdout.py."""

import sys

from .commands.run import run
from .export.holdout import main

if __name__ == "__main__":
    sys.exit(run(main))
