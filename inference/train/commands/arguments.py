"""Types of command line arguments that several commands take."""

import argparse


def whole(text):
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"is {value}; give 1 or more")
    return value
