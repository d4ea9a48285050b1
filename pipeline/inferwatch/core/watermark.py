"""Event time of one model: how far its rows have come, and how time passes when they stop.

The watermark is the largest event time of the model's inference rows, clamped to the time of their
own record so that no fast clock can drag it, plus the record time that ticks have seen pass since.
A backfill of 2018 and live traffic obey the same rule, and downtime needs no special case.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import watermark as kernel

AHEAD_MAX_MS = 600_000
UNSET = -(1 << 62)
NEVER = 1 << 62


class Watermark(msgspec.Struct):
    """`event_ms` was set by the record of time `moved_at_ms`; `ticked_ms` is the newest tick's
    time.
    """

    event_ms: int = UNSET
    moved_at_ms: int = UNSET
    ticked_ms: int = UNSET
    ahead: int = 0

    def now_ms(self) -> int:
        """The watermark, or UNSET before the first row."""
        if self.event_ms == UNSET:
            return UNSET
        return self.event_ms + max(0, self.ticked_ms - self.moved_at_ms)

    def behind_ms(self) -> int:
        """How old the newest event is by the log's own time; 0 before the first row."""
        if self.event_ms == UNSET:
            return 0
        return max(self.moved_at_ms, self.ticked_ms) - self.event_ms

    def record_time_at(self, event_ms: int) -> int:
        """The tick time at which the watermark will reach `event_ms` if no row comes."""
        return self.moved_at_ms + max(0, event_ms - self.event_ms)


class Advance(msgspec.Struct, frozen=True):
    """Rows: clamped event times, and the rows' watermark before and after each row, int64[n].

    `now_ms` int64[n+1] is the watermark with the time that ticks have seen pass: before the batch
    and after each row.
    """

    time_ms: NDArray[np.int64]
    before_ms: NDArray[np.int64]
    after_ms: NDArray[np.int64]
    now_ms: NDArray[np.int64]


def advance(state: Watermark, time_ms: NDArray[np.int64], record_ms: NDArray[np.int64]) -> Advance:
    """How rows move the watermark, one by one; `reach` then moves it.

    `record_ms` int64[n] is the time of each row's record. A row more than ten minutes ahead of it
    is counted in `ahead` and moves nothing once the watermark is set.
    """
    clamped, before, after, now, ahead = kernel.advance(
        time_ms, record_ms, AHEAD_MAX_MS, state.event_ms, UNSET, state.moved_at_ms, state.ticked_ms
    )
    state.ahead += int(ahead)
    return Advance(clamped, before, after, now)


def reach(
    state: Watermark, after_ms: NDArray[np.int64], record_ms: NDArray[np.int64], end: int
) -> None:
    """Move to where the rows before number `end` have come: `after_ms` and `record_ms` are, of each
    row, the watermark after it and the time of its record.
    """
    event_ms = int(after_ms[end - 1])
    if event_ms > state.event_ms:
        mover = int(np.searchsorted(after_ms, event_ms))
        state.event_ms, state.moved_at_ms = event_ms, int(record_ms[mover])


def tick(state: Watermark, tick_ms: int) -> None:
    """Time passed: only a newer tick counts, so two tickers do no harm."""
    state.ticked_ms = max(state.ticked_ms, tick_ms)
