"""The rows of one model in a range of the recorded topic, with the labels that came for them."""

from dataclasses import dataclass

from inferwatch.connection import Connection
from inferwatch.core import emitters
from inferwatch.core.emitters import Emitter
from inferwatch.core.placement import partition_of
from inferwatch.errors import UsageError
from inferwatch.records.decode import decode
from inferwatch.records.raw import RawRecord
from inferwatch.records.rows import Rows, Truths
from inferwatch.replay.log import LogReader

VERSIONS_NAMED = 5


@dataclass(frozen=True)
class Span:
    """A part `[since, until)` of a topic: each end by record time or by offset, or left open."""

    since_ms: int | None = None
    until_ms: int | None = None
    since_offset: int | None = None
    until_offset: int | None = None

    def is_before(self, raw: RawRecord) -> bool:
        """Whether the record comes before its first time."""
        return self.since_ms is not None and raw.time_ms < self.since_ms

    def is_behind(self, raw: RawRecord) -> bool:
        """Whether the record comes at its end or later."""
        if self.until_offset is not None:
            return raw.offset >= self.until_offset
        return self.until_ms is not None and raw.time_ms >= self.until_ms


EVERYTHING = Span()


def read(
    connection: Connection, model: str, version: str | None = None, span: Span = EVERYTHING
) -> tuple[list[Rows], list[Truths]]:
    """Batches of `span`, whose offsets are in the model's partition, and labels from where it
    begins to the topic's end.

    Batches that were sent again are left out, as the fold does it. Everything is held in memory.
    Cost: the model's whole partition is read, once, from `since_offset` on where there is one.

    :param version: the only one wanted; a range must not hold several unless it is said.
    :raises UsageError: offsets that the log does not have, no rows, or rows of several versions.
    :raises ConfigError: there is no such topic.
    :raises TransientError: the broker does not answer.
    """
    rows: list[Rows] = []
    truths: list[Truths] = []
    senders: dict[str, Emitter] = {}
    sources: dict[str, Emitter] = {}
    with LogReader(connection, "events.v1") as reader:
        partition = partition_of(model, len(reader.partitions()))
        low, high = reader.ends(partition)
        _check_offsets(f"partition {partition} of {connection.topic('events.v1')}", low, high, span)
        start = low if span.since_offset is None else span.since_offset
        for raw in reader.read(partition, start, high):
            if raw.key != model.encode() or span.is_before(raw):
                continue
            record = decode(raw).record
            if not isinstance(record, Rows | Truths):
                continue
            record = emitters.fresh(senders, sources, record)
            if record is None or version not in (None, record.version or version):
                continue
            if isinstance(record, Truths):
                truths.append(record)
            elif not span.is_behind(raw):
                rows.append(record)
    _check(model, rows)
    return rows, truths


def _check_offsets(place: str, low: int, high: int, span: Span) -> None:
    """Offsets that the broker has dropped, or not given yet, are a mistake and no empty range."""
    since, until = span.since_offset, span.until_offset
    if since is not None and until is not None and since >= until:
        raise UsageError(f"--since-offset {since} does not lie before --until-offset {until}")
    held = f"offsets {low} to {high - 1}" if high > low else "no record"
    if since is not None and not low <= since < high:
        raise UsageError(f"--since-offset {since}: {place} holds {held}")
    if until is not None and not low < until <= high:
        raise UsageError(f"--until-offset {until}: {place} holds {held}")


def _check(model: str, rows: list[Rows]) -> None:
    if not rows:
        raise UsageError(f"the topic has no rows of {model} in that range")
    versions = sorted({batch.version for batch in rows})
    if len(versions) > 1:
        named = ", ".join(versions[:VERSIONS_NAMED]) + ", …" * (len(versions) > VERSIONS_NAMED)
        raise UsageError(f"the range has rows of versions {named}; name one with --version")
