"""Rows on their way out: bounded, and every one accounted for.

At every moment emitted = delivered + dropped + pending, by reason, exactly.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Reason = Literal["queue_full", "too_large", "bad_row", "not_delivered", "closed"]
ROW_BYTES, VALUE_BYTES = 400, 48


class Row(NamedTuple):
    """One answer as the caller gave it; the sender turns it into columns."""

    version: str
    id: str
    time_ms: int
    features: dict[str, Any]
    prediction: Any
    proba: Any
    latency_ms: float | None
    error: str | None
    segments: dict[str, Any]
    entity: str | None


class Label(NamedTuple):
    """One truth."""

    version: str | None
    id: str
    time_ms: int
    label: Any


class Event(NamedTuple):
    """A small record, ready as it is."""

    word: str
    record: Any


Item = Row | Label | Event


@dataclass(frozen=True)
class Counters:
    """Rows and labels since the process began (small events are not counted)."""

    emitted: int = 0
    delivered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    pending: int = 0


class Buffer:
    """A queue that never blocks the one who puts in: what does not fit is dropped and counted."""

    def __init__(self, rows_max: int, bytes_max: int) -> None:
        self._rows_max, self._bytes_max = rows_max, bytes_max
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._emitted = self._delivered = self._pending = 0
        self._dropped: dict[str, int] = {}
        self._closed = False

    def put(self, items: list[Item]) -> int:
        """Take rows in; gives how many found no room."""
        refused = 0
        with self._changed:
            for item in items:
                counted = not isinstance(item, Event)
                self._emitted += counted
                size = _size(item)
                reason = self._refusal(size)
                if reason is None:
                    self._items.append(item)
                    self._bytes += size
                    self._pending += counted
                elif counted:
                    refused += 1
                    self._drop(reason, 1)
            self._changed.notify_all()
        return refused

    def _refusal(self, size: int) -> Reason | None:
        if self._closed:
            return "closed"
        full = len(self._items) >= self._rows_max or self._bytes + size > self._bytes_max
        return "queue_full" if full else None

    def _drop(self, reason: Reason, rows: int) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + rows

    def take(self, most: int, patience_s: float, hurry_bytes: int) -> list[Item]:
        """Up to `most` items of one kind and version, after waiting for a full batch or `patience_s`."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._items) >= most or self._bytes >= hurry_bytes or self._closed,
                patience_s,
            )
            taken: list[Item] = []
            while self._items and len(taken) < most:
                item = self._items[0]
                if taken and (type(item) is not type(taken[0]) or isinstance(item, Event)):
                    break
                if taken and not isinstance(item, Event) and item[0] != taken[0][0]:
                    break
                taken.append(self._items.popleft())
                self._bytes -= _size(item)
            return taken

    def settle(self, rows: int, reason: Reason | None) -> None:
        """`rows` pending ones were delivered, or dropped for `reason`."""
        with self._changed:
            self._pending -= rows
            if reason is None:
                self._delivered += rows
            else:
                self._drop(reason, rows)
            self._changed.notify_all()

    def refuse(self, reason: Reason, rows: int = 1) -> None:
        """Rows that never got as far as the queue."""
        with self._changed:
            self._emitted += rows
            self._drop(reason, rows)

    def counters(self) -> Counters:
        """All four numbers of one moment."""
        with self._changed:
            return Counters(self._emitted, self._delivered, dict(self._dropped), self._pending)

    def idle(self) -> bool:
        """Whether nothing waits to be taken."""
        with self._changed:
            return not self._items

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is pending."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending and not self._items, timeout_s)

    def close(self) -> None:
        """Take in nothing more; what is queued may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(item: Item) -> int:
    """A cheap bound on what the item holds in memory."""
    if not isinstance(item, Row):
        return ROW_BYTES
    return ROW_BYTES + VALUE_BYTES * (len(item.features) + len(item.segments))
