"""One event a message, as JSON: what a server without the SDK can send with any client.

schemas/event.schema.json is the contract, `records.bounds` has the limits.
"""

import math
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import numpy as np

from inferwatch.errors import DataError, Reason
from inferwatch.records import arrays, bounds
from inferwatch.records.batch import CALL_NUMBERS
from inferwatch.records.ids import pack
from inferwatch.records.raw import EMBEDDING_DIM_MAX, PREFIX, Instance
from inferwatch.records.rows import Calls, Rows, Truths, Words

OUTPUT = "a record that inferwatch wrote, not an event: is an output topic read as events?"
Scalar = bool | int | float | str | None
Vector = Annotated[list[float], msgspec.Meta(min_length=1, max_length=EMBEDDING_DIM_MAX)]


class LlmCall(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of a language model used, and the provider's word for how it ended."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    time_to_first_token_ms: float | None = None
    cost: float | None = None
    finish_reason: str | None = None


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
    instance: Instance = ""
    llm: LlmCall | None = None
    embedding: Vector | None = None


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
    """The fields that tell what an object without a type is."""

    label: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prediction_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    specversion: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    fingerprint: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    window: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_inference = msgspec.json.Decoder(InferenceEvent)
_label = msgspec.json.Decoder(LabelEvent)
_envelope = msgspec.json.Decoder(_Envelope)
_peek = msgspec.json.Decoder(_Peek)


def envelope(body: bytes) -> tuple[str, bytes]:
    """Type and data of a structured CloudEvent.

    :raises DataError: it is none, or of a foreign type.
    """
    bounds.check(body)
    found = bounds.parse(_envelope, body)
    return word_of(found.type), bytes(found.data)


def word_of(type_: str) -> str:
    """The word in `io.inferwatch.<word>.v1`.

    :raises DataError: the type is foreign, or of another major version.
    """
    word, _, version = type_.removeprefix(PREFIX).rpartition(".v")
    if not type_.startswith(PREFIX) or not word:
        raise DataError(
            Reason.SCHEMA_INVALID, f"type {type_[:80]!r} is foreign; ours are {PREFIX}<word>.v1"
        )
    if version != "1":
        raise DataError(Reason.SCHEMA_UNKNOWN, f"version {version[:80]!r}; this release reads 1")
    return word


def decode(word: str, body: bytes) -> Rows | Truths:
    """One event as a batch of one row.

    :raises DataError: with the reason and the field.
    """
    event = read(word, body)
    return _truths(event) if isinstance(event, LabelEvent) else _rows(event)


def read(word: str, body: bytes) -> InferenceEvent | LabelEvent:
    """One event as it was sent. Without a type, an object with a `label` is a label.

    Checked but for its time, its model's name and the finiteness of a label.

    :raises DataError: with the reason and the field.
    """
    bounds.check(body)
    if not word:
        word = _guess(bounds.parse(_peek, body))
    if word == "label":
        label: LabelEvent = bounds.parse(_label, body)
        _check_ids(label.model, label.version, label.prediction_id)
        return label
    if word != "inference":
        raise DataError(Reason.TYPE_UNKNOWN, f"no event is called {word[:80]!r}")
    event: InferenceEvent = bounds.parse(_inference, body)
    if len(event.features) + len(event.segments) + len(event.scores) > bounds.FIELDS_MAX:
        raise DataError(Reason.TOO_MANY_FIELDS, f"more than {bounds.FIELDS_MAX} features")
    _check_ids(event.model, event.version, event.prediction_id)
    return event


def _guess(seen: _Peek) -> str:
    if seen.label is not msgspec.UNSET:
        return "label"
    if seen.prediction_id is msgspec.UNSET:
        if seen.specversion is not msgspec.UNSET:
            raise DataError(
                Reason.SCHEMA_INVALID,
                "a structured CloudEvent; its content-type is application/cloudevents+json",
            )
        if seen.fingerprint is not msgspec.UNSET or seen.window is not msgspec.UNSET:
            raise DataError(Reason.SCHEMA_INVALID, OUTPUT)
        if seen.model is msgspec.UNSET:
            raise DataError(
                Reason.SCHEMA_INVALID,
                "a foreign record: neither model nor prediction_id; see schemas/event.schema.json",
            )
    return "inference"


def _rows(event: InferenceEvent) -> Rows:
    known = {name: value for name, value in event.features.items() if value is not None}
    numeric = {name: value for name, value in known.items() if is_number(value)}
    words = {name: value for name, value in known.items() if not is_number(value)}
    scores = dict(event.scores) or ({} if event.proba is None else {"score": event.proba})
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
        ids=pack([event.prediction_id]),
        numeric_names=tuple(numeric),
        numeric=column.reshape(-1, 1),
        categories={name: _word(value) for name, value in words.items()},
        prediction=_answer(event.prediction),
        score_names=tuple(scores),
        scores=np.array(list(scores.values()), np.float64).reshape(-1, 1),
        latency_ms=None if event.latency_ms is None else np.array([event.latency_ms]),
        error=None if event.error is None else _word(event.error),
        segments={name: _word(value) for name, value in event.segments.items()},
        entity=None if event.entity_id is None else pack([event.entity_id]),
        instance=event.instance,
        llm=None if event.llm is None else _call(event.llm),
        embedding=None if event.embedding is None else arrays.whole(np.array([event.embedding])),
    )


def _call(call: LlmCall) -> Calls:
    known = [getattr(call, name) for name in CALL_NUMBERS]
    numbers = [[math.nan if value is None else value] for value in known]
    return Calls(np.array(numbers, np.float64), _word(call.finish_reason))


def _truths(event: LabelEvent) -> Truths:
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
        ids=pack([event.prediction_id]),
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
