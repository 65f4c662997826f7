"""Command that runs comparison/coupling.py."""

import sys

from .commands.run import run
from .comparison.coupling import main

if __name__ == "__main__":
    sys.exit(run(main))
