"""Command: comparison/page.py has the words."""

import sys

from .comparison.page import main

if __name__ == "__main__":
    sys.exit(main())
