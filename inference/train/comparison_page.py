"""Command that runs comparison/report.py."""

import sys

from .comparison.report import main

if __name__ == "__main__":
    sys.exit(main())
