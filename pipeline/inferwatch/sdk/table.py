"""Rows as columns, before they are packed: one plain form for `log`, `log_batch` and labels.

A column is an `array` (numbers, NaN missing) or a list of plain values (None missing), that of
embeddings a list of vectors as they travel. Its key is its role and, where a role has many columns,
its name.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, TypeAlias

import msgspec

from inferwatch.sdk.values import Plain

Key = tuple[str, str]
Column: TypeAlias = "array[Any] | list[Any]"

TIME: Key = ("time", "")
ID: Key = ("id", "")
PREDICTION: Key = ("prediction", "")
LATENCY: Key = ("latency", "")
ERROR: Key = ("error", "")
ENTITY: Key = ("entity", "")
EMBEDDING: Key = ("embedding", "")
LABEL: Key = ("label", "")
CALL = "llm"  # the role of what a call of a language model used
SCORE = "score"  # the one score of a model without classes has the role's own name

ROW_BYTES = 400
VALUE_BYTES = 40


class Row(msgspec.Struct, frozen=True, gc=False):
    """One call of `log`, copied: nothing in it can be changed by the caller any more."""

    id: str
    time_ms: int
    names: tuple[str, ...]
    values: tuple[Plain, ...]
    prediction: Plain
    scores: dict[str, float] | None
    latency_ms: float | None
    error: str | None
    segments: dict[str, Plain] | None
    entity: str | None
    llm: dict[str, Plain] | None
    embedding: bytes | None


class Table(msgspec.Struct, frozen=True):
    """Columns of equal length."""

    rows: int
    columns: dict[Key, Column]

    def named(self, role: str) -> dict[str, Column]:
        """The columns of a role by name, in order of first appearance."""
        return {name: column for (of, name), column in self.columns.items() if of == role}

    def part(self, start: int, stop: int) -> "Table":
        """Rows start … stop-1."""
        cut = {key: column[start:stop] for key, column in self.columns.items()}
        return Table(min(stop, self.rows) - start, cut)

    def select(self, keep: Sequence[bool]) -> "Table":
        """The rows that `keep` names."""
        kept = {key: _like(column, compress(column, keep)) for key, column in self.columns.items()}
        return Table(sum(keep), kept)

    def vectors_fit(self, size_max_bytes: int) -> bool:
        """Whether a batch can hold the embeddings: of one size, and together no larger than this;
        so it can where there are none.
        """
        sizes = set(self._vector_sizes())
        return len(sizes) < 2 and sum(sizes) * self.rows <= size_max_bytes

    def size_bytes(self) -> int:
        """Roughly what the columns take in memory."""
        return sum(map(_size_bytes, self.columns.values())) + sum(self._vector_sizes())

    def _vector_sizes(self) -> list[int]:
        return [len(one) for one in self.columns.get(EMBEDDING, ()) if one is not None]


def of_rows(rows: Sequence[Row]) -> Table:
    """Columns of single rows; a feature that a row lacks is missing there."""
    columns: dict[Key, Column] = {
        TIME: array("q", [row.time_ms for row in rows]),
        ID: [row.id for row in rows],
    }
    names = rows[0].names
    if all(row.names is names or row.names == names for row in rows):
        by_column = zip(*[row.values for row in rows], strict=True)
        for name, values in zip(names, by_column, strict=True):
            columns["feature", name] = list(values)
    else:
        _spread(columns, "feature", [dict(zip(r.names, r.values, strict=True)) for r in rows])
    _optional(columns, PREDICTION, rows, lambda row: row.prediction)
    _optional(columns, LATENCY, rows, lambda row: row.latency_ms)
    _optional(columns, ERROR, rows, lambda row: row.error)
    _optional(columns, ENTITY, rows, lambda row: row.entity)
    _optional(columns, EMBEDDING, rows, lambda row: row.embedding)
    _spread(columns, "score", [row.scores or {} for row in rows])
    _spread(columns, "segment", [row.segments or {} for row in rows])
    _spread(columns, CALL, [row.llm or {} for row in rows])
    return Table(len(rows), columns)


def join(tables: Sequence[Table]) -> Table:
    """All rows, one table after the other."""
    if len(tables) == 1:
        return tables[0]
    keys = dict.fromkeys(key for table in tables for key in table.columns)
    rows = sum(table.rows for table in tables)
    return Table(rows, {key: _joined(key, tables) for key in keys})


def _joined(key: Key, tables: Sequence[Table]) -> Column:
    parts = [(table.columns.get(key), table.rows) for table in tables]
    found = [column for column, _ in parts if column is not None]
    numeric = all(isinstance(column, array) for column in found)
    whole: Any = found[0][:0] if numeric else []
    for column, rows in parts:
        whole.extend([math.nan if numeric else None] * rows if column is None else column)
    return whole  # type: ignore[no-any-return]


def _spread(columns: dict[Key, Column], role: str, rows: Sequence[dict[str, Any]]) -> None:
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        columns[role, name] = [row.get(name) for row in rows]


def _optional(
    columns: dict[Key, Column], key: Key, rows: Sequence[Row], field: Callable[[Row], Any]
) -> None:
    values = [field(row) for row in rows]
    if any(value is not None for value in values):
        columns[key] = values


def _like(column: Column, values: Iterable[Any]) -> Column:
    return array(column.typecode, values) if isinstance(column, array) else list(values)


def _size_bytes(column: Column) -> int:
    if isinstance(column, array):
        return len(column) * column.itemsize
    words = sum(len(value) for value in column if type(value) is str)
    return len(column) * VALUE_BYTES + words
