"""Command that runs evaluation/calibrate.py."""

import sys

from .commands.run import run
from .evaluation.calibrate import main

if __name__ == "__main__":
    sys.exit(run(main))
