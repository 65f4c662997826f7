"""Command that runs comparison/coupling.py."""

import sys

from .comparison.coupling import main

if __name__ == "__main__":
    sys.exit(main())
