"""Command that runs comparison/transfer.py."""

import sys

from .commands.run import run
from .comparison.transfer import main

if __name__ == "__main__":
    sys.exit(run(main))
