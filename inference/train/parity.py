"""Command that runs export/parity.py."""

import sys

from .export.parity import main

if __name__ == "__main__":
    sys.exit(main())
