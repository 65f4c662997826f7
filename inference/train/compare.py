"""Command that runs comparison/compare.py."""

import sys

from .commands.run import run
from .comparison.compare import main

if __name__ == "__main__":
    sys.exit(run(main))
