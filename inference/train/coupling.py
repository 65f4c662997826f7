"""Command: comparison/coupling.py has the words."""

import sys

from .comparison.coupling import main

if __name__ == "__main__":
    sys.exit(main())
