"""A recorded topic as a source: the records between two times, partition by partition.

Two passes, because a model's first definition stands *after* the record from which it acts: the
first reads headers only and collects definitions and skips, the second gives the records.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from inferwatch.connection import Connection
from inferwatch.core import soundness
from inferwatch.errors import ConfigError
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.records.events import Inspection, MonitorChange, Skip
from inferwatch.records.raw import PREFIX, SKIPPED, Decoded, RawRecord
from inferwatch.replay.log import LogReader

WORDS = (f"{PREFIX}monitor.".encode(), f"{PREFIX}skip.".encode())


@dataclass
class Survey:
    """What the first pass found. `spans` are offsets `[start, end)` by partition."""

    spans: dict[int, tuple[int, int]]
    definitions: dict[str, Definition] = field(default_factory=dict)
    skipped: set[tuple[int, int]] = field(default_factory=set)

    def definition(self, model: str) -> Definition:
        """What the worker watched the model by when the range begins.

        :raises ConfigError: the topic does not say.
        """
        if model not in self.definitions:
            raise ConfigError(
                f"the topic holds no definition of {model}",
                fix="name a monitor file with --monitors",
            )
        return self.definitions[model]


def survey(
    connection: Connection, since_ms: int | None = None, until_ms: int | None = None
) -> Survey:
    """First pass: where the range lies, what rules acted in it, what was skipped. Ends at today's
    end.

    :raises ConfigError: the broker has dropped the head of the range already, or there is no such
    topic.
    :raises TransientError: the broker does not answer.
    """
    found = Survey({})
    with LogReader(connection, "events.v1") as reader:
        for partition in reader.partitions():
            low, high = reader.ends(partition)
            start, end, oldest_ms = low, low, -1
            for raw in reader.read(partition, low, high):
                oldest_ms = raw.time_ms if oldest_ms < 0 else oldest_ms
                if low > 0 and (since_ms is None or oldest_ms > since_ms):
                    raise _head_dropped(partition, low)
                if since_ms is not None and raw.time_ms < since_ms:
                    start = raw.offset + 1
                if until_ms is None or raw.time_ms < until_ms:
                    end = raw.offset + 1
                if raw.headers.get("ce_type", b"").startswith(WORDS):
                    _take_in(found, raw, start)
            if low == high > 0:
                raise _head_dropped(partition, low)
            found.spans[partition] = start, end
    return found


def _head_dropped(partition: int, low: int) -> ConfigError:
    return ConfigError(
        f"the broker has dropped the records before offset {low} of partition {partition}",
        key="--since",
        fix="begin later than the oldest record that is left",
    )


def _take_in(found: Survey, raw: RawRecord, start: int) -> None:
    record = decode(raw).record
    if isinstance(record, Skip):
        found.skipped.add((raw.partition, record.offset))
    elif isinstance(record, MonitorChange) and not soundness.problem(record.definition):
        before = raw.offset < start
        if before or (record.from_offset is not None and record.model not in found.definitions):
            found.definitions[record.model] = record.definition


def records(
    connection: Connection, found: Survey, *, recorded_rules: bool
) -> Iterator[tuple[RawRecord, Decoded]]:
    """Second pass: every record of the range, in the order of each partition.

    Without `recorded_rules` the log's own changes of definition are left out, and what inspectors
    found by them: this is a backtest of others.
    """
    with LogReader(connection, "events.v1") as reader:
        for partition, (start, end) in found.spans.items():
            for raw in reader.read(partition, start, end):
                skipped = (raw.partition, raw.offset) in found.skipped
                decoded = SKIPPED if skipped else decode(raw)
                of_rules = isinstance(decoded.record, MonitorChange | Inspection)
                if recorded_rules or not of_rules:
                    yield raw, decoded
