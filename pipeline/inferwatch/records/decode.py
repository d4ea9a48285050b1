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
from inferwatch.records import bounds, single
from inferwatch.records.batch import CALL_NUMBERS, InferenceBatch, LabelBatch, LlmCalls
from inferwatch.records.columns import Categories, Float32Block, Float64Block, Numbers, Texts
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
from inferwatch.records.ids import Ids, is_text
from inferwatch.records.raw import (
    COLUMNS_MAX,
    EARLIEST_MS,
    JSON,
    LATEST_MS,
    MSGPACK,
    NAME,
    NAME_MAX,
    PREFIX,
    TEXT_MAX_BYTES,
    Decoded,
    RawRecord,
    Reject,
)
from inferwatch.records.rows import Calls, Floats, Rows, Truths, Words

BODY_MAX_BYTES = 1 << 20
ROWS_MAX = 100_000
COUNT_END = 1 << 62
ROWS_NAMED_MAX = 20
OUTPUTS = ("window", "alert")
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
INT32, UINT32, INT64 = np.dtype("<i4"), np.dtype("<u4"), np.dtype("<i8")
FLOAT32, FLOAT64 = np.dtype("<f4"), np.dtype("<f8")
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
    return _judged(event, _bad_times(event.time_ms))


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
    _check_texts("emitter or version", (batch.emitter, batch.version or ""))


def _check_texts(name: str, texts: tuple[str, ...] | list[str]) -> None:
    if 4 * max(map(len, texts), default=0) <= TEXT_MAX_BYTES:
        return  # a letter is four bytes at most
    for text in texts:
        if len(text) > TEXT_MAX_BYTES or (
            not text.isascii() and len(text.encode()) > TEXT_MAX_BYTES
        ):
            raise DataError(Reason.TOO_LARGE, f"{name} above {TEXT_MAX_BYTES} bytes")


def _rows(batch: InferenceBatch) -> Decoded:
    n = batch.rows
    names, numeric = _block(batch.numeric, n, FLOAT32, "numeric")
    scored, scores = _block(batch.scores, n, FLOAT64, "scores")
    if len(names) + len(batch.categories) + len(batch.segments) > COLUMNS_MAX:
        raise DataError(Reason.TOO_MANY_FIELDS, f"more than {COLUMNS_MAX} columns")
    _check_texts("a column's name", [*names, *scored, *batch.categories, *batch.segments])
    time_ms = _array(batch.time_ms, n, INT64, "time_ms").astype(np.int64)  # aligned
    ids, shortest = _ids(batch.ids, n, "ids")
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
        numeric=numeric.astype(np.float32),  # a copy: aligned, so that one kernel fits all
        categories={name: _words(column, n, name) for name, column in batch.categories.items()},
        prediction=_answer(batch.prediction, n, "prediction"),
        score_names=scored,
        scores=scores.astype(np.float64, copy=False),
        latency_ms=_floats(batch.latency_ms, n, "latency_ms"),
        error=None if batch.error is None else _words(batch.error, n, "error"),
        segments={name: _words(column, n, name) for name, column in batch.segments.items()},
        weight=_floats(batch.weight, n, "weight"),
        entity=None if batch.entity is None else _ids(batch.entity, n, "entity")[0],
        instance=batch.instance,
        source_offsets=_source_offsets(batch.source_offsets, n),
        llm=None if batch.llm is None else _calls(batch.llm, n),
    )
    return _judged(rows, [*_bad_times(time_ms), *_no_ids(ids, shortest), *_beyond(rows)])


def finite(rows: Rows) -> Decoded:
    """The rows without an infinite figure of their own, and rejects of the others; a feature may
    be infinite.
    """
    return _judged(rows, _beyond(rows))


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
    label = _answer(batch.label, n, "label")
    assert label is not None
    scored, scores = _block(batch.scores, n, FLOAT64, "scores")
    _check_texts("a column's name", list(scored))
    time_ms = _array(batch.time_ms, n, INT64, "time_ms").astype(np.int64)  # aligned
    ids, shortest = _ids(batch.ids, n, "ids")
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
        prediction=_answer(batch.prediction, n, "prediction"),
        score_names=scored,
        scores=scores.astype(np.float64, copy=False) if scored else None,
        source_offsets=_source_offsets(batch.source_offsets, n),
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
        if field not in ("dropped", "emitted", "seq", "numeric_names", "score_names")
    }
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


