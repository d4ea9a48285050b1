"""Moments as messages write them: UTC, to the minute or second."""

from datetime import UTC, datetime

DAY_MS = 86_400_000
YEAR_10000_MS = 253_402_300_800_000


def stamp(time_ms: int, day_of_ms: int | None = None, *, seconds: bool = False) -> str:
    """ "14:07", with the date where it is not the day of `day_of_ms`."""
    if not 0 <= time_ms < YEAR_10000_MS:
        return f"{time_ms} ms"  # a damaged record; the calendar has no such day
    time = datetime.fromtimestamp(time_ms / 1000, UTC)
    same_day = day_of_ms is not None and time_ms // DAY_MS == day_of_ms // DAY_MS
    return time.strftime(("" if same_day else "%Y-%m-%d ") + ("%H:%M:%S" if seconds else "%H:%M"))
