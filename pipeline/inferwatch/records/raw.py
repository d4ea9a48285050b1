"""A record as the broker has it, what became of it, and its CloudEvents headers."""

import re
from typing import Annotated, Any

import msgspec

from inferwatch.errors import Reason

PREFIX = "io.inferwatch."
MSGPACK = "application/msgpack"
JSON = "application/json"
EARLIEST_MS = 31_536_000_000  # 1971: below it a number is seconds, or no time at all
LATEST_MS = 1_000 * EARLIEST_MS  # 2969: from there on a number is micro- or nanoseconds
COLUMNS_MAX = 5_000
COUNT_END = 1 << 62
EMBEDDING_DIM_MAX = 4_096
TEXT_MAX_BYTES = 8_192
INSTANCE_MAX = 256
NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")  # of a model
NAME_MAX = 255
Instance = Annotated[str, msgspec.Meta(max_length=INSTANCE_MAX)]
"""A serving process by name, or what it runs on: kept for a thousand of them in each window."""


class RawRecord(msgspec.Struct, frozen=True):
    """One Kafka record. `time_ms` is the record's own time (the broker's where it sets it)."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] = {}

    @property
    def name(self) -> str:
        """topic-partition-offset: the id of its dead letter."""
        return f"{self.topic}-{self.partition}-{self.offset}"


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a record that were not folded, and why.

    `row` is the first of `rows` rows that share the reason, -1 where it is the whole record.
    """

    reason: Reason
    detail: str
    stage: str = "decode"
    row: int = -1
    rows: int = 1


class Decoded(msgspec.Struct, frozen=True):
    """What a record says, and which of its rows could not be read.

    `rows_in` counts the rows that the sender put in (1 for a record that is no batch or not
    readable).
    """

    record: Any
    rejects: tuple[Reject, ...] = ()
    rows_in: int = 1


SKIPPED = Decoded(
    None, (Reject(reason=Reason.FATAL, detail="it ended three workers", stage="fold"),), 1
)
"""In place of a record that a `skip` record names: nobody reads it any more."""


def headers(word: str, *, id: str, source: str, time: str, content_type: str) -> dict[str, bytes]:
    """Binary-mode CloudEvents headers of a record of type `io.inferwatch.<word>.v1`."""
    return {
        "ce_specversion": b"1.0",
        "ce_id": id.encode(),
        "ce_source": source.encode(),
        "ce_type": f"{PREFIX}{word}.v1".encode(),
        "ce_time": time.encode(),
        "content-type": content_type.encode(),
    }
