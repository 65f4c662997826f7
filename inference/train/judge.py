"""Command: evaluation/judge.py has the words."""

import sys

from .evaluation.judge import main

if __name__ == "__main__":
    sys.exit(main())
