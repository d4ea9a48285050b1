"""Bytes to records: what a broker holds becomes rows and events, or a named reject.

Never raises for bad input, whatever the bytes: a record that cannot be read is a `Reject` with a
reason from the closed list, a bad row of a good batch is one too, and the other rows are kept.
`schemas/batch.md` is the written form of what is read here.
Cost: 60 µs a batch of 500 rows × 20 features.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.errors import DataError, Reason
from inferwatch.records import arrays, bounds, single
from inferwatch.records.batch import InferenceBatch, LabelBatch
from inferwatch.records.events import (
    Deploy,
    Gap,
    Inspection,
    MonitorChange,
    ReferenceChange,
    Resource,
    Skip,
    Tick,
    Verdict,
)
from inferwatch.records.ids import Ids
from inferwatch.records.raw import (
    COLUMNS_MAX,
    COUNT_END,
    EARLIEST_MS,
    JSON,
    LATEST_MS,
    MSGPACK,
    NAME,
    NAME_MAX,
    PREFIX,
    Decoded,
    RawRecord,
    Reject,
)
from inferwatch.records.rows import Calls, Floats, Rows, Truths, Words

BODY_MAX_BYTES = 1 << 20
ROWS_MAX = 100_000
ROWS_NAMED_MAX = 20
OUTPUTS = ("window", "schema", "alert")
EVENTS: dict[str, Any] = {
    "resource": Resource,
    "deploy": Deploy,
    "verdict": Verdict,
    "reference": ReferenceChange,
    "monitor": MonitorChange,
    "inspection": Inspection,
    "skip": Skip,
    "gap": Gap,
}
BATCHES: dict[tuple[bytes | None, bytes | None], tuple[str, str]] = {  # as the SDK names them
    (f"{PREFIX}{word}.v1".encode(), MSGPACK.encode()): (word, MSGPACK)
    for word in ("inference", "label")
}
Fault = tuple[Reason, str, NDArray[np.bool_]]


class _Version(msgspec.Struct):
    schema: str = ""


_inference = msgspec.msgpack.Decoder(InferenceBatch)
_label = msgspec.msgpack.Decoder(LabelBatch)
_version = msgspec.msgpack.Decoder(_Version)
_events = {word: msgspec.json.Decoder(kind) for word, kind in EVENTS.items()}


@np.errstate(invalid="ignore")  # a signalling NaN is missing; that numpy warns of it is no output
def decode(raw: RawRecord) -> Decoded:
    """What the record says. Rows that cannot be used are rejects beside it."""
    try:
        return _decode(raw)
    except DataError as error:
        reject = Reject(reason=error.reason, detail=error.detail[:500])
        return Decoded(None, (reject,), 1)


def event(
    described: dict[str, bytes], body: bytes | None
) -> tuple[single.InferenceEvent | single.LabelEvent, int] | None:
    """The one answer or label that a JSON record holds, by its headers and value, and its time.

    None for a record of another kind, and for one whose time or model is none. Its key is not
    looked at.

    :raises DataError: `decode` would reject it.
    """
    word, content = _type(described)
    if not body or content == MSGPACK or word == "tick":
        return None
    if content.startswith("application/cloudevents"):
        word, body = single.envelope(body)
        _check_word(word)
    if word in EVENTS:
        return None
    found = single.read(word, body)
    named = len(found.model) <= NAME_MAX and NAME.fullmatch(found.model)
    time_ms = single.time_ms(found.timestamp)
    return (found, time_ms) if named and EARLIEST_MS <= time_ms < LATEST_MS else None


def _decode(raw: RawRecord) -> Decoded:
    word, content = _type(raw.headers)
    if word == "tick":
        return Decoded(Tick())
    if not raw.value:
        raise DataError(Reason.EMPTY, "the record has no body")
    if len(raw.value) > BODY_MAX_BYTES:
        raise DataError(Reason.TOO_LARGE, f"{len(raw.value)} bytes, at most {BODY_MAX_BYTES}")
    body = raw.value
    if content.startswith("application/cloudevents"):
        word, body = single.envelope(body)
        _check_word(word)
    if content == MSGPACK:
        decoded = _batch(word, body)
    elif word in EVENTS:
        decoded = Decoded(_event(word, body))
    else:
        decoded = _single(word, body)
    model = getattr(decoded.record, "model", None)
    if model is not None:
        _check_key(raw, model)
    return decoded


def _type(described: dict[str, bytes]) -> tuple[str, str]:
    """Record type and content type; without headers a JSON object is looked at."""
    named = described.get("ce_type"), described.get("content-type")
    return BATCHES.get(named) or _read_type(described)


def _read_type(described: dict[str, bytes]) -> tuple[str, str]:
    content = described.get("content-type", b"").decode("ascii", "replace").lower()
    content = content.split(";")[0].strip() or JSON
    kind = described.get("ce_type")
    if kind is None:
        return "", content
    word = single.word_of(kind.decode("utf-8", "replace"))
    if word != "tick":
        _check_word(word)
    return word, content


def _check_word(word: str) -> None:
    if word in OUTPUTS:
        raise DataError(Reason.SCHEMA_INVALID, single.OUTPUT)
    if word not in ("inference", "label", *EVENTS):
        raise DataError(Reason.TYPE_UNKNOWN, f"no record is called {word[:80]!r}")


def _check_key(raw: RawRecord, model: str) -> None:
    if len(model) > NAME_MAX or not NAME.fullmatch(model):
        raise DataError(Reason.SCHEMA_INVALID, f"{model[:80]!r} is no model name: team/model")
    if raw.key != model.encode():
        raise DataError(Reason.KEY_MISMATCH, f"the key is {raw.key!r}, the body says {model!r}")


def _event(word: str, body: bytes) -> Any:
    if word == "monitor":  # carries a profile of every feature
        bounds.check(body, BODY_MAX_BYTES, COLUMNS_MAX)
    else:
        bounds.check(body)
    event = bounds.parse(_events[word], body)
    for name in ("time_ms", "started_ms"):
        time_ms = getattr(event, name, None)
        if time_ms is not None and not EARLIEST_MS <= time_ms < LATEST_MS:
            raise DataError(Reason.BAD_TIME, f"{name} {time_ms} is no time in milliseconds")
    return event


def _single(word: str, body: bytes) -> Decoded:
    event = single.decode(word, body)
    return _judged(
        _measured(event) if isinstance(event, Rows) else event, _bad_times(event.time_ms)
    )


def _batch(word: str, body: bytes) -> Decoded:
    if word not in ("inference", "label", ""):
        raise DataError(Reason.SCHEMA_INVALID, f"a {word} record is JSON, not msgpack")
    batch: InferenceBatch | LabelBatch
    try:
        batch = (_label if word == "label" else _inference).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _check_version(body)  # a later major may hold anything
        raise bounds.named(error, Reason.NOT_MSGPACK) from None
    _check_head(batch)
    return _truths(batch) if isinstance(batch, LabelBatch) else _rows(batch)


def _check_version(body: bytes) -> None:
    try:
        schema = _version.decode(body).schema
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if schema:
        _check_major(schema)


def _check_major(schema: str) -> None:
    if schema.split(".")[0] != "1":
        raise DataError(Reason.SCHEMA_UNKNOWN, f"schema {schema[:80]!r}; this release reads 1.x")


def _check_head(batch: InferenceBatch | LabelBatch) -> None:
    _check_major(batch.schema)
    if not 1 <= batch.rows <= ROWS_MAX:
        raise DataError(Reason.INT_RANGE, f"{batch.rows} rows, 1 to {ROWS_MAX}")
    counts = [("seq", batch.seq), ("emitted", batch.emitted), *batch.dropped.items()]
    for name, count in counts:
        if not 0 <= count < COUNT_END:
            raise DataError(Reason.INT_RANGE, f"{name[:80]} {count} is not in 0 to 2^62")
    for name in ("emitter", "version"):
        if getattr(batch, name) == "":
            raise DataError(Reason.MISSING_FIELD, f"{name} is empty")
    arrays.check_texts("emitter or version", (batch.emitter, batch.version or ""))


def _rows(batch: InferenceBatch) -> Decoded:
    n = batch.rows
    names, numeric = arrays.block(batch.numeric, n, arrays.FLOAT32, "numeric")
    scored, scores = arrays.block(batch.scores, n, arrays.FLOAT64, "scores")
    if len(names) + len(batch.categories) + len(batch.segments) > COLUMNS_MAX:
        raise DataError(Reason.TOO_MANY_FIELDS, f"more than {COLUMNS_MAX} columns")
    arrays.check_texts("a column's name", [*names, *scored, *batch.categories, *batch.segments])
    time_ms = arrays.times(batch.time_ms, n)
    ids, shortest = arrays.ids(batch.ids, n, "ids")
    rows = Rows(
        model=batch.model,
        version=batch.version,
        emitter=batch.emitter,
        seq=batch.seq,
        emitted=batch.emitted,
        dropped=sum(batch.dropped.values()),
        n=n,
        time_ms=time_ms,
        ids=ids,
        numeric_names=names,
        numeric=numeric.astype(np.float32, copy=False),
        categories={
            name: arrays.words(column, n, name) for name, column in batch.categories.items()
        },
        prediction=arrays.answer(batch.prediction, n, "prediction"),
        score_names=scored,
        scores=scores.astype(np.float64, copy=False),
        latency_ms=arrays.floats(batch.latency_ms, n, "latency_ms"),
        error=None if batch.error is None else arrays.words(batch.error, n, "error"),
        segments={name: arrays.words(column, n, name) for name, column in batch.segments.items()},
        weight=arrays.floats(batch.weight, n, "weight"),
        entity=None if batch.entity is None else arrays.ids(batch.entity, n, "entity")[0],
        instance=batch.instance,
        source_offsets=arrays.source_offsets(batch.source_offsets, n),
        llm=None if batch.llm is None else arrays.calls(batch.llm, n),
        embedding=None if batch.embedding is None else arrays.vectors(batch.embedding, n),
    )
    faults = [*_bad_times(time_ms), *_no_ids(ids, shortest), *_beyond(rows)]
    return _judged(_measured(rows), faults)


def finite(rows: Rows) -> Decoded:
    """The rows without an infinite figure of their own, and rejects of the others; a feature may
    be infinite.
    """
    return _judged(_measured(rows), _beyond(rows))


def _measured(rows: Rows) -> Rows:
    """The rows with no latency, tokens or cost below 0: no clock or counter gives such a number."""
    latency_ms, llm = rows.latency_ms, rows.llm
    if latency_ms is not None and np.count_nonzero(latency_ms < 0):
        latency_ms = np.where(latency_ms < 0, np.nan, latency_ms)
    if llm is not None and np.count_nonzero(llm.numbers < 0):
        llm = Calls(np.where(llm.numbers < 0, np.nan, llm.numbers), llm.finish_reason)
    if latency_ms is rows.latency_ms and llm is rows.llm:
        return rows
    return msgspec.structs.replace(rows, latency_ms=latency_ms, llm=llm)


def _beyond(rows: Rows) -> list[Fault]:
    return _infinite(
        {
            "prediction": rows.prediction,
            "a score": rows.scores,
            "latency_ms": rows.latency_ms,
            "weight": rows.weight,
            "a figure of llm": None if rows.llm is None else rows.llm.numbers,
        }
    )


def _truths(batch: LabelBatch) -> Decoded:
    n = batch.rows
    label = arrays.answer(batch.label, n, "label")
    assert label is not None
    scored, scores = arrays.block(batch.scores, n, arrays.FLOAT64, "scores")
    arrays.check_texts("a column's name", list(scored))
    time_ms = arrays.times(batch.time_ms, n)
    ids, shortest = arrays.ids(batch.ids, n, "ids")
    truths = Truths(
        model=batch.model,
        version=batch.version,
        emitter=batch.emitter,
        seq=batch.seq,
        emitted=batch.emitted,
        dropped=sum(batch.dropped.values()),
        n=n,
        time_ms=time_ms,
        ids=ids,
        label=label,
        prediction=arrays.answer(batch.prediction, n, "prediction"),
        score_names=scored,
        scores=scores.astype(np.float64, copy=False) if scored else None,
        source_offsets=arrays.source_offsets(batch.source_offsets, n),
    )
    unknown = label.codes < 0 if isinstance(label, Words) else ~np.isfinite(label)
    columns = {"prediction": truths.prediction, "a score": truths.scores}
    return _judged(
        truths,
        [
            *_bad_times(time_ms),
            *_no_ids(ids, shortest),
            (Reason.LABEL_INVALID, "the label is missing or not finite", unknown),
            *_infinite(columns),
        ],
    )


def _judged(rows: Rows | Truths, faults: list[Fault]) -> Decoded:
    """The rows without a fault; one reject for all the rows that have the same one first."""
    if not faults:
        return Decoded(rows, (), rows.n)
    keep = np.ones(rows.n, np.bool_)
    rejects = []
    for reason, detail, bad in faults:
        places = np.flatnonzero(bad & keep).tolist()
        if places:
            keep[places] = False
            rejects.append(_reject(reason, detail, places, rows.n))
    if not rejects:
        return Decoded(rows, (), rows.n)
    return Decoded(take(rows, keep), tuple(rejects), rows.n)


def _reject(reason: Reason, detail: str, places: list[int], n: int) -> Reject:
    if len(places) == n:
        return Reject(reason=reason, detail=f"{detail} (every row)", rows=n)
    named = ", ".join(map(str, places[:ROWS_NAMED_MAX]))
    more = ", …" if len(places) > ROWS_NAMED_MAX else ""
    detail = f"{detail} (rows {named}{more} of {n})"
    return Reject(reason=reason, detail=detail, row=places[0], rows=len(places))


def _bad_times(time_ms: NDArray[np.int64]) -> list[Fault]:
    if np.minimum.reduce(time_ms) >= EARLIEST_MS and np.maximum.reduce(time_ms) < LATEST_MS:
        return []
    bad = (time_ms < EARLIEST_MS) | (time_ms >= LATEST_MS)
    first = int(time_ms[bad.argmax()])
    return [(Reason.BAD_TIME, f"time {first} is no time in milliseconds", bad)]


def _no_ids(ids: Ids, shortest: int) -> list[Fault]:
    if shortest:
        return []
    missing = ids.sizes() == 0
    return [(Reason.MISSING_FIELD, "the prediction id is empty", missing)]


def _infinite(columns: dict[str, Words | Floats | None]) -> list[Fault]:
    faults: list[Fault] = []
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            infinite: NDArray[np.bool_] = np.isinf(column)
            if np.count_nonzero(infinite):  # a tenth of what `any` costs
                bad = np.asarray(np.atleast_2d(infinite).any(axis=0))
                faults.append((Reason.NON_FINITE, f"{name} is infinite", bad))
    return faults


def take(rows: Any, keep: NDArray[np.bool_]) -> Any:
    """The rows or truths that `keep` picks; None where nothing is left."""
    n = int(keep.sum())
    if not n:
        return None
    changed = {
        field: _take(getattr(rows, field), keep)
        for field in rows.__struct_fields__
        if field not in ("dropped", "emitted", "seq", "numeric_names", "score_names", "embedding")
    }
    if isinstance(rows, Rows) and rows.embedding is not None:
        changed["embedding"] = rows.embedding[keep]
    return msgspec.structs.replace(rows, **changed | {"n": n})


def _take(value: Any, keep: NDArray[np.bool_]) -> Any:
    if isinstance(value, np.ndarray):
        return value[..., keep]
    if isinstance(value, Words):
        return Words(value.words, value.codes[keep])
    if isinstance(value, Ids | Calls):
        return value.take(keep)
    if isinstance(value, dict):
        return {name: _take(column, keep) for name, column in value.items()}
    return value
