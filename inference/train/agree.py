"""Command: export/agree.py has the words."""

import sys

from .export.agree import main

if __name__ == "__main__":
    sys.exit(main())
