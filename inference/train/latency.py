"""Command: comparison/latency.py has the words."""

import sys

from .comparison.latency import main

if __name__ == "__main__":
    sys.exit(main())
