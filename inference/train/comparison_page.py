"""Command that runs comparison/report.py."""

import sys

from .commands.run import run
from .comparison.report import main

if __name__ == "__main__":
    sys.exit(run(main))
