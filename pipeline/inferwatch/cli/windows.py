"""The newest windows on the topic, and changes of schemas, for commands that say how models are."""

import sys
from collections.abc import Iterable, Iterator

import msgspec

from inferwatch.cli import states
from inferwatch.config.document import meant
from inferwatch.connection import Connection
from inferwatch.core.placement import partition_of
from inferwatch.records.outputs import SchemaRecord, WindowRecord, live, word
from inferwatch.records.raw import RawRecord
from inferwatch.replay.log import LogReader

# of each partition: some thousand windows of the models that share it, read in about a second
RECORDS_MAX = 5_000
FIRST = "the first of the default ones takes a minute, and half a minute of grace"


def read(connection: Connection, model: str = "") -> Iterator[WindowRecord]:
    """The windows among `records`."""
    found = records(connection, model)
    return (record for record in found if isinstance(record, WindowRecord))


def records(connection: Connection, model: str = "") -> Iterator[WindowRecord | SchemaRecord]:
    """The newest live records, of one model where it is named.

    What is left out, or is no window, is told on standard error. Raises what `LogReader` raises.
    """
    with LogReader(connection, "windows.v1") as reader:
        partitions = reader.partitions()
        if model:
            partitions = [partitions[partition_of(model, len(partitions))]]
        for partition in partitions:
            low, high = reader.ends(partition)
            if high - low > RECORDS_MAX:
                print(
                    f"only the last {RECORDS_MAX:,} windows of partition {partition} are read",
                    file=sys.stderr,
                )
            for raw in reader.read(partition, max(low, high - RECORDS_MAX), high):
                yield from (found for found in _record(raw) if model in ("", found.model))


def none_of(connection: Connection, model: str) -> str:
    """What to say of a model that no window is of: whether there is one, and the name like it.

    Reads its checkpoint, and the newest windows of all. Raises what `LogReader` raises.
    """
    try:
        known = states.read(connection, model) is not None
    except ValueError:  # damaged, but of this model
        known = True
    if known:
        return f"no window of {model} has closed yet; {FIRST}"
    names = sorted({one.model for one in read(connection)})
    near = meant(model, names) or ("see `inferwatch models`" if names else "no model has any yet")
    return f"there is no model {model}: no window and no checkpoint is of it; {near.rstrip()}"


def _record(raw: RawRecord) -> list[WindowRecord | SchemaRecord]:
    if not live(raw.headers):
        return []
    try:
        if word(raw.headers) == "schema":
            return [msgspec.json.decode(raw.value or b"", type=SchemaRecord)]
        return [msgspec.json.decode(raw.value or b"", type=WindowRecord)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        print(f"{raw.name} is no window: {error}", file=sys.stderr)
        return []


def latest(records: Iterable[WindowRecord]) -> list[WindowRecord]:
    """The newest window over all rows of each model and version, in the order of their names.

    Of windows that end together the shortest speaks, of its revisions the last.
    """
    newest: dict[tuple[str, str], WindowRecord] = {}
    for record in records:
        if record.segment:
            continue
        key = record.model, record.version
        if key not in newest or _age(record) > _age(newest[key]):
            newest[key] = record
    return [newest[key] for key in sorted(newest)]


def _age(record: WindowRecord) -> tuple[int, int, int]:
    start, end = span_ms(record)
    return end, start, record.revision


def span_ms(record: WindowRecord) -> tuple[int, int]:
    """Event time from which to which the window's rows are."""
    if record.window.rows:
        return record.from_ms or 0, record.to_ms or 0
    return record.window.start, record.window.end
