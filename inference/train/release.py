"""Command that runs export/release.py."""

import sys

from .commands.run import run
from .export.release import main

if __name__ == "__main__":
    sys.exit(run(main))
