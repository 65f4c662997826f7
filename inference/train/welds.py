"""Command that runs comparison/welds.py."""

import sys

from .commands.run import run
from .comparison.welds import main

if __name__ == "__main__":
    sys.exit(run(main))
