"""Command that runs commands/compare_folds.py."""

import sys

from .commands.compare_folds import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
