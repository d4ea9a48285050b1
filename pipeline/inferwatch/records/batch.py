"""The two columnar records: what a model answered, and what turned out to be true.

Both are msgpack maps whose columns are raw arrays (`records.columns`). Only optional fields may be
added within a major version; readers ignore fields they do not know.
"""

import msgspec

from inferwatch.records.columns import (
    Categories,
    Data,
    Float32Block,
    Float64Block,
    Numbers,
    Texts,
    Vectors,
)
from inferwatch.records.raw import Instance

SCHEMA = "1.0"
CALL_NUMBERS = ("input_tokens", "output_tokens", "time_to_first_token_ms", "cost")
FINISH_REASON = "finish_reason"


class LlmCalls(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What calls of a language model used and how they ended: float32 a row, NaN where missing.

    `cost` is in the sender's own currency; `finish_reason` in its provider's own words.
    """

    input_tokens: Data | None = None
    output_tokens: Data | None = None
    time_to_first_token_ms: Data | None = None
    cost: Data | None = None
    finish_reason: Categories | None = None


class InferenceBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows that one version of one model answered, in the order the server saw them.

    `emitter` names one process and `seq` counts its batches of both kinds from 0: together they
    find repeats. `emitted` and `dropped` are the emitter's row counters up to and including this
    batch, so that the monitor knows what it was not shown. `time_ms` is int64 a row, `latency_ms`
    and `weight` float32 with NaN where missing. `source_offsets`, int64 a row, says where rows
    stood that were read from another topic: repeats are found by it, row by row, not by `seq`.
    """

    schema: str = SCHEMA
    model: str
    version: str
    emitter: str
    seq: int
    rows: int
    emitted: int = 0
    dropped: dict[str, int] = {}
    time_ms: Data
    ids: Texts
    numeric: Float32Block | None = None
    categories: dict[str, Categories] = {}
    prediction: Numbers | Categories | None = None
    scores: Float64Block | None = None
    latency_ms: Data | None = None
    error: Categories | None = None
    segments: dict[str, Categories] = {}
    weight: Data | None = None
    entity: Texts | None = None
    instance: Instance = ""
    source_offsets: Data | None = None
    llm: LlmCalls | None = None
    embedding: Vectors | None = None


class LabelBatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Truths by prediction id; a later one of the same id corrects an earlier one.

    With `version` they label that version's predictions only, without one every version's.
    `prediction` and `scores` are for batches that need no join: read, and not used yet.
    """

    schema: str = SCHEMA
    model: str
    version: str | None = None
    emitter: str
    seq: int
    rows: int
    emitted: int = 0
    dropped: dict[str, int] = {}
    time_ms: Data
    ids: Texts
    label: Numbers | Categories
    prediction: Numbers | Categories | None = None
    scores: Float64Block | None = None
    source_offsets: Data | None = None


def encode(batch: InferenceBatch | LabelBatch) -> bytes:
    """Body of the Kafka record."""
    return msgspec.msgpack.encode(batch)
