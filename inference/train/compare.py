"""Command: comparison/compare.py has the words."""

import sys

from .comparison.compare import main

if __name__ == "__main__":
    sys.exit(main())