def _array(data: bytes, n: int, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    if len(data) != n * dtype.itemsize:
        raise DataError(
            Reason.COLUMN_LENGTH, f"{name} holds {len(data)} bytes, {n * dtype.itemsize} expected"
        )
    return np.frombuffer(data, dtype)


def _source_offsets(data: bytes | None, n: int) -> NDArray[np.int64] | None:
    if data is None:
        return None
    offsets = _array(data, n, INT64, "source_offsets").astype(np.int64, copy=False)
    if int(offsets.min()) < 0 or int(offsets.max()) >= COUNT_END:
        raise DataError(Reason.INT_RANGE, "a source offset is not in 0 to 2^62")
    if (np.diff(offsets) <= 0).any():
        raise DataError(Reason.INT_RANGE, "source_offsets do not ascend")
    return offsets


def _floats(data: bytes | None, n: int, name: str) -> Floats | None:
    return None if data is None else _array(data, n, FLOAT32, name).astype(np.float64)


def _calls(calls: LlmCalls, n: int) -> Calls:
    numbers = np.full((len(CALL_NUMBERS), n), np.nan)
    for row, name in zip(numbers, CALL_NUMBERS, strict=True):
        column = _floats(getattr(calls, name), n, f"llm.{name}")
        if column is not None:
            row[:] = column
    if calls.finish_reason is None:
        return Calls(numbers, Words((), np.full(n, -1, np.int32)))
    return Calls(numbers, _words(calls.finish_reason, n, "llm.finish_reason"))


def _block(
    block: Float32Block | Float64Block | None, n: int, dtype: np.dtype[Any], name: str
) -> tuple[tuple[str, ...], NDArray[Any]]:
    if block is None:
        return (), np.empty((0, n), dtype)
    width = len(block.names)
    if width > COLUMNS_MAX:
        raise DataError(Reason.TOO_MANY_FIELDS, f"{name} has {width} columns")
    if len(dict.fromkeys(block.names)) != width:
        raise DataError(Reason.DUPLICATE_KEY, f"{name} names a column twice")
    flat = _array(block.data, n * width, dtype, name)
    return tuple(block.names), flat.reshape(width, n)


def _ends(texts: Texts, n: int, name: str) -> tuple[NDArray[np.int32], int]:
    """Where each text ends, and the bytes of the shortest."""
    ends = _array(texts.ends, n, UINT32, f"{name}.ends")
    steps = ends[1:] - ends[:-1]  # unsigned: a step back is a huge one
    longest = int(np.maximum.reduce(steps, initial=ends[0]))
    backwards = longest > TEXT_MAX_BYTES and (ends[1:] < ends[:-1]).any()
    if backwards or int(ends[-1]) != len(texts.data):
        raise DataError(Reason.COLUMN_LENGTH, f"{name}.ends do not fit its data")
    if longest > TEXT_MAX_BYTES:
        raise DataError(Reason.TOO_LARGE, f"{name} holds a text above {TEXT_MAX_BYTES} bytes")
    shortest = int(np.minimum.reduce(steps, initial=ends[0]))
    ends = ends.astype(np.int32)
    if not is_text(texts.data, ends):
        raise DataError(Reason.BAD_UTF8, f"{name} is not UTF-8")
    return ends, shortest


def _ids(texts: Texts, n: int, name: str) -> tuple[Ids, int]:
    """The column, and the bytes of its shortest id."""
    ends, shortest = _ends(texts, n, name)
    return Ids(np.frombuffer(texts.data, np.uint8).copy(), ends), shortest


def _words(column: Categories, n: int, name: str) -> Words:
    codes = _array(column.codes, n, INT32, f"{name}.codes").astype(np.int32, copy=False)
    if int(codes.min()) < -1 or int(codes.max()) >= len(column.words):
        raise DataError(Reason.INT_RANGE, f"{name} has a code outside its dictionary")
    _check_texts(f"a word of {name}", column.words)
    return Words(tuple(column.words), codes)


def _answer(column: Numbers | Categories | None, n: int, name: str) -> Words | Floats | None:
    if column is None:
        return None
    if isinstance(column, Categories):
        return _words(column, n, name)
    return _array(column.data, n, FLOAT64, name).astype(np.float64, copy=False)
