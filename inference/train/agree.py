"""Command that runs export/agree.py."""

import sys

from .commands.run import run
from .export.agree import main

if __name__ == "__main__":
    sys.exit(run(main))
