"""Command that runs training/encode.py."""

import sys

from .training.encode import main

if __name__ == "__main__":
    sys.exit(main())
