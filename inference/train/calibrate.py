"""Command that runs commands/calibrate.py."""

import sys

from .commands.calibrate import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
