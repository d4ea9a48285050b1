"""Rows between the caller and the sender: bounded, in order, every one accounted for.

What is lost, and when: a row that finds the buffer full is dropped and counted `queue_full`; rows
already in the buffer are kept. Callers hold the lock for less than a microsecond.
"""

import enum
import threading
import time
from collections import deque
from typing import Any, Literal

import msgspec

Kind = Literal["inference", "label", "deploy"]
Lane = tuple[Kind, str | None]

BATCH_ROWS_MAX = 500
BATCH_AGE_MAX_S = 0.75  # and the sender looks every quarter of a second: one second in all
CHUNK_BYTES_MAX = 1 << 20  # in memory, where a row takes about five times its size on the wire


class Drop(enum.StrEnum):
    """Why a row was not delivered: a closed list."""

    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    BAD_ROW = "bad_row"
    NOT_DELIVERED = "not_delivered"
    CLOSED = "closed"
    INTERNAL = "internal"


class Counters(msgspec.Struct, frozen=True):
    """Rows of one emitter: `emitted = delivered + sum(dropped) + pending`, at every moment."""

    emitted: int
    delivered: int
    dropped: dict[str, int]
    pending: int


class Chunk(msgspec.Struct):
    """Items of one lane that travel together: rows, tables of rows, or one deploy."""

    lane: Lane
    since_s: float
    items: list[Any] = []
    rows: int = 0
    size_bytes: int = 0


class Taken(msgspec.Struct):
    """A chunk out of the buffer, with the counters as they stood behind its last row."""

    chunk: Chunk
    emitted: int
    dropped: dict[str, int]


class Buffer:
    """A queue of chunks and the counters, under one lock. Sizes are of memory, roughly."""

    def __init__(self, rows_max: int, bytes_max: int) -> None:
        # Re-entrant, because a signal handler may close the monitor while its thread is in `put`.
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._open: dict[Lane, Chunk] = {}
        self._sealed: deque[Chunk] = deque()
        self._rows = self._bytes = 0
        self._rows_max, self._bytes_max = rows_max, bytes_max
        self._emitted = self._delivered = self._pending = 0
        self._between = 0
        self._dropped: dict[str, int] = {}
        self.closed = False
        self.waiters = 0

    def put(self, lane: Lane, item: Any, rows: int, size_bytes: int) -> tuple[Drop | None, bool]:
        """Queue `item`; answers why it was dropped, and whether a batch is now complete."""
        with self._lock:
            self._emitted += rows
            if self.closed:
                return self._count(Drop.CLOSED, rows), False
            if self._rows + rows > self._rows_max or self._bytes + size_bytes > self._bytes_max:
                return self._count(Drop.QUEUE_FULL, rows), True
            self._rows += rows
            self._bytes += size_bytes
            self._pending += rows
            sealed = len(self._sealed)
            chunk = self._open.get(lane)
            if chunk is not None and chunk.rows + rows > BATCH_ROWS_MAX:
                self._sealed.append(self._open.pop(lane))
                chunk = None
            if chunk is None:
                chunk = self._open[lane] = Chunk(lane, time.monotonic())
            chunk.items.append(item)
            chunk.rows += rows
            chunk.size_bytes += size_bytes
            if chunk.rows >= BATCH_ROWS_MAX or chunk.size_bytes >= CHUNK_BYTES_MAX:
                self._sealed.append(self._open.pop(lane))
            return None, len(self._sealed) > sealed

    def put_between(self, lane: Lane, item: Any) -> bool:
        """Queue a record that is no row, behind everything put so far and before what follows;
        False where the buffer is closed.
        """
        with self._lock:
            if self.closed:
                return False
            self._seal()
            self._sealed.append(Chunk(lane, 0.0, [item]))
            self._between += 1
            return True

    def seal(self) -> None:
        """Make everything in the buffer due."""
        with self._lock:
            self._seal()

    def take(self) -> Taken | None:
        """The next chunk that is complete or old enough."""
        with self._lock:
            due_s = time.monotonic() - BATCH_AGE_MAX_S
            for lane in [lane for lane, chunk in self._open.items() if chunk.since_s <= due_s]:
                self._sealed.append(self._open.pop(lane))
            if not self._sealed:
                return None
            chunk = self._sealed.popleft()
            self._rows -= chunk.rows
            self._bytes -= chunk.size_bytes
            return Taken(chunk, self._emitted - self._rows, dict(self._dropped))

    def refuse(self, reason: Drop, rows: int) -> None:
        """Count rows that were handed in and never queued."""
        with self._lock:
            self._emitted += rows
            self._count(reason, rows)

    def settle(self, rows: int, reason: Drop | None = None) -> None:
        """Queued rows were delivered, or dropped for `reason`."""
        with self._lock:
            self._pending -= rows
            if reason is None:
                self._delivered += rows
            else:
                self._count(reason, rows)
            if not self._left():
                self._settled.notify_all()

    def settle_between(self) -> None:
        """A record that is no row was delivered, or is lost."""
        with self._lock:
            self._between -= 1
            if not self._left():
                self._settled.notify_all()

    def left(self) -> int:
        """Rows, and records between them, that are queued or under way."""
        with self._lock:
            return self._left()

    def wait(self, timeout_s: float) -> bool:
        """Whether nothing was left within `timeout_s`."""
        with self._lock:
            self.waiters += 1
            try:
                return self._settled.wait_for(lambda: not self._left(), timeout_s)
            finally:
                self.waiters -= 1

    def close(self) -> None:
        """Refuse what comes from now on."""
        with self._lock:
            self.closed = True
            self._seal()

    def counters(self) -> Counters:
        """One consistent reading."""
        with self._lock:
            return Counters(self._emitted, self._delivered, dict(self._dropped), self._pending)

    def _left(self) -> int:
        return self._pending + self._between

    def _seal(self) -> None:
        self._sealed.extend(self._open.values())
        self._open.clear()

    def _count(self, reason: Drop, rows: int) -> Drop:
        self._dropped[reason.value] = self._dropped.get(reason.value, 0) + rows
        return reason
