"""Command that runs commands/release.py."""

import sys

from .commands.release import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
