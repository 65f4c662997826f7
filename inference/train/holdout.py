"""Command that runs export/holdout.py."""

import sys

from .export.holdout import main

if __name__ == "__main__":
    sys.exit(main())
