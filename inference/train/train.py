"""Command: training/train.py has the words."""

import sys

from .training.train import main

if __name__ == "__main__":
    sys.exit(main())
