"""Durations, sizes and amounts as people write them: `1h30m`, `250ms`, `64MiB`, `5%`, `5pp`."""

import math
import re
from typing import Literal

import msgspec

_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SIZE = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1_000, "MB": 1_000_000}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_AMOUNT = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(%|pp|ms|s|m|h)?")
DURATION_MAX_MS = 10 * 366 * 86_400_000
SIZE_MAX_BYTES = 1 << 40
DURATION_FIX = "write a duration such as 30s, 5m, 1h30m or 14d"
SIZE_FIX = "write a size such as 512KiB or 64MiB"
AMOUNT_FIX = "write a number, 5%, 5pp or a duration such as 250ms or 3d"


class Amount(msgspec.Struct, frozen=True):
    """A number with the unit it was written in: plain, "%" (value a share), "pp", or "ms"."""

    value: float
    unit: Literal["", "%", "pp", "ms"]


def duration_ms(text: str) -> int | None:
    """Milliseconds of `1h30m`; None where it is no duration."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    whole = sum(float(number) * _DURATION_MS[unit] for number, unit in parts)
    return round(whole) if math.isfinite(whole) else None


def written(span_ms: int) -> str:
    """A positive duration as `duration_ms` reads it: `1h30m`."""
    words, rest = "", span_ms
    for unit, size_ms in sorted(_DURATION_MS.items(), key=lambda one: -one[1]):
        count, rest = divmod(rest, size_ms)
        words += f"{count}{unit}" if count else ""
    return words


def size_bytes(text: str) -> int | None:
    """Bytes of `64MiB`; None where it is no size."""
    found = re.fullmatch(r"([0-9]{1,18})\s*([A-Za-z]+)", text)
    if found is None or found[2] not in _SIZE:
        return None
    return int(found[1]) * _SIZE[found[2]]


def amount(text: str) -> Amount | None:
    """A finite number, share, points or duration; None where it is none of them."""
    found = _AMOUNT.fullmatch(text.strip())
    whole_ms = duration_ms(text.strip()) if found is None else None
    if whole_ms is not None:  # 3d, 1h30m
        return Amount(float(whole_ms), "ms")
    if found is None or not math.isfinite(float(found[1])):
        return None
    value, unit = float(found[1]), found[2] or ""
    if unit in ("%", "pp"):
        return Amount(value / 100, "%" if unit == "%" else "pp")
    if unit:
        return Amount(value * _DURATION_MS[unit], "ms")
    return Amount(value, "")
