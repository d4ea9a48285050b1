"""What the fold gives back: records for three topics, written once, here."""

from typing import Literal

import msgspec

from inferwatch.errors import Reason
from inferwatch.records.outputs import (
    OUTPUT_MAX_BYTES,
    AlertRecord,
    WindowRecord,
    canonical,
)
from inferwatch.records.raw import JSON, PREFIX, RawRecord, Reject

ERROR_HEADERS = "__inferwatch.errors."
FORWARDED = "inferwatch-from"


class Output(msgspec.Struct, frozen=True):
    """A record for `windows.v1`, `alerts.v1`, `dlq.v1`, or one sent on within `events.v1`.

    Equal `id` means equal bytes. `partition` is None where the key decides.
    """

    kind: Literal["window", "alert", "dead", "forward"]
    key: bytes
    value: bytes
    id: str
    headers: dict[str, bytes] = {}
    partition: int | None = None


def _headers(word: str, id_: str, model: str) -> dict[str, bytes]:
    return {
        "ce_specversion": b"1.0",
        "ce_id": id_.encode(),
        "ce_source": f"inferwatch/{model}".encode(),
        "ce_type": f"{PREFIX}{word}.v1".encode(),
        "content-type": JSON.encode(),
    }


def window_output(record: WindowRecord) -> Output:
    """A window; features with the least drift are left out until it fits 256 KiB."""
    value = canonical(record)
    names = sorted(record.features, key=lambda name: (-(record.features[name].psi or 0.0), name))
    while len(value) > OUTPUT_MAX_BYTES and names:
        names = names[: len(names) // 2]
        kept = {name: record.features[name] for name in names}
        gone = len(record.features) - len(kept)
        value = canonical(msgspec.structs.replace(record, features=kept, truncated=gone))
    return Output(
        "window",
        record.model.encode(),
        value,
        record.id,
        _headers("window", record.id, record.model),
    )


def alert_output(record: AlertRecord) -> Output:
    """A transition, keyed by its fingerprint."""
    return Output(
        "alert",
        record.fingerprint.encode(),
        canonical(record),
        record.id,
        _headers("alert", record.id, record.model),
    )


def forward_output(raw: RawRecord, partition: int) -> Output:
    """A record that its producer put into the wrong partition, for the right one.

    It names where it came from, so that a copy that is sent twice is folded once.
    """
    origin = f"{raw.partition}@{raw.offset}".encode()
    return Output(
        "forward",
        raw.key or b"",
        raw.value or b"",
        raw.name,
        dict(raw.headers) | {FORWARDED: origin},
        partition,
    )


def forwarded_from(origin: bytes) -> tuple[str, int]:
    """The `FORWARDED` header as an emitter and its number; nonsense never counts as a repeat."""
    partition, _, offset = origin.decode(errors="replace").partition("@")
    if not (partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
        return "", 0
    return f"@{partition}", int(offset[:18])


def dead_output(raw: RawRecord, reject: Reject) -> Output:
    """A dead letter: the record as it came, and why. A row of a batch has its own."""
    id_ = raw.name if reject.row < 0 else f"{raw.name}-{reject.row}"
    facts = {
        "topic": raw.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "timestamp": raw.time_ms,
        "stage": reject.stage,
        "reason": Reason(reject.reason).value,
        "exception.message": reject.detail,
        "row": reject.row,
        "rows": reject.rows,
        "id": id_,
    }
    headers = {f"{ERROR_HEADERS}{name}": str(value).encode() for name, value in facts.items()}
    return Output("dead", raw.key or b"", raw.value or b"", id_, dict(raw.headers) | headers)
