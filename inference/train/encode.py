"""Command that runs commands/encode.py."""

import sys

from .commands.encode import main
from .commands.run import run

if __name__ == "__main__":
    sys.exit(run(main))
