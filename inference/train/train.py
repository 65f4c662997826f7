"""Command that runs commands/train.py."""

import sys

from .commands.train import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
