"""Records as a broker would hold them, for tests: every argument that does not matter has a
default.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inferwatch.records import batch, columns
from inferwatch.records.raw import JSON, MSGPACK, RawRecord, headers

TIME_MS = 1_700_000_000_000


def raw_inference(
    *,
    n: int = 1,
    model: str = "team/model",
    version: str = "1",
    offset: int = 0,
    partition: int = 0,
    record_time_ms: int | None = None,
    time_ms: Sequence[int] | None = None,
    numeric: Mapping[str, Sequence[float]] | None = None,
    categories: Mapping[str, Sequence[str | None]] | None = None,
    prediction: Sequence[Any] | None = None,
    score: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    ids: Sequence[str] | None = None,
    emitter: str = "emitter",
    seq: int | None = None,
    latency_ms: Sequence[float] | None = None,
    error: Sequence[str | None] | None = None,
    segments: Mapping[str, Sequence[str | None]] | None = None,
    llm: Mapping[str, Sequence[Any]] | None = None,
    embedding: Sequence[Sequence[float]] | None = None,
    entity: Sequence[str] | None = None,
    instance: str = "",
    emitted: int = 0,
    dropped: Mapping[str, int] | None = None,
) -> RawRecord:
    """One batch of `n` rows; `seq` is the offset, so that batches are no repeats of each other.

    `score` is that of the positive class, or the scores by class. `embedding` has a vector a row.
    """
    times = list(time_ms) if time_ms is not None else [TIME_MS + offset] * n
    names = list(numeric or {})
    values = [value for name in names for value in (numeric or {})[name]]
    body = batch.InferenceBatch(
        model=model,
        version=version,
        emitter=emitter,
        seq=offset if seq is None else seq,
        rows=n,
        emitted=emitted,
        dropped=dict(dropped or {}),
        time_ms=columns.pack("q", times),
        ids=columns.pack_texts(ids or [f"{offset}-{row}" for row in range(n)]),
        numeric=columns.Float32Block(names, columns.pack("f", values)) if names else None,
        categories={
            name: columns.pack_categories(words) for name, words in (categories or {}).items()
        },
        prediction=answer(prediction),
        scores=None if score is None else _scores(score),
        latency_ms=None if latency_ms is None else columns.pack("f", latency_ms),
        error=None if error is None else columns.pack_categories(error),
        segments={name: columns.pack_categories(words) for name, words in (segments or {}).items()},
        llm=None if llm is None else calls(llm),
        embedding=None if embedding is None else vectors(embedding),
        entity=None if entity is None else columns.pack_texts(entity),
        instance=instance,
    )
    time = max(times) if record_time_ms is None else record_time_ms
    return _raw("inference", model, batch.encode(body), MSGPACK, offset, partition, time)


def _scores(score: Sequence[float] | Mapping[str, Sequence[float]]) -> columns.Float64Block:
    named = score if isinstance(score, Mapping) else {"score": score}
    values = [value for column in named.values() for value in column]
    return columns.Float64Block(list(named), columns.pack("d", values))


def raw_labels(
    *,
    ids: Sequence[str],
    label: Sequence[Any],
    model: str = "team/model",
    version: str | None = None,
    offset: int = 0,
    partition: int = 0,
    record_time_ms: int | None = None,
    time_ms: Sequence[int] | None = None,
    emitter: str = "labeller",
    seq: int | None = None,
) -> RawRecord:
    """One batch of labels."""
    times = list(time_ms) if time_ms is not None else [TIME_MS + offset] * len(ids)
    truth = answer(label)
    assert truth is not None
    body = batch.LabelBatch(
        model=model,
        version=version,
        emitter=emitter,
        seq=offset if seq is None else seq,
        rows=len(ids),
        time_ms=columns.pack("q", times),
        ids=columns.pack_texts(ids),
        label=truth,
    )
    time = max(times) if record_time_ms is None else record_time_ms
    return _raw("label", model, batch.encode(body), MSGPACK, offset, partition, time)


def raw_event(
    event: Any, *, offset: int = 0, partition: int = 0, time_ms: int = TIME_MS
) -> RawRecord:
    """A small event of `records.events`."""
    words = {"MonitorChange": "monitor", "ReferenceChange": "reference"}
    word = words.get(type(event).__name__, type(event).__name__.lower())
    body = msgspec.json.encode(event)
    return _raw(word, getattr(event, "model", None), body, JSON, offset, partition, time_ms)


def raw_tick(*, offset: int, time_ms: int, partition: int = 0) -> RawRecord:
    """Time passed."""
    return RawRecord(
        "events.v1",
        partition,
        offset,
        time_ms,
        None,
        None,
        headers("tick", id=f"t{offset}", source="test", time="", content_type=JSON),
    )


def calls(llm: Mapping[str, Sequence[Any]]) -> batch.LlmCalls:
    """What calls of a language model used, by the names of its columns."""
    packed: dict[str, Any] = {
        name: columns.pack("f", llm[name]) for name in batch.CALL_NUMBERS if name in llm
    }
    if batch.FINISH_REASON in llm:
        packed[batch.FINISH_REASON] = columns.pack_categories(llm[batch.FINISH_REASON])
    return batch.LlmCalls(**packed)


def vectors(rows: Sequence[Sequence[float]]) -> columns.Vectors:
    """A vector of the same size for each row."""
    return columns.Vectors(len(rows[0]), columns.pack("f", (x for row in rows for x in row)))


def answer(values: Sequence[Any] | None) -> columns.Numbers | columns.Categories | None:
    """A column of predictions or labels: words where there is a word in it, else numbers."""
    if values is None:
        return None
    if any(isinstance(value, str) for value in values):
        return columns.pack_categories(values)
    return columns.Numbers(columns.pack("d", values))


def _raw(
    word: str,
    model: str | None,
    body: bytes,
    content_type: str,
    offset: int,
    partition: int,
    time_ms: int,
) -> RawRecord:
    described = headers(
        word,
        id=f"{partition}-{offset}",
        source="test",
        time="2026-01-01T00:00:00Z",
        content_type=content_type,
    )
    key = None if model is None else model.encode()
    return RawRecord("events.v1", partition, offset, time_ms, key, body, described)
