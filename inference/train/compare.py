"""Command that runs comparison/compare.py."""

import sys

from .comparison.compare import main

if __name__ == "__main__":
    sys.exit(main())
