"""Command that runs comparison/left_out.py."""

import sys

from .commands.run import run
from .comparison.left_out import main

if __name__ == "__main__":
    sys.exit(run(main))
