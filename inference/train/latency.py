"""Command that runs comparison/latency.py."""

import sys

from .commands.run import run
from .comparison.latency import main

if __name__ == "__main__":
    sys.exit(run(main))
