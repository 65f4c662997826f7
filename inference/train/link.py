"""Command: comparison/link.py has the words."""

import sys

from .comparison.link import main

if __name__ == "__main__":
    sys.exit(main())
