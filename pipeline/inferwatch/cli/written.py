"""Times and spans as tables have them."""

from inferwatch.config import units
from inferwatch.notify.stamps import stamp


def moment(time_ms: int | None) -> str:
    """UTC, to the minute; "" for None."""
    return "" if time_ms is None else stamp(time_ms)


def utc(time_ms: int | None, *, seconds: bool = False) -> str:
    """The same, and says that it is UTC."""
    return "" if time_ms is None else f"{stamp(time_ms, seconds=seconds)} UTC"


def span(span_ms: int | None) -> str:
    """As monitor files write it, to the hour from 60 hours on, to the minute from an hour on; ""
    for None.
    """
    if span_ms is None:
        return ""
    unit_ms = next((unit for unit in (3_600_000, 60_000, 1_000) if abs(span_ms) >= 60 * unit), 1)
    rounded_ms = round(span_ms / unit_ms) * unit_ms
    return ("-" if rounded_ms < 0 else "") + (units.written(abs(rounded_ms)) or "0s")


def rate(per_week: float | None) -> str:
    """Two digits, and zeros behind them; "" where there was no time."""
    return "" if per_week is None else f"{float(f'{per_week:.2g}'):,.12g}"
