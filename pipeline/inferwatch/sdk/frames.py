"""Arrays and data frames as a table: columns are copied at once, so the caller may reuse them.

numpy, pandas, polars and torch objects are known by what they can do (`to_numpy`, `astype`,
`tolist`). Cost: a memory copy for a numeric column, about 20 ns a value for words.
"""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from operator import and_
from typing import Any

from inferwatch.records.batch import CALL_NUMBERS, FINISH_REASON
from inferwatch.records.columns import pack
from inferwatch.records.raw import EARLIEST_MS, EMBEDDING_DIM_MAX, LATEST_MS
from inferwatch.sdk.notice import warn_once
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
    SCORE,
    TIME,
    Column,
    Key,
    Table,
)
from inferwatch.sdk.values import (
    PLAIN_TYPES,
    Plain,
    UnfitError,
    is_infinite,
    is_missing,
    is_moment,
    now_ms,
    plain,
    text,
    time_ms,
)


def row_count(features: Any, prediction: Any, ids: Any) -> int:
    """Rows of a batch, from the first of its parts that is there."""
    for part in (ids, features, prediction):
        if isinstance(part, Mapping):
            return len(next(iter(part.values()))) if part else 0
        if part is not None:
            return len(part)
    return 0


def answers_table(
    model: str,
    privacy: Privacy,
    ids: list[str],
    *,
    features: Any,
    names: Sequence[str] | None,
    prediction: Any,
    proba: Any,
    timestamp: Any,
    entity_id: Any,
    latency_ms: Any,
    error: Any,
    segments: Mapping[str, Any],
    llm: Mapping[str, Any],
    embedding: Any,
) -> Table:
    """Rows that can be told; those without a possible time are left out."""
    n = len(ids)
    columns: dict[Key, Column] = {TIME: _times(timestamp, n), ID: ids}
    for name, values in _named(features, names):
        action = privacy.of_feature(name)
        if action != "leave_out":
            columns["feature", name] = feature(model, name, values, exact=action == "hash")
    if prediction is not None:
        columns[PREDICTION] = _answers(prediction)
    if proba is not None:
        by_class = _named(proba, None) if hasattr(proba, "keys") else [(SCORE, proba)]
        columns |= {("score", name): _numbers(values) for name, values in by_class}
    if latency_ms is not None:
        columns[LATENCY] = _numbers(_repeated(latency_ms, n))
    if error is not None:
        columns[ERROR] = [error_name(value) for value in _repeated(error, n)]
    if entity_id is not None:
        columns[ENTITY] = [plain(value) for value in _repeated(entity_id, n)]
    for name, values in segments.items():
        columns["segment", str(name)] = [plain(value) for value in _repeated(values, n)]
    for name, values in _known(model, llm).items():
        values = _repeated(values, n)
        columns[CALL, name] = _numbers(values) if name in CALL_NUMBERS else _texts(model, values)
    if embedding is not None and privacy.keeps_embeddings():
        columns[EMBEDDING] = vectors(embedding)
    return _checked(columns, n)


def labels_table(ids: list[str], labels: Any, timestamp: Any) -> Table:
    """Labels that are there and have a possible time; the others are left out."""
    n = len(ids)
    table = _checked({TIME: _times(timestamp, n), ID: ids, LABEL: _answers(labels)}, n)
    keep = [not is_missing(value) and not is_infinite(value) for value in table.columns[LABEL]]
    return table if all(keep) else table.select(keep)


def feature(model: str, name: str, values: Any, *, exact: bool) -> Column:
    """A feature's column; what is neither number nor word is missing. `exact` keeps values."""
    values = _unwrapped(values)
    if _is_numeric(values) and not exact:
        return _array("f", values)
    items = _items(values)
    if PLAIN_TYPES.issuperset(map(type, items)):
        return items
    return [readable(model, name, value) for value in items]


def call(model: str, llm: Mapping[str, Any]) -> dict[str, Plain]:
    """What a call of a language model used, as plain values."""
    return {
        name: readable(model, f"llm.{name}", found) for name, found in _known(model, llm).items()
    }


def vector(values: Any) -> bytes | None:
    """An embedding as it travels: 1 to 4,096 float32. One with a number that is not finite is none
    to the reader; None for None and what stands for it in a data frame.
    """
    if values is None or (not hasattr(values, "__iter__") and is_missing(plain(values))):
        return None
    values = _unwrapped(values)
    if isinstance(values, bytes | bytearray):
        raise UnfitError("bytes, not the numbers that they may stand for")
    numbers = _array("f", values) if _is_numeric(values) else array("f", _items(values))
    _check_dim(len(numbers))
    return pack("f", numbers)


def vectors(values: Any) -> list[bytes | None]:
    """An embedding a row, of a matrix or of vectors; None where a row has none."""
    values = _unwrapped(values)
    if not _is_numeric(values, ndim=2):
        return list(map(vector, values))
    _check_dim(values.shape[1])
    data, size_bytes = _bytes("<f4", values), 4 * values.shape[1]
    return [data[start : start + size_bytes] for start in range(0, len(data), size_bytes)]


