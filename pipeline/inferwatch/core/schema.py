"""Columns that came, went, or changed their kind against the reference: the set of (name, kind).

A feature has the kinds of the values that a window has of it, numbers or words. One that the
reference lacks is `new`; one with values of a kind that the reference has none of is `retyped`; one
of which nothing came is `gone`, once so many rows without it would come by a chance of at most
0.001. Cost: under a microsecond a feature and window.
"""

import math
from collections.abc import Mapping, Sequence

from inferwatch.core.cell import Cell
from inferwatch.core.columns import Columns
from inferwatch.core.embeddings import EmbeddingCell
from inferwatch.records.definition import (
    CategoryProfile,
    EmbeddingProfile,
    NumericProfile,
    Profile,
)
from inferwatch.records.outputs import SchemaChange

CHANCE_MAX = 1e-3
NAMED_MAX = 50
Column = NumericProfile | CategoryProfile


def changes(cell: Cell, columns: Columns, profile: Profile) -> dict[str, SchemaChange]:
    """What became of each feature that is not as in the reference, by name."""
    numbers = [] if cell.numeric is None else cell.numeric.count.tolist()
    numeric = [name for name, n in zip(columns.numeric, numbers, strict=False) if n]
    words = [name for name in columns.categories if any(cell.words.get(name, {}).values())]
    known: dict[str, Column] = {**profile.categories, **profile.numeric}
    found: dict[str, SchemaChange] = {}
    for kind, names in ((profile.numeric, numeric), (profile.categories, words)):
        for name in names:
            if name not in known:
                found[name] = "new"
            elif name not in kind:
                found[name] = "retyped"
    seen = dict.fromkeys([*numeric, *words])
    for name, column in known.items():
        if name not in seen and _is_told(column, cell.rows):
            found[name] = "gone"
    change = _embedding(cell, profile.embedding)
    if change is not None:
        found["embedding"] = change
    return dict(sorted(found.items()))


def _embedding(cell: Cell, known: EmbeddingProfile | None) -> SchemaChange | None:
    """What became of the rows' embeddings: of another size is another kind."""
    seen = cell.embedding or EmbeddingCell()
    if known is None:
        return "new" if seen.given else None
    if seen.other:
        return "retyped"
    return "gone" if not seen.given and _is_told(known.along[0], cell.rows) else None


def _is_told(column: Column, rows: int) -> bool:
    """Whether so many rows without a value are no accident, by the gaps that the reference had."""
    if isinstance(column, NumericProfile):
        missing, whole = column.counts[-1], sum(column.counts)
    else:
        missing, whole = column.missing, sum(column.counts) + column.missing
    if missing >= whole:
        return False
    return rows > 0 and (not missing or rows * math.log(missing / whole) <= math.log(CHANCE_MAX))


def named(found: Mapping[str, SchemaChange]) -> dict[str, SchemaChange]:
    """Those that a window's record names: the first by name."""
    return dict(list(found.items())[:NAMED_MAX])


def told(found: Mapping[str, SchemaChange], most: int) -> list[str]:
    """ "columns gone: amount, age": a phrase for each that happened."""
    return [
        f"columns {change}: {_listed([name for name in found if found[name] == change], most)}"
        for change in ("gone", "retyped", "new")
        if change in found.values()
    ]


def _listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + " …" * (len(names) > most)
