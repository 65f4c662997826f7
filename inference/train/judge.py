"""Command: another name of calibrate, which it had before."""

import sys

from .evaluation.calibrate import main

if __name__ == "__main__":
    sys.exit(main())
