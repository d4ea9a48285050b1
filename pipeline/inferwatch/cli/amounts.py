"""Numbers and times on a command line: what would do harm is refused where it is written."""

import argparse
import math
from datetime import UTC, datetime

from inferwatch.config import units


def count(text: str) -> int:
    """A whole number from 1 on."""
    found = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number above 0")
    return found


def whole(text: str) -> int:
    """A whole number from 0 on, of what there may be none."""
    return 0 if text == "0" else count(text)


def offset(text: str) -> int:
    """A place in a partition: a whole number from 0 on."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"'{text}' is no offset; write a whole number from 0 on")
    return int(text)


def time_ms(text: str) -> int:
    """An ISO 8601 time, UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write 2026-01-31T12:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def duration_ms(text: str) -> int:
    """A positive duration as monitor files have it, in milliseconds."""
    found = units.duration_ms(text)
    if not found or found > units.DURATION_MAX_MS:
        raise argparse.ArgumentTypeError(f"'{text}' is no duration; {units.DURATION_FIX}")
    return found


def positive(text: str, of: str = "") -> float:
    """A number above 0, and no infinite one; `of` what in the message."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no positive number{of}")
    return found


def seconds(text: str) -> float:
    """A positive number of seconds: a timer of none would never rest."""
    return positive(text, " of seconds")
