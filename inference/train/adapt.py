"""Command that runs commands/adapt.py."""

import sys

from .commands.adapt import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
