"""Command: evaluation/calibrate.py has the words."""

import sys

from .evaluation.calibrate import main

if __name__ == "__main__":
    sys.exit(main())
