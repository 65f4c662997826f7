"""Command that runs export/recover.py."""

import sys

from .commands.run import run
from .export.recover import main

if __name__ == "__main__":
    sys.exit(run(main))
