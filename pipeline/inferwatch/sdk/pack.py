"""A table of rows as the body of a record: where values become wire columns.

Numbers travel as float32 features and float64 answers, words as dictionary and codes. A feature
that has both in one batch is sent as both, each missing where the other is.
"""

import math
from array import array
from collections.abc import Sequence

import msgspec

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
    Texts,
    Vectors,
    pack,
    pack_categories,
    pack_texts,
)
from inferwatch.sdk.privacy import Privacy
from inferwatch.sdk.table import (
    CALL,
    EMBEDDING,
    ENTITY,
    ERROR,
    ID,
    LABEL,
    LATENCY,
    PREDICTION,
    TIME,
    Column,
    Table,
)
from inferwatch.sdk.values import NUMBER_TYPES, Plain, clean, is_missing, number, text

MISSING_NUMBER = pack("f", [math.nan])


class Head(msgspec.Struct, frozen=True):
    """What a batch says about its sender."""

    model: str
    emitter: str
    seq: int
    emitted: int
    dropped: dict[str, int]
    instance: str


def inference(table: Table, version: str, head: Head, privacy: Privacy) -> InferenceBatch:
    """The batch of `table`, whose embeddings are all of one size, after `privacy`."""
    numeric, categories = _features(table, privacy)
    columns = table.columns
    return InferenceBatch(
        model=head.model,
        version=version,
        emitter=head.emitter,
        seq=head.seq,
        rows=table.rows,
        emitted=head.emitted,
        dropped=head.dropped,
        time_ms=pack("q", columns[TIME]),
        ids=pack_texts(columns[ID]),
        numeric=Float32Block(list(numeric), b"".join(numeric.values())) if numeric else None,
        categories=categories,
        prediction=answers(columns[PREDICTION]) if PREDICTION in columns else None,
        scores=_scores(table),
        latency_ms=numbers("f", columns[LATENCY]) if LATENCY in columns else None,
        error=words(columns[ERROR]) if ERROR in columns else None,
        segments=_segments(table, privacy),
        entity=_entities(table, privacy),
        instance=head.instance,
        llm=_calls(table),
        embedding=_vectors(table),
    )


def columns(batch: InferenceBatch | LabelBatch) -> int:
    """How many named columns the batch has."""
    if isinstance(batch, LabelBatch):
        return 0
    numeric = len(batch.numeric.names) if batch.numeric else 0
    scores = len(batch.scores.names) if batch.scores else 0
    return numeric + len(batch.categories) + len(batch.segments) + scores


def labels(table: Table, version: str | None, head: Head) -> LabelBatch:
    """The batch of a table of ids, times and labels."""
    columns = table.columns
    return LabelBatch(
        model=head.model,
        version=version,
        emitter=head.emitter,
        seq=head.seq,
        rows=table.rows,
        emitted=head.emitted,
        dropped=head.dropped,
        time_ms=pack("q", columns[TIME]),
        ids=pack_texts(columns[ID]),
        label=answers(columns[LABEL]),
    )


def numbers(typecode: str, values: Column) -> bytes:
    """Floats of plain values; what is no number is NaN."""
    if isinstance(values, array) and values.typecode == typecode:
        return pack(typecode, values)
    try:
        return pack(typecode, values)
    except (TypeError, OverflowError):
        return pack(typecode, [number(value) for value in values])


def words(values: Sequence[Plain]) -> Categories:
    """Dictionary and codes of plain values; numbers become words."""
    return pack_categories([text(value) for value in values])


def answers(values: Column) -> Numbers | Categories:
    """Predictions or labels: numbers where all of them are, otherwise words.

    A truth value is 1 or 0, as in JSON events and tables, so that answers and labels meet.
    """
    if isinstance(values, array):
        return Numbers(numbers("d", values))
    types = set(map(type, values))
    if bool in types:
        values = [int(value) if type(value) is bool else value for value in values]
    if types <= NUMBER_TYPES | {bool, type(None)}:
        return Numbers(numbers("d", values))
    return words(values)


def _features(table: Table, privacy: Privacy) -> tuple[dict[str, bytes], dict[str, Categories]]:
    numeric: dict[str, bytes] = {}
    categories: dict[str, Categories] = {}
    for raw_name, column in table.named("feature").items():
        action = privacy.of_feature(raw_name)
        if action == "leave_out":
            continue
        name = clean(raw_name)
        if action == "hash":
            categories[name] = pack_categories([privacy.token(value) for value in column])
            continue
        has_numbers, has_words = _content(column)
        if has_numbers:
            numeric[name] = numbers("f", _without_words(column) if has_words else column)
        if has_words:
            categories[name] = words(_without_numbers(column) if has_numbers else column)
    return numeric, categories


def _content(column: Column) -> tuple[bool, bool]:
    """Whether a column has numbers, and whether it has words."""
    if isinstance(column, array):
        return True, False
    types = set(map(type, column)) - {type(None)}
    has_words = bool(types - NUMBER_TYPES)
    has_numbers = bool(types & NUMBER_TYPES)
    if has_words and has_numbers:  # NaN among words is how data frames write a missing word
        has_numbers = any(type(value) in NUMBER_TYPES and not is_missing(value) for value in column)
    return has_numbers, has_words


def _without_words(column: Column) -> Column:
    return [value if type(value) in NUMBER_TYPES else None for value in column]


def _without_numbers(column: Column) -> Column:
    return [None if type(value) in NUMBER_TYPES else value for value in column]


def _scores(table: Table) -> Float64Block | None:
    scores = {clean(name): column for name, column in table.named("score").items()}
    if not scores:
        return None
    data = b"".join(numbers("d", column) for column in scores.values())
    return Float64Block(list(scores), data)


def _calls(table: Table) -> LlmCalls | None:
    found = table.named(CALL)
    packed = {name: numbers("f", found[name]) for name in CALL_NUMBERS if name in found}
    finish = words(found[FINISH_REASON]) if FINISH_REASON in found else None
    return LlmCalls(**packed, finish_reason=finish) if found else None


def _vectors(table: Table) -> Vectors | None:
    column = table.columns.get(EMBEDDING, [])
    size_bytes = next((len(one) for one in column if one is not None), 0)
    if not size_bytes:
        return None
    missing = MISSING_NUMBER * (size_bytes // len(MISSING_NUMBER))
    data = b"".join([missing if one is None else one for one in column])
    return Vectors(size_bytes // len(MISSING_NUMBER), data)


def _segments(table: Table, privacy: Privacy) -> dict[str, Categories]:
    packed = {}
    for name, column in table.named("segment").items():
        action = privacy.of_column(name)
        if action == "hash":
            packed[clean(name)] = pack_categories([privacy.token(value) for value in column])
        elif action == "keep":
            packed[clean(name)] = words(column)
    return packed


def _entities(table: Table, privacy: Privacy) -> Texts | None:
    action = privacy.of_column("entity_id")
    if ENTITY not in table.columns or action == "leave_out":
        return None
    column = table.columns[ENTITY]
    if action == "hash":
        return pack_texts([privacy.token(value) or "" for value in column])
    return pack_texts([text(value) or "" for value in column])
