"""Events of one source partition, model, version and kind as one batch, packed column by column.

What the fold reads from the batch is what it would read from the events one by one: a feature that
a row lacks is missing in that row, and so is one whose value is of the column's other kind.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from inferwatch.records.batch import InferenceBatch, LabelBatch
from inferwatch.records.columns import (
    Categories,
    Float32Block,
    Float64Block,
    Numbers,
    pack,
    pack_categories,
    pack_texts,
)
from inferwatch.records.single import InferenceEvent, LabelEvent, is_number

NAN = float("nan")
FLOAT32_MAX = 3.4028234e38
NUMERIC = frozenset({int, float})


def fits(event: InferenceEvent | LabelEvent) -> bool:
    """Whether a batch can hold the event: its latency is float32 there."""
    latency_ms = event.latency_ms if isinstance(event, InferenceEvent) else None
    return latency_ms is None or abs(latency_ms) <= FLOAT32_MAX


def inference(
    events: Sequence[InferenceEvent], times_ms: Sequence[int], offsets: Sequence[int], emitter: str
) -> InferenceBatch:
    """n answers of one model version, n ≥ 1, as a batch.

    `times_ms` since 1970 and `offsets`, which ascend strictly, are n too. Cost: linear in rows
    times columns, some 2 µs a row of 20 features.
    """
    first = events[0]
    numeric, categories = _features([event.features for event in events])
    instances = {event.instance for event in events}
    latencies = [event.latency_ms for event in events]
    errors = [event.error for event in events]
    entities = [event.entity_id or "" for event in events]
    return InferenceBatch(
        model=first.model,
        version=first.version,
        emitter=emitter,
        seq=offsets[0],
        rows=len(events),
        time_ms=pack("q", times_ms),
        ids=pack_texts([event.prediction_id for event in events]),
        numeric=Float32Block(list(numeric), b"".join(numeric.values())) if numeric else None,
        categories=categories,
        prediction=_answers([event.prediction for event in events]),
        scores=_scores(events),
        latency_ms=pack("f", _numbers(latencies)) if _any(latencies) else None,
        error=pack_categories(errors) if _any(errors) else None,
        segments=_segments([event.segments for event in events]),
        entity=pack_texts(entities) if any(entities) else None,
        instance=first.instance if len(instances) == 1 else "",
        source_offsets=pack("q", offsets),
    )


def labels(
    events: Sequence[LabelEvent], times_ms: Sequence[int], offsets: Sequence[int], emitter: str
) -> LabelBatch:
    """n truths of one model, n ≥ 1, and of one version or of all, as a batch. As `inference`."""
    first, label = events[0], _answers([event.label for event in events])
    assert label is not None
    return LabelBatch(
        model=first.model,
        version=first.version,
        emitter=emitter,
        seq=offsets[0],
        rows=len(events),
        time_ms=pack("q", times_ms),
        ids=pack_texts([event.prediction_id for event in events]),
        label=label,
        source_offsets=pack("q", offsets),
    )


def _features(rows: list[dict[str, Any]]) -> tuple[dict[str, bytes], dict[str, Categories]]:
    numeric: dict[str, bytes] = {}
    categories: dict[str, Categories] = {}
    for name in _names(rows):
        column: list[Any] = [row.get(name) for row in rows]
        kinds = set(map(type, column)) - {type(None)}
        if kinds <= NUMERIC:
            if kinds:
                numeric[name] = pack("f", _numbers(column))
            continue
        if kinds & NUMERIC:
            numeric[name] = pack("f", [one if is_number(one) else NAN for one in column])
        categories[name] = pack_categories(map(_word, column))
    return numeric, categories


def _names(rows: Iterable[dict[str, Any]]) -> dict[str, None]:
    """The keys of all rows, in order of first appearance."""
    found: dict[str, Any] = {}
    for row in rows:
        found.update(row)
    return dict.fromkeys(found)


def _any(column: Iterable[object]) -> bool:
    return any(value is not None for value in column)


def _numbers(column: list[Any]) -> list[float]:
    return [NAN if value is None else value for value in column] if None in column else column


def _word(value: object) -> str | None:
    """A feature that is a word; missing where it is a number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def _answers(column: list[Any]) -> Numbers | Categories | None:
    """Numbers where all are, else words; a number among words is the word of its class."""
    kinds = set(map(type, column)) - {type(None)}
    if not kinds:
        return None
    if str not in kinds:
        return Numbers(pack("d", _numbers(column)))
    if len(kinds) == 1:
        return pack_categories(column)
    return pack_categories(
        [value if value is None or isinstance(value, str) else _class(value) for value in column]
    )


def _class(value: float) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() else str(number)


def _scores(events: Sequence[InferenceEvent]) -> Float64Block | None:
    rows: list[dict[str, float]] = [
        event.scores or ({} if event.proba is None else {"score": event.proba}) for event in events
    ]
    columns = {name: [row.get(name, NAN) for row in rows] for name in _names(rows)}
    if not columns:
        return None
    return Float64Block(list(columns), b"".join(pack("d", one) for one in columns.values()))


def _segments(rows: list[dict[str, str | None]]) -> dict[str, Categories]:
    return {name: pack_categories([row.get(name) for row in rows]) for name in _names(rows)}
