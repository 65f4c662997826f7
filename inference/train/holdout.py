"""Command: export/holdout.py has the words."""

import sys

from .export.holdout import main

if __name__ == "__main__":
    sys.exit(main())
