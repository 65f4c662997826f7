"""Command that runs export/release.py."""

import sys

from .export.release import main

if __name__ == "__main__":
    sys.exit(main())
