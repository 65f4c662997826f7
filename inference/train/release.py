"""Command: export/release.py has the words."""

import sys

from .export.release import main

if __name__ == "__main__":
    sys.exit(main())
