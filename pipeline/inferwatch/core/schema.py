"""Columns that came, went, or changed their kind against the reference: the set of (name, kind).

A column has the kinds of the values that a window has of it: numbers, words, vectors of a size. One
that the reference lacks is `new`; one with values of a kind that the reference has none of is
`retyped`; one of which nothing came is `gone`, once so many rows without it would come by a chance
of at most 1e-9: each minute of thousands of columns is a trial. Cost: a microsecond a column and
window.
"""

import math
from collections.abc import Mapping, Sequence

from inferwatch.core.cell import Cell
from inferwatch.core.columns import Columns
from inferwatch.records.definition import NumericProfile, Profile
from inferwatch.records.outputs import Change, SchemaChange

CHANCE_MAX = 1e-9
NAMED_MAX = 50
NUMERIC, CATEGORY, EMBEDDING = "numeric", "category", "embedding"
Seen = dict[str, dict[str, int]]
"""By column and kind the rows with a value."""


def vectors(dim: int) -> str:
    """The kind of embeddings of so many numbers."""
    return f"{EMBEDDING}({dim})"


def seen(cell: Cell, columns: Columns, profile: Profile) -> Seen:
    """The columns of a window that have values."""
    numbers = [] if cell.numeric is None else cell.numeric.count.tolist()
    found = {name: {NUMERIC: n} for name, n in zip(columns.numeric, numbers, strict=False) if n}
    for name in columns.categories:
        words = sum(cell.words.get(name, {}).values())
        if words:
            found.setdefault(name, {})[CATEGORY] = words
    rows = cell.embedding
    if rows is None or not rows.given:
        return found
    other = rows.other if profile.embedding else rows.given
    sizes = {vectors(rows.other_dim): other} if other else {}
    if rows.given > other and profile.embedding:
        sizes[vectors(profile.embedding.dim)] = rows.given - other
    found.setdefault(EMBEDDING, {}).update(sizes)
    return found


def known(profile: Profile) -> dict[str, tuple[str, ...]]:
    """The columns of a reference that had values, with their kinds."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(profile.numeric, (NUMERIC,))
    for name, words in profile.categories.items():
        if any(words.counts):
            found[name] = (*found.get(name, ()), CATEGORY)
    if profile.embedding is not None:
        found[EMBEDDING] = (*found.get(EMBEDDING, ()), vectors(profile.embedding.dim))
    return found


def gaps(profile: Profile, name: str, kind: str) -> tuple[int, int]:
    """Rows of the reference without a value of a column that it has, and all of them."""
    if kind == CATEGORY:
        words = profile.categories[name]
        return words.missing, sum(words.counts) + words.missing
    numbers: NumericProfile | None = profile.numeric.get(name)
    if kind != NUMERIC and profile.embedding is not None:
        numbers = profile.embedding.along[0]
    assert numbers is not None
    return numbers.counts[-1], sum(numbers.counts)


def is_told(rows: int, missing: int, whole: int) -> bool:
    """Whether so many rows without a value are no accident where `missing` of `whole` had none.

    One row more without a value is taken for granted, so that few rows never are.
    """
    return rows * math.log((missing + 1) / (whole + 1)) <= math.log(CHANCE_MAX)


def changes(cell: Cell, columns: Columns, profile: Profile) -> dict[str, SchemaChange]:
    """What became of each column that is not as in the reference, by name."""
    now, before = seen(cell, columns, profile), known(profile)
    found: dict[str, SchemaChange] = {}
    for name, values in now.items():
        if name not in before:
            found[name] = "new"
        elif any(kind not in before[name] for kind in values):
            found[name] = "retyped"
    for name, kinds in before.items():
        if name not in now and all(is_told(cell.rows, *gaps(profile, name, one)) for one in kinds):
            found[name] = "gone"
    return dict(sorted(found.items()))


def named(found: Mapping[str, SchemaChange]) -> dict[str, SchemaChange]:
    """Those that a window's record names: the first by name."""
    return dict(list(found.items())[:NAMED_MAX])


def told(found: Mapping[str, Change], most: int) -> list[str]:
    """ "columns gone: amount, age": a phrase for each that happened."""
    return [
        f"columns {change}: {_listed([name for name in found if found[name] == change], most)}"
        for change in ("gone", "retyped", "new", "back")
        if change in found.values()
    ]


def _listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + " …" * (len(names) > most)
