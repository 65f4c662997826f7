"""Command that runs data/join.py."""

import sys

from .commands.run import run
from .data.join import main

if __name__ == "__main__":
    sys.exit(run(main))
