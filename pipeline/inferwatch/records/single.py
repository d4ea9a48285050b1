"""One event a message, as JSON: what a server without the SDK can send with any client.

schemas/event.schema.json is the contract. Limits are checked on the bytes before anything is
parsed.
"""

import math
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from inferwatch.errors import DataError, Reason
from inferwatch.records.raw import PREFIX
from inferwatch.records.rows import Rows, Truths, Words

DEPTH_MAX = 16
FIELDS_MAX = 512
STRING_MAX_BYTES = 8_192
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
Scalar = bool | int | float | str | None


class InferenceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `timestamp` is ISO 8601 with an offset, or whole milliseconds."""

    model: str
    version: str
    prediction_id: str
    timestamp: int | str
    features: dict[str, Scalar] = {}
    prediction: Scalar = None
    proba: float | None = None
    scores: dict[str, float] = {}
    latency_ms: float | None = None
    error: str | None = None
    segments: dict[str, str | None] = {}
    entity_id: str | None = None
    instance: str = ""


class LabelEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One truth, by the id of its prediction."""

    model: str
    prediction_id: str
    label: bool | int | float | str
    timestamp: int | str
    version: str | None = None


class _Envelope(msgspec.Struct):
    type: str
    data: msgspec.Raw


class _Peek(msgspec.Struct):
    label: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    type: str = ""


_inference = msgspec.json.Decoder(InferenceEvent)
_label = msgspec.json.Decoder(LabelEvent)
_envelope = msgspec.json.Decoder(_Envelope)
_peek = msgspec.json.Decoder(_Peek)


def check_bounds(body: bytes) -> None:
    """Reject what would be costly to parse: deep nesting, too many fields, invalid UTF-8.

    :raises DataError: naming the limit.
    """
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(Reason.BAD_UTF8, f"byte {error.start} is not UTF-8") from None
    depth = 0
    for token in _BRACKETS.finditer(body):
        first = token[0][:1]
        if first == b'"':
            if len(token[0]) > STRING_MAX_BYTES + 2:
                raise DataError(Reason.TOO_LARGE, f"a string above {STRING_MAX_BYTES} bytes")
            continue
        depth += 1 if first in b"[{" else -1
        if depth > DEPTH_MAX:
            raise DataError(Reason.DEPTH, f"nested deeper than {DEPTH_MAX}")


def envelope(body: bytes) -> tuple[str, bytes]:
    """Type and data of a structured CloudEvent.

    :raises DataError: it is none, or of a foreign type.
    """
    check_bounds(body)
    found = _parse(_envelope, body)
    word, _, version = found.type.removeprefix(PREFIX).rpartition(".v")
    if not found.type.startswith(PREFIX) or not word:
        raise DataError(Reason.TYPE_UNKNOWN, f"type {found.type[:80]!r} is not {PREFIX}<word>.v1")
    if version != "1":
        raise DataError(Reason.SCHEMA_UNKNOWN, f"version {version!r}; this release reads 1")
    return word, bytes(found.data)


def _parse(decoder: Any, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        missing = "missing required field" in str(error)
        reason = Reason.MISSING_FIELD if missing else Reason.SCHEMA_INVALID
        raise DataError(reason, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(Reason.NOT_JSON, str(error)) from None


def decode(word: str, body: bytes) -> Rows | Truths:
    """One event as a batch of one row. Without a type, an object with a `label` is a label.

    :raises DataError: with the reason and the field.
    """
    check_bounds(body)
    if not word:
        peeked = _parse(_peek, body)
        word = "inference" if peeked.label is msgspec.UNSET else "label"
        if peeked.type.startswith(PREFIX):
            raise DataError(Reason.SCHEMA_INVALID, "an output record of ours, not an event")
    if word == "label":
        return _truths(_parse(_label, body))
    if word != "inference":
        raise DataError(Reason.TYPE_UNKNOWN, f"no event is called {word!r}")
    return _rows(_parse(_inference, body))


def _rows(event: InferenceEvent) -> Rows:
    if len(event.features) + len(event.segments) + len(event.scores) > FIELDS_MAX:
        raise DataError(Reason.TOO_MANY_FIELDS, f"more than {FIELDS_MAX} features")
    numeric = {name: value for name, value in event.features.items() if is_number(value)}
    words = {name: value for name, value in event.features.items() if not is_number(value)}
    scores = dict(event.scores) or ({} if event.proba is None else {"score": event.proba})
    _check_ids(event.model, event.version, event.prediction_id)
    with np.errstate(over="ignore"):
        column = np.array(list(numeric.values()), np.float64).astype(np.float32)
    return Rows(
        model=event.model,
        version=event.version,
        emitter="",
        seq=-1,
        emitted=0,
        dropped=0,
        n=1,
        time_ms=np.array([time_ms(event.timestamp)], np.int64),
        ids=[event.prediction_id],
        numeric_names=tuple(numeric),
        numeric=column.reshape(-1, 1),
        categories={name: _word(value) for name, value in words.items()},
        prediction=_answer(event.prediction),
        score_names=tuple(scores),
        scores=np.array(list(scores.values()), np.float64).reshape(-1, 1),
        latency_ms=None if event.latency_ms is None else np.array([event.latency_ms]),
        error=None if event.error is None else _word(event.error),
        segments={name: _word(value) for name, value in event.segments.items()},
        entity=None if event.entity_id is None else [event.entity_id],
        instance=event.instance,
    )


def _truths(event: LabelEvent) -> Truths:
    _check_ids(event.model, event.version, event.prediction_id)
    label = _answer(event.label)
    if label is None or (isinstance(label, np.ndarray) and not math.isfinite(label[0])):
        raise DataError(Reason.LABEL_INVALID, "the label is missing or not finite")
    return Truths(
        model=event.model,
        version=event.version,
        emitter="",
        seq=-1,
        emitted=0,
        dropped=0,
        n=1,
        time_ms=np.array([time_ms(event.timestamp)], np.int64),
        ids=[event.prediction_id],
        label=label,
    )


def is_number(value: object) -> bool:
    """Whether a feature value is numeric; a bool is a category."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_ids(model: str, version: str | None, prediction_id: str) -> None:
    for name, value in (("model", model), ("version", version), ("prediction_id", prediction_id)):
        if value == "":
            raise DataError(Reason.MISSING_FIELD, f"{name} is empty")


def _word(value: Scalar) -> Words:
    if value is None:
        return Words((), np.array([-1], np.int32))
    word = str(value).lower() if isinstance(value, bool) else str(value)
    return Words((word,), np.zeros(1, np.int32))


def _answer(value: Scalar) -> Words | np.ndarray[Any, np.dtype[np.float64]] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _word(value)
    return np.array([float(value)])


def time_ms(timestamp: int | str) -> int:
    """Milliseconds since 1970.

    :raises DataError: text that is no ISO 8601 time with an offset, or a number beyond 64 bits.
    """
    if isinstance(timestamp, int):
        if not -(1 << 62) < timestamp < 1 << 62:
            raise DataError(Reason.INT_RANGE, "the timestamp is beyond 64 bits")
        return timestamp
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        raise DataError(Reason.BAD_TIME, f"{timestamp[:40]!r} is no ISO 8601 time") from None
    if moment.tzinfo is None:
        raise DataError(Reason.BAD_TIME, f"{timestamp[:40]!r} has no offset; write Z for UTC")
    try:
        return round(moment.astimezone(UTC).timestamp() * 1000)
    except OverflowError:
        raise DataError(Reason.BAD_TIME, f"{timestamp[:40]!r} is out of range") from None
