"""Command that runs export/recover.py."""

import sys

from .export.recover import main

if __name__ == "__main__":
    sys.exit(main())
