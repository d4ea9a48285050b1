"""What a bridge has read of one source partition and the brokers do not have yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import UNSET

from inferwatch.ingest import columns, plain
from inferwatch.ingest.plain import Event, Table, TooWideError
from inferwatch.records import batch

ROWS_MAX = 500
AGE_MAX_S = 0.8  # and the loop that looks takes a moment: a row leaves within a second
BODY_MAX_BYTES = 192 * 1024
READ_MAX_BYTES = 4 << 20  # of JSON in one group
COLUMNS_MAX = 2_000  # a batch may have 5,000, and a feature can be two
Key = tuple[type[Event], str, str | None]


class Batch(NamedTuple):
    """A batch's bytes, the first source offset in it and how many rows it has."""

    body: bytes
    first: int
    rows: int


@dataclass
class Group:
    """Rows of one model, version and kind that wait to be a batch: events, the bodies that say
    them, and the messages they came in, in the source's order.
    """

    opened_s: float
    events: list[Event] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, event: Event, body: bytes, message: Any) -> None:
        """One row more."""
        self.events.append(event)
        self.bodies.append(body)
        self.messages.append(message)
        self.size_bytes += len(body)

    def batches(self, emitter: str) -> Iterator[Batch | Any]:
        """The rows as batches, in order: one, or several where that would be too large; and among
        them the messages that hold no event.
        """
        yield from self._batches(emitter, checked=False)

    def _batches(self, emitter: str, checked: bool) -> Iterator[Batch | Any]:
        try:
            table = Table(self.events, COLUMNS_MAX)
        except TooWideError:
            yield from self._halves(emitter, checked)
            return
        except plain.UNREADABLE:
            table = None
        if table is None or not (checked or table.holds(self.bodies)):
            yield from self._carefully(emitter)
            return
        if not table.is_label and len({len(row) for row in table.vectors if row}) > 1:
            yield from self._halves(emitter, checked)  # a batch has vectors of one size
            return
        offsets = [message.offset() for message in self.messages]
        body = batch.encode(columns.packed(table, offsets, emitter))
        if len(body) <= BODY_MAX_BYTES or len(offsets) == 1:
            yield Batch(body, offsets[0], len(offsets))
        else:
            yield from self._halves(emitter, checked)

    def _halves(self, emitter: str, checked: bool) -> Iterator[Batch | Any]:
        middle = len(self.events) // 2
        for part in (slice(middle), slice(middle, None)):
            half = Group(0.0, self.events[part], self.bodies[part], self.messages[part])
            yield from half._batches(emitter, checked)

    def _carefully(self, emitter: str) -> Iterator[Batch | Any]:
        """Each event by itself is valid or is none."""
        rest = Group(0.0)
        for message in self.messages:
            found = plain.carefully(message.headers(), message.value())
            if found is None:
                yield message
            else:
                rest.add(*found, message)
        if rest.events:
            yield from rest._batches(emitter, checked=True)


class Source:
    """One source partition: its open groups, oldest first, and what is on its way.

    `emitter` names it in batches: topic and partition, whoever reads it.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self.emitter = f"{topic}/{partition}"
        self.groups: dict[Key, Group] = {}
        self.position = -1
        self.committed = -1
        self._sent: dict[int, int] = {}
        self._tokens = 0

    def add(self, event: Event, body: bytes, message: Any, now_s: float) -> Group | None:
        """One row more; the group that has no room for another, which is open no more."""
        version = None if event.version is UNSET else event.version
        key = (type(event), event.model, version)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(now_s)
        group.add(event, body, message)
        if len(group.events) < ROWS_MAX and group.size_bytes < READ_MAX_BYTES:
            return None
        return self.groups.pop(key)

    @property
    def open_bytes(self) -> int:
        """Bytes that are in open groups."""
        return sum(group.size_bytes for group in self.groups.values())

    def due(self, before_s: float) -> Iterator[Group]:
        """Groups that were opened before; they are open no more."""
        while self.groups:
            key = next(iter(self.groups))
            if self.groups[key].opened_s > before_s:
                return
            yield self.groups.pop(key)

    def sends(self, first: int) -> int:
        """A record whose lowest source offset is `first` goes out; the name under which it is
        acknowledged.
        """
        self._tokens += 1
        self._sent[self._tokens] = first
        return self._tokens

    def acknowledged(self, token: int) -> None:
        """The brokers have it."""
        del self._sent[token]

    def settled(self) -> int:
        """The offset to commit: everything below it is with the brokers. -1 before any record."""
        waiting: list[int] = [group.messages[0].offset() for group in self.groups.values()]
        return min([self.position, *waiting, *self._sent.values()])


def fullest(sources: Iterable[Source], size_bytes: int) -> Iterator[tuple[Source, Group]]:
    """Close the fullest groups, which lose least by it, until `size_bytes` are not open any more.

    With all of them closed at once, those of many models would never be full.
    """
    found = [(source, key, group) for source in sources for key, group in source.groups.items()]
    found.sort(key=lambda one: one[2].size_bytes, reverse=True)
    for source, key, group in found:
        if size_bytes <= 0:
            return
        size_bytes -= group.size_bytes
        yield source, source.groups.pop(key)
