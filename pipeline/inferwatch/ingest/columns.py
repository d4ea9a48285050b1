"""Events of one source partition, model, version and kind as one batch, packed column by column.

What the fold reads from the batch is what it would read from the events one by one: a feature that
a row lacks is missing in that row, and so is one whose value is of the column's other kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from msgspec import UNSET

from inferwatch.ingest.plain import NOTHING, Column, Table, is_known
from inferwatch.records.batch import (
    CALL_NUMBERS,
    FINISH_REASON,
    InferenceBatch,
    LabelBatch,
    LlmCalls,
)
from inferwatch.records.columns import (
    Categories,
    Float32Block,
    Float64Block,
    Numbers,
    Vectors,
    pack,
    pack_categories,
    pack_texts,
)

NAN = float("nan")
NUMERIC = {int, float}


def packed(table: Table, offsets: Sequence[int], emitter: str) -> InferenceBatch | LabelBatch:
    """The table as a batch; `offsets` of its rows in the source ascend strictly, its vectors are
    all of one size.

    Cost: linear in rows times columns, some 2 µs a row of 20 features.
    """
    fields = table.fields
    common: dict[str, Any] = {
        "model": fields["model"].values[0],
        "emitter": emitter,
        "seq": offsets[0],
        "rows": table.n,
        "time_ms": pack("q", table.times_ms),
        "ids": pack_texts(fields["prediction_id"].values),
        "source_offsets": pack("q", offsets),
    }
    version = fields["version"].values[0]
    if table.is_label:
        label = _answers(fields["label"])
        assert label is not None
        return LabelBatch(version=None if version is UNSET else version, label=label, **common)
    numeric, categories = _features(table.of("features"), table.n)
    instance, *others = {one or "" for one in fields["instance"].values}
    entities = [one or "" for one in fields["entity_id"].values]
    return InferenceBatch(
        version=version,
        numeric=numeric,
        categories=categories,
        prediction=_answers(fields["prediction"]),
        scores=_scores(table),
        latency_ms=_floats(fields["latency_ms"]),
        error=_words(fields["error"]),
        segments={name: _coded(one.values) for name, one in table.of("segments").items()},
        entity=pack_texts(entities) if any(entities) else None,
        instance="" if others else instance,
        llm=_calls(table.of("llm")),
        embedding=_vectors(table.vectors),
        **common,
    )


def _features(
    found: Mapping[str, Column], n: int
) -> tuple[Float32Block | None, dict[str, Categories]]:
    numeric: dict[str, Any] = {}
    categories: dict[str, Categories] = {}
    for name, (values, kinds) in found.items():
        if kinds & NUMERIC:
            numbers = values if kinds <= NUMERIC else [_number(one) for one in values]
            numeric[name] = np.asarray(numbers, np.float64)
        if not kinds <= NUMERIC | NOTHING:
            categories[name] = pack_categories(map(_word, values))
    if not numeric:
        return None, categories
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and counted as such
        block = np.array(list(numeric.values())).astype("<f4")
    return Float32Block(list(numeric), block.tobytes()), categories


def _number(value: Any) -> float:
    """A feature that is a number; missing where it is none."""
    return value if type(value) in NUMERIC else NAN


def _word(value: object) -> str | None:
    """A feature that is a word; missing where it is a number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None


def _numbers(found: Column) -> Sequence[float]:
    """With NaN where there is none."""
    if not found.kinds & NOTHING:
        return list(found.values)
    return [one if is_known(one) else NAN for one in found.values]


def _coded(values: Iterable[Any]) -> Categories:
    return pack_categories(None if one is UNSET else one for one in values)


def _words(found: Column) -> Categories | None:
    return None if found.kinds <= NOTHING else _coded(found.values)


def _floats(found: Column) -> bytes | None:
    return None if found.kinds <= NOTHING else pack("f", _numbers(found))


def _calls(found: Mapping[str, Column]) -> LlmCalls | None:
    packed = {name: _floats(found[name]) for name in CALL_NUMBERS if name in found}
    finish = _words(found[FINISH_REASON]) if FINISH_REASON in found else None
    if finish is None and all(column is None for column in packed.values()):
        return None
    return LlmCalls(**packed, finish_reason=finish)


def _vectors(rows: Sequence[Sequence[float] | None]) -> Vectors | None:
    dim = next((len(row) for row in rows if row), 0)
    if not dim:
        return None
    missing = [NAN] * dim
    with np.errstate(over="ignore"):  # what float32 cannot hold leaves a row without a vector
        block = np.array([row or missing for row in rows]).astype("<f4")
    return Vectors(dim, block.tobytes())


def _answers(found: Column) -> Numbers | Categories | None:
    """Numbers where all are, else words; a number among words is the word of its class."""
    kinds = found.kinds - NOTHING
    if not kinds:
        return None
    if str not in kinds:
        return Numbers(pack("d", _numbers(found)))
    if len(kinds) == 1:
        return _coded(found.values)
    return _coded(map(_class, found.values))


def _class(value: Any) -> Any:
    """A number as the word of its class; what is none as it is."""
    if not isinstance(value, int | float):
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() else str(number)


def _scores(table: Table) -> Float64Block | None:
    """`proba` is the score of a row that names no scores."""
    scores = {name: _numbers(one) for name, one in table.of("scores").items()}
    proba = table.fields["proba"]
    if not scores and not proba.kinds <= NOTHING:
        scores["score"] = _numbers(proba)
    elif not proba.kinds <= NOTHING:
        alone = [not one for one in table.fields["scores"].values]
        if any(one and is_known(value) for one, value in zip(alone, proba.values, strict=True)):
            choice = zip(alone, _numbers(proba), scores.get("score", repeat(NAN)), strict=False)
            scores["score"] = [other if one else score for one, other, score in choice]
    if not scores:
        return None
    return Float64Block(list(scores), b"".join(pack("d", one) for one in scores.values()))