def _check_dim(dim: int) -> None:
    if not 1 <= dim <= EMBEDDING_DIM_MAX:
        raise UnfitError(f"an embedding of {dim} numbers, 1 to {EMBEDDING_DIM_MAX}")


def _known(model: str, llm: Mapping[str, Any]) -> dict[str, Any]:
    """The names that a batch has a column for; of others one warning."""
    named = {str(name): llm[name] for name in llm}
    for name in named:
        if name not in (*CALL_NUMBERS, FINISH_REASON):
            warn_once(model, "llm", f"llm['{name[:80]}'] is not sent: no such figure of a call")
    return {name: named[name] for name in (*CALL_NUMBERS, FINISH_REASON) if name in named}


def _texts(model: str, values: Any) -> list[Plain]:
    return [readable(model, f"llm.{FINISH_REASON}", value) for value in _items(_unwrapped(values))]


def readable(model: str, name: str, value: Any) -> Plain:
    """A feature's value, or None for one of a kind that is not watched (a list, an object)."""
    try:
        return plain(value)
    except Exception as problem:
        kind = f"{type(value).__name__} ({type(problem).__name__})"
        warn_once(model, "unreadable", f"feature {name} sent as missing: its value is a {kind}")
        return None


def error_name(error: Any) -> str | None:
    """The kind of a failure: an exception's class, never its message; None for false."""
    if isinstance(error, BaseException):
        return type(error).__name__
    if isinstance(error, type):
        return error.__name__
    value = plain(error)
    return None if value is False else text(value)


def _named(features: Any, names: Sequence[str] | None) -> Iterator[tuple[str, Any]]:
    """Columns of a mapping, a data frame, or of a matrix with `names`."""
    if features is None:
        return
    if hasattr(features, "keys"):
        for name in features:
            yield str(name), features[name]
    elif hasattr(features, "columns"):
        for name in features.columns:
            yield str(name), features[name]
    elif names is None:
        raise UnfitError("features without column names: pass names=")
    elif getattr(features, "ndim", 0) != 2:
        kind = type(features).__name__
        raise UnfitError(f"features is a {kind}, not a data frame, a mapping or a matrix")
    else:
        if len(names) != features.shape[1]:
            raise UnfitError(f"{len(names)} names for {features.shape[1]} columns")
        for position, name in enumerate(names):
            yield str(name), features[:, position]


def _times(values: Any, n: int) -> Column:
    """Times of n rows in ms; -1 where there is none that can be."""
    if values is None:
        return array("q", [now_ms()]) * n
    values = _unwrapped(values)
    if is_moment(values) and getattr(values, "ndim", 0) == 1:
        return _array("q", values.astype("M8[ms]"))
    if _is_numeric(values) and values.dtype.kind in "iu":
        return _array("q", values)
    if not hasattr(values, "__len__"):
        return array("q", [time_ms(values)]) * n
    return array("q", [_time_or_none(value) for value in _items(values)])


def _time_or_none(value: Any) -> int:
    try:
        return time_ms(value)
    except UnfitError:
        return -1


def _checked(columns: dict[Key, Column], n: int) -> Table:
    for (role, name), column in columns.items():
        if len(column) != n:
            raise UnfitError(f"{role} {name} has {len(column)} rows, not {n}")
    keep = [
        EARLIEST_MS <= moment < LATEST_MS and id_ != ""
        for moment, id_ in zip(columns[TIME], columns[ID], strict=True)
    ]
    for key in columns:
        if key in (PREDICTION, LATENCY) or key[0] in (SCORE, CALL):
            finite = [not is_infinite(value) for value in columns[key]]
            keep = [*map(and_, keep, finite)]
    table = Table(n, columns)
    return table if all(keep) else table.select(keep)


def _answers(values: Any) -> Column:
    values = _unwrapped(values)
    if _is_numeric(values):
        return _array("d", values)
    return [plain(value) for value in _items(values)]


def _numbers(values: Any) -> Column:
    values = _unwrapped(values)
    if _is_numeric(values):
        return _array("d", values)
    items = map(plain, values)
    return array("d", [math.nan if value is None else float(value) for value in items])


def _repeated(values: Any, n: int) -> Any:
    """A column as it is, and one value for all rows as a column."""
    if hasattr(values, "__len__") and not isinstance(values, str):
        return values
    return [values] * n


def _unwrapped(values: Any) -> Any:
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def _is_numeric(values: Any, ndim: int = 1) -> bool:
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    return kind in ("f", "i", "u") and getattr(values, "ndim", 0) == ndim


def _array(typecode: str, values: Any) -> "array[Any]":
    column = array(typecode)
    column.frombytes(_bytes(typecode, values))
    return column


def _bytes(dtype: str, values: Any) -> bytes:
    """An array's numbers; one that is masked is missing, or is no time."""
    values = values.astype(dtype)
    if hasattr(values, "filled"):  # numpy puts 1e20 there
        values = values.filled(-1 if dtype == "q" else math.nan)
    return bytes(values.tobytes())


def _items(values: Any) -> list[Any]:
    if is_moment(values):
        raise UnfitError("a column of times is neither numbers nor words")
    return values.tolist() if hasattr(values, "tolist") else list(values)
