"""Command: training/encode.py has the words."""

import sys

from .training.encode import main

if __name__ == "__main__":
    sys.exit(main())
