"""Command: export/parity.py has the words."""

import sys

from .export.parity import main

if __name__ == "__main__":
    sys.exit(main())
