"""Numbers on a command line: those that would do harm are refused where they are written."""

import argparse
import math


def count(text: str) -> int:
    """A whole number from 1 on."""
    found = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return found


def seconds(text: str) -> float:
    """A positive number of seconds: a timer of none would never rest."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no positive number of seconds")
    return found
