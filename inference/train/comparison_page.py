"""Command: comparison/report.py has the words."""

import sys

from .comparison.report import main

if __name__ == "__main__":
    sys.exit(main())
