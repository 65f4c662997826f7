"""Command that runs comparison/transfer.py."""

import sys

from .comparison.transfer import main

if __name__ == "__main__":
    sys.exit(main())
