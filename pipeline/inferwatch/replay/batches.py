"""The rows of one model in a range of the recorded topic, with the labels that came for them."""

from inferwatch.connection import Connection
from inferwatch.core import emitters
from inferwatch.core.emitters import Emitter
from inferwatch.core.placement import partition_of
from inferwatch.errors import UsageError
from inferwatch.records.decode import decode
from inferwatch.records.rows import Rows, Truths
from inferwatch.replay.log import LogReader

VERSIONS_NAMED = 5


def read(
    connection: Connection,
    model: str,
    version: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> tuple[list[Rows], list[Truths]]:
    """Batches of `[since_ms, until_ms)` by record time, and labels from there to the topic's end.

    Batches that were sent again are left out, as the fold does it. Everything is held in memory.
    Cost: the model's whole partition is read, once.

    :param version: the only one wanted; a range must not hold several unless it is said.
    :raises UsageError: no rows, or rows of several versions.
    :raises ConfigError: there is no such topic.
    :raises TransientError: the broker does not answer.
    """
    rows: list[Rows] = []
    truths: list[Truths] = []
    senders: dict[str, Emitter] = {}
    sources: dict[str, Emitter] = {}
    with LogReader(connection, "events.v1") as reader:
        partition = partition_of(model, len(reader.partitions()))
        for raw in reader.read(partition, *reader.ends(partition)):
            if raw.key != model.encode() or (since_ms is not None and raw.time_ms < since_ms):
                continue
            record = decode(raw).record
            if not isinstance(record, Rows | Truths):
                continue
            record = emitters.fresh(senders, sources, record)
            if record is None or version not in (None, record.version or version):
                continue
            if isinstance(record, Truths):
                truths.append(record)
            elif until_ms is None or raw.time_ms < until_ms:
                rows.append(record)
    _check(model, rows)
    return rows, truths


def _check(model: str, rows: list[Rows]) -> None:
    if not rows:
        raise UsageError(f"the topic has no rows of {model} in that range")
    versions = sorted({batch.version for batch in rows})
    if len(versions) > 1:
        named = ", ".join(versions[:VERSIONS_NAMED]) + ", …" * (len(versions) > VERSIONS_NAMED)
        raise UsageError(f"the range has rows of versions {named}; name one with --version")
