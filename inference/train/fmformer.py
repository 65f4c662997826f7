"""Command: export/fmformer.py has the words."""

import sys

from .export.fmformer import main

if __name__ == "__main__":
    sys.exit(main())
