"""What a time zone's clock shows, as a list that travels with a definition.

Rules of time zones change several times a year, and another machine may have other ones. So they
are read once, with the monitor file, and a replay finds those that ruled then in the log.
"""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from inferwatch.config.document import Node, meant
from inferwatch.records.definition import Clock

FIRST_MS = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1_000)
LAST_MS = int(datetime(2050, 1, 1, tzinfo=UTC).timestamp() * 1_000)
DAY_MS, MINUTE_MS = 86_400_000, 60_000


def read(node: Node) -> Clock | msgspec.UnsetType:
    """The clock of a zone; that of UTC needs no words.

    :raises ConfigError: the machine's rules know no such zone.
    """
    name = node.text()
    try:
        found = list(utc_offsets(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = meant(name, sorted(available_timezones()))
        raise node.error(
            f"'{name[:80]}' is no time zone", f"{near}an IANA name such as Europe/Berlin"
        ) from None
    return Clock(timezone=name, utc_offsets=found) if found else msgspec.UNSET


@cache
def utc_offsets(name: str) -> tuple[tuple[int, int], ...]:
    """From which time on the clock is ahead of UTC by how much, both in ms; 2000 to 2049.

    Before and after, the first and the last rule. Nothing for UTC. Cost: 70 ms a zone.
    """
    zone = ZoneInfo(name)
    found = [(FIRST_MS, _ahead_ms(FIRST_MS, zone))]
    for start in range(FIRST_MS, LAST_MS, DAY_MS):
        ahead_ms = _ahead_ms(start + DAY_MS, zone)
        if ahead_ms != found[-1][1]:
            found.append((_change(start, found[-1][1], zone), ahead_ms))
    return () if found == [(FIRST_MS, 0)] else tuple(found)


def _ahead_ms(time_ms: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time_ms / 1_000, zone).utcoffset()
    assert offset is not None  # a zone knows its offset at any time
    return round(offset.total_seconds() * 1_000)


def _change(start: int, before_ms: int, zone: ZoneInfo) -> int:
    """The minute of the day after `start` at which the clock leaves `before_ms`."""
    low, high = start, start + DAY_MS
    while high - low > MINUTE_MS:
        middle = (low + high) // 2 // MINUTE_MS * MINUTE_MS
        low, high = (middle, high) if _ahead_ms(middle, zone) == before_ms else (low, middle)
    return high
