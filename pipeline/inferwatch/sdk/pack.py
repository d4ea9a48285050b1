"""Rows to batches: columns out of what callers hand in, whatever they hand in.

A feature is numeric where every value of it in the batch is a number; otherwise its values are
words. A row whose values cannot be read is left out and counted, the others go.
"""

import math
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
from inferwatch.sdk.buffer import Label, Row

WORD_MAX = 2_000
FLOAT32_MAX = 3.4028234663852886e38


def rows(model: str, emitter: str, instance: str, items: Sequence[Row]) -> dict[str, Any]:
    """The fields of an inference batch, but for its counters."""
    numeric, words = _features([row.features for row in items])
    segments = _names(row.segments for row in items)
    return {
        "model": model,
        "version": items[0].version,
        "emitter": emitter,
        "instance": instance,
        "rows": len(items),
        "time_ms": pack("q", [row.time_ms for row in items]),
        "ids": pack_texts([row.id for row in items]),
        "numeric": Float32Block(
            list(numeric),
            b"".join(
                pack("f", [_float32(value) for value in column]) for column in numeric.values()
            ),
        )
        if numeric
        else None,
        "categories": {name: _categories(column) for name, column in words.items()},
        "prediction": answers([row.prediction for row in items]),
        "scores": _scores([row.proba for row in items]),
        "latency_ms": _optional([row.latency_ms for row in items]),
        "error": _categories([row.error for row in items])
        if any(row.error is not None for row in items)
        else None,
        "segments": {
            name: _categories([row.segments.get(name) for row in items]) for name in segments
        },
        "entity": pack_texts([row.entity or "" for row in items])
        if any(row.entity for row in items)
        else None,
    }


def inference_batch(fields: dict[str, Any], **counters: Any) -> InferenceBatch:
    """The batch, with its counters."""
    return InferenceBatch(**fields, **counters)


def label_batch(model: str, emitter: str, items: Sequence[Label], **counters: Any) -> LabelBatch:
    """The batch of labels, with its counters."""
    label = answers([item.label for item in items])
    assert label is not None
    return LabelBatch(
        model=model,
        version=items[0].version,
        emitter=emitter,
        rows=len(items),
        time_ms=pack("q", [item.time_ms for item in items]),
        ids=pack_texts([item.id for item in items]),
        label=label,
        **counters,
    )


def _names(rows_: Iterable[dict[str, Any]]) -> list[str]:
    """Names over all rows, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows_ for name in row))


def _features(rows_: list[dict[str, Any]]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    numeric, words = {}, {}
    for name in _names(rows_):
        column = [plain(row.get(name)) for row in rows_]
        if all(value is None or is_number(value) for value in column):
            numeric[name] = column
        else:
            words[name] = column
    return numeric, words


def plain(value: Any) -> Any:
    """A Python number, bool, text or None out of what array libraries give."""
    if value is None or type(value) in (int, float, str, bool):
        return value
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", 1) == 1:
        return item()
    return value


def is_number(value: Any) -> bool:
    """Whether a value is numeric; a bool is a category."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _float32(value: Any) -> float:
    """NaN for missing; what float32 cannot hold becomes infinite, as a cast would make it."""
    if value is None:
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    if abs(number) > FLOAT32_MAX and math.isfinite(number):
        return math.copysign(math.inf, number)
    return number


def _word(value: Any) -> str | None:
    value = plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:WORD_MAX]


def _categories(column: Iterable[Any]) -> Categories:
    return pack_categories(_word(value) for value in column)


def answers(column: list[Any]) -> Numbers | Categories | None:
    """Predictions or labels: words where one is a word, else numbers; True counts as 1."""
    values = [plain(value) for value in column]
    if all(value is None for value in values):
        return None
    if all(value is None or isinstance(value, int | float) for value in values):
        return Numbers(pack("d", [math.nan if value is None else float(value) for value in values]))
    return _categories(values)


def _scores(column: list[Any]) -> Float64Block | None:
    if all(value is None for value in column):
        return None
    if any(isinstance(value, dict) for value in column):
        rows_ = [value if isinstance(value, dict) else {} for value in column]
        names = [str(name) for name in _names(rows_)]
        data = b"".join(
            pack("d", [_number(row.get(name)) for row in rows_]) for name in _names(rows_)
        )
        return Float64Block(names, data)
    return Float64Block(["score"], pack("d", [_number(value) for value in column]))


def _number(value: Any) -> float:
    value = plain(value)
    return math.nan if value is None else float(value)


def _optional(column: list[Any]) -> bytes | None:
    if all(value is None for value in column):
        return None
    return pack("f", [_float32(plain(value)) for value in column])
