"""What the fold gives back: records for three topics, written once, here."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from inferwatch.core.inspectors import Request, request_id
from inferwatch.errors import DataError, Reason
from inferwatch.records.outputs import (
    OUTPUT_MAX_BYTES,
    AlertRecord,
    SchemaRecord,
    WindowRecord,
    canonical,
)
from inferwatch.records.raw import JSON, PREFIX, RawRecord, Reject

ERROR_HEADERS = "__inferwatch.errors."
FORWARDED = "inferwatch-from"
ATTEMPTS = "__inferwatch.requeued.attempts"
FIRST_SEEN = "__inferwatch.requeued.first_seen"
BODY_HERE = "here"
BODY_ELSEWHERE = "in the record's first letter"
LETTERS_MAX = 10
PUBLISHED = ("window", "schema", "alert", "dead")
HEADERS_MAX = 64
HEADERS_MAX_BYTES = 16_384
_ORIGIN = re.compile(rb"((?:[A-Za-z0-9._-]{1,249}/)?[0-9]{1,10})@([0-9]{1,18})")


class Output(msgspec.Struct, frozen=True):
    """A record for `windows.v1`, `alerts.v1`, `dlq.v1`, or one sent on within `events.v1`.

    Equal `id` means equal bytes. `partition` is None where the key decides. A `schema` stands among
    the windows. A `request` goes to no topic: an inspector answers it with a record in `events.v1`.
    """

    kind: Literal["window", "schema", "alert", "dead", "forward", "request"]
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


def schema_output(record: SchemaRecord) -> Output:
    """Changes of a schema; the last by name are left out until it fits 256 KiB."""
    value, kept = canonical(record), len(record.changes)
    while len(value) > OUTPUT_MAX_BYTES and kept:
        kept //= 2
        rest = len(record.changes) - kept
        fit = msgspec.structs.replace(record, changes=record.changes[:kept], truncated=rest)
        value = canonical(fit)
    headers = _headers("schema", record.id, record.model)
    return Output("schema", record.model.encode(), value, record.id, headers)


def alert_output(record: AlertRecord) -> Output:
    """A transition, keyed by its fingerprint."""
    return Output(
        "alert",
        record.fingerprint.encode(),
        canonical(record),
        record.id,
        _headers("alert", record.id, record.model),
    )


def request_output(request: Request) -> Output:
    """What an inspector is asked, as bytes that any process can be handed."""
    id_ = request_id(request.window, request.method, request.metric)
    return Output("request", request.model.encode(), msgspec.msgpack.encode(request), id_)


def forward_output(raw: RawRecord, partition: int) -> Output:
    """A record that its producer put into the wrong partition, for the right one.

    It names where it came from first, so that a copy that is sent twice is folded once.
    """
    origin = raw.headers.get(FORWARDED, b"")
    if not forwarded_from(origin)[0]:
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
    """The `FORWARDED` header as an emitter and its number; nonsense never counts as a repeat.

    It is `partition@offset` of the events topic, or `topic/partition@offset` of another one.
    """
    found = _ORIGIN.fullmatch(origin)
    return (f"@{found[1].decode()}", int(found[2])) if found else ("", 0)


def dead_outputs(raw: RawRecord, rejects: Sequence[Reject]) -> list[Output]:
    """Dead letters of one record: one a reject, of which the first carries the bytes.

    Beyond `LETTERS_MAX` the last one counts the rest: a broken sender must not fill the topic.
    """
    named = list(rejects[:LETTERS_MAX])
    if len(rejects) > LETTERS_MAX:
        rest = rejects[LETTERS_MAX - 1 :]
        rows = sum(reject.rows for reject in rest)
        detail = f"and {len(rest) - 1} more reasons: {rest[0].detail}"
        named[-1] = msgspec.structs.replace(rest[0], rows=rows, detail=detail)
    return [dead_output(raw, reject, body=not place) for place, reject in enumerate(named)]


def dead_output(raw: RawRecord, reject: Reject, *, body: bool = True) -> Output:
    """A dead letter: where the record stands, why it was not folded, and its bytes or not.

    `attempts` and `first_seen` reach back over what `inferwatch dlq requeue` has sent again.
    """
    name = _name(raw)
    id_ = name if reject.row < 0 else f"{name}-{reject.row}"
    facts = {
        "topic": raw.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "timestamp": raw.time_ms,
        "stage": reject.stage,
        "reason": Reason(reject.reason).value,
        "exception.class": DataError.__name__,
        "exception.message": reject.detail,
        "attempts": 1 + _number(raw.headers.get(ATTEMPTS), 0),
        "first_seen": _number(raw.headers.get(FIRST_SEEN), raw.time_ms),
        "row": reject.row,
        "rows": reject.rows,
        "id": id_,
        "body": BODY_HERE if body else BODY_ELSEWHERE,
    }
    headers = {f"{ERROR_HEADERS}{name}": str(value).encode() for name, value in facts.items()}
    value = raw.value or b"" if body else b""
    return Output("dead", raw.key or b"", value, id_, _few(raw.headers) | headers)


def _name(raw: RawRecord) -> str:
    """What a record is known by in its letters: its place, or the one in the topic that a bridge
    has read, which may bring it again; whoever sends a letter again gets another one.
    """
    origin = raw.headers.get(FORWARDED, b"")
    bridged = b"/" in origin and ATTEMPTS not in raw.headers and _ORIGIN.fullmatch(origin)
    return origin.decode() if bridged else raw.name


def without_body(letter: Output, why: str) -> Output:
    """The same dead letter as a pointer: the bytes are where its headers say, while the log lasts.

    `why` goes into the `body` header.
    """
    headers = letter.headers | {f"{ERROR_HEADERS}body": why.encode()}
    return msgspec.structs.replace(letter, value=b"", headers=headers)


def _number(text: bytes | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < 19 else otherwise


def _header_bytes(header: tuple[str, bytes]) -> int:
    return len(header[0]) + len(header[1])


def _few(headers: Mapping[str, bytes]) -> dict[str, bytes]:
    """The record's own headers; a flood of them is left out, by name, the largest first."""
    size = sum(map(_header_bytes, headers.items()))
    if len(headers) <= HEADERS_MAX and size <= HEADERS_MAX_BYTES:
        return dict(headers)
    kept: dict[str, bytes] = {}
    left_bytes = HEADERS_MAX_BYTES
    for name, value in sorted(headers.items(), key=_header_bytes):
        left_bytes -= _header_bytes((name, value))
        if left_bytes < 0 or len(kept) == HEADERS_MAX:
            break
        kept[name] = value
    return kept | {f"{ERROR_HEADERS}headers_left_out": str(len(headers) - len(kept)).encode()}
