"""Command that runs comparison/welds.py."""

import sys

from .comparison.welds import main

if __name__ == "__main__":
    sys.exit(main())
