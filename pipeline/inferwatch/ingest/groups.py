"""What a bridge has read of one source partition and the brokers do not have yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from inferwatch.ingest import columns
from inferwatch.records import batch
from inferwatch.records.single import InferenceEvent, LabelEvent

ROWS_MAX = 500
AGE_MAX_S = 0.8  # and the loop that looks takes a moment: a row leaves within a second
BODY_MAX_BYTES = 192 * 1024
READ_MAX_BYTES = 4 << 20  # of JSON in one group
COLUMNS_MAX = 2_000  # a batch may have 5,000, and a feature can be two
Event = InferenceEvent | LabelEvent
Key = tuple[type[Event], str, str | None]
Body = tuple[bytes, int]  # of a batch, and the first source offset in it


@dataclass
class Group:
    """Rows of one model, version and kind that wait to be a batch; offsets ascend."""

    opened_s: float
    events: list[Event] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    size_bytes: int = 0
    names: set[tuple[str, str] | str] = field(default_factory=set)

    def add(self, event: Event, time_ms: int, offset: int, size_bytes: int) -> None:
        """One row more."""
        self.events.append(event)
        self.times_ms.append(time_ms)
        self.offsets.append(offset)
        self.size_bytes += size_bytes
        if isinstance(event, InferenceEvent):
            self.names.update(event.features)
            self.names.update(("segment", name) for name in event.segments)
            self.names.update(("score", name) for name in event.scores)

    def takes(self, event: Event, size_bytes: int) -> bool:
        """Whether there is room for the event."""
        width = 0
        if isinstance(event, InferenceEvent):
            width = len(event.features) + len(event.segments) + len(event.scores)
            if len(self.names) + width > COLUMNS_MAX:
                width = len(event.features.keys() - self.names) + width - len(event.features)
        return (
            len(self.events) < ROWS_MAX
            and self.size_bytes + size_bytes <= READ_MAX_BYTES
            and len(self.names) + width <= COLUMNS_MAX
        )

    def bodies(self, emitter: str) -> Iterator[Body]:
        """The rows as batches, in order: one, or several where that would be too large."""
        yield from self._bodies(emitter, 0, len(self.events))

    def _bodies(self, emitter: str, start: int, end: int) -> Iterator[Body]:
        span = slice(start, end)
        events = self.events[span]
        places = self.times_ms[span], self.offsets[span], emitter
        rows = [event for event in events if isinstance(event, InferenceEvent)]
        truths = [event for event in events if isinstance(event, LabelEvent)]
        made = columns.inference(rows, *places) if rows else columns.labels(truths, *places)
        body = batch.encode(made)
        if len(body) <= BODY_MAX_BYTES or end - start == 1:
            yield body, self.offsets[start]
            return
        middle = (start + end) // 2
        yield from self._bodies(emitter, start, middle)
        yield from self._bodies(emitter, middle, end)


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

    def group(self, event: Event, size_bytes: int, now_s: float) -> tuple[Group, Group | None]:
        """Where the event belongs, and the group that had no room for it."""
        key = (type(event), event.model, event.version)
        found = self.groups.get(key)
        if found is not None and found.takes(event, size_bytes):
            return found, None
        self.groups.pop(key, None)
        self.groups[key] = Group(now_s)
        return self.groups[key], found

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
        waiting = [group.offsets[0] for group in self.groups.values()]
        return min([self.position, *waiting, *self._sent.values()])
