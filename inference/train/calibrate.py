"""Command that runs evaluation/calibrate.py."""

import sys

from .evaluation.calibrate import main

if __name__ == "__main__":
    sys.exit(main())
