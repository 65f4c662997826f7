"""Runs a command, so that invalid input and Ctrl-C end it in one line."""

import pathlib
import sys
import traceback

OURS = str(pathlib.Path(__file__).parents[1])


def run(main):
    """The exit status of main(): 130 after Ctrl-C, 2 after invalid input.

    Input is invalid where a line of ours raises a ValueError, or a file cannot be used. A
    ValueError out of a library is a fault of ours and keeps its traceback.
    """
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as fault:
        named = f"{fault.filename}: {fault.strerror}" if fault.filename else fault
        print(f"error: {named}", file=sys.stderr)
        return 2
    except ValueError as fault:
        last = traceback.extract_tb(fault.__traceback__)[-1]
        # A library in C leaves no frame of its own, so the line counts too.
        if not (last.filename.startswith(OURS) and last.line.startswith("raise")):
            raise
        print(f"error: {fault}", file=sys.stderr)
        return 2
