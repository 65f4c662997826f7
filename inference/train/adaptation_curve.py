"""Command that runs commands/adaptation_curve.py."""

import sys

from .commands.adaptation_curve import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
