"""Values as callers have them, made plain: float, int, str, bool or None.

numpy, pandas and torch scalars are known by what they can do, so none of these is imported.
"""

import math
import time
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Any

from inferwatch.records.raw import EARLIEST_MS, LATEST_MS, TEXT_MAX_BYTES

Plain = float | int | str | bool | None

PLAIN_TYPES = frozenset({float, int, str, bool, NoneType})
NUMBER_TYPES = frozenset({float, int})
WORD_TYPES = frozenset({str, bool})
FLOAT32_END = 2.0**128
INTEGER_END = 1 << 64  # beyond it an integer is written as a float
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class UnfitError(ValueError):
    """A value of the caller's that cannot be sent. The text holds no value, so it may be logged."""


def plain(value: Any) -> Plain:
    """The plain value of a scalar; `UnfitError` where there is none."""
    if type(value) in PLAIN_TYPES:
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "item"):
        if getattr(value, "ndim", 0) == 0 and not is_moment(value):
            scalar = value.item()
            if type(scalar) in PLAIN_TYPES:
                return scalar  # type: ignore[no-any-return]
    elif hasattr(type(value), "__float__"):
        return float(value)
    raise UnfitError(f"{type(value).__name__} is no number, text or truth value")


def is_moment(value: Any) -> bool:
    """Whether a numpy scalar or array holds times, whose items are not what they look like."""
    return getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m")


def is_missing(value: Plain) -> bool:
    """None, or NaN."""
    return value is None or value != value


def is_infinite(value: Plain) -> bool:
    """A number that is no figure: answers, scores and latencies are read as at most float32."""
    # for mypy a type that is in a set says nothing about the value
    return type(value) in NUMBER_TYPES and abs(value) >= FLOAT32_END  # type: ignore[arg-type]


def number(value: Plain) -> float:
    """A number as float64; NaN for words and None, ±inf for integers beyond it."""
    if value is None or type(value) in WORD_TYPES:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


def text(value: Plain) -> str | None:
    """A word: `true`, `false`, and 1.0 the same as 1. None where the value is missing."""
    if is_missing(value):
        return None
    if type(value) is str:
        return clean(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float and value.is_integer():
        return str(int(value))
    if type(value) is int and not -INTEGER_END < value < INTEGER_END:
        return str(number(value))
    return str(value)


def clean(word: str) -> str:
    """`word` without lone surrogates, which UTF-8 cannot hold, and cut where it is too long."""
    if word.isascii():
        return word if len(word) <= TEXT_MAX_BYTES else word[:TEXT_MAX_BYTES]
    data = word.encode("utf-8", "replace")
    return data[:TEXT_MAX_BYTES].decode("utf-8", "ignore")


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def time_ms(value: Any) -> int:
    """Milliseconds since 1970 of a datetime (naive is UTC) or of an integer, which has them.

    A float is refused: seconds and milliseconds cannot be told apart.
    """
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        moment = (aware - EPOCH) // MILLISECOND
    elif hasattr(value, "__index__") and not isinstance(value, bool):
        moment = value.__index__()
    else:
        raise UnfitError(f"timestamp is a {type(value).__name__}, not a datetime or integer ms")
    if not EARLIEST_MS <= moment < LATEST_MS:
        raise UnfitError("timestamp is outside the years 1971 to 2968")
    return int(moment)
