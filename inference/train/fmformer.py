"""Command that runs export/fmformer.py."""

import sys

from .export.fmformer import main

if __name__ == "__main__":
    sys.exit(main())
