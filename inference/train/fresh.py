"""Command: export/fresh.py has the words."""

import sys

from .export.fresh import main

if __name__ == "__main__":
    sys.exit(main())
