"""Command that runs data/check_data.py."""

import sys

from .commands.run import run
from .data.check_data import main

if __name__ == "__main__":
    sys.exit(run(main))
