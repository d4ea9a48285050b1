"""Data frames, arrays and mappings of columns as plain rows, without importing their libraries."""

from collections.abc import Mapping, Sequence
from typing import Any


def rows(features: Any, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One mapping a row.

    :raises ValueError: columns of different lengths, or an array without `names`.
    """
    if isinstance(features, Mapping):
        columns = {str(name): listed(values) for name, values in features.items()}
    elif hasattr(features, "columns") and not callable(features.columns):
        columns = {str(name): listed(features[name]) for name in features.columns}
    else:
        return _from_array(features, names)
    keys = list(columns)
    return [dict(zip(keys, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _from_array(features: Any, names: Sequence[str] | None) -> list[dict[str, Any]]:
    table = listed(features)
    if table and isinstance(table[0], Mapping):
        return [dict(row) for row in table]
    if names is None:
        raise ValueError("an array needs `names` for its columns")
    keys = [str(name) for name in names]
    return [dict(zip(keys, listed(row), strict=True)) for row in table]


def listed(values: Any) -> list[Any]:
    """A list of Python values, by the library's own conversion where it has one."""
    for method in ("tolist", "to_list"):
        convert = getattr(values, method, None)
        if callable(convert):
            return list(convert())
    return list(values)


def column(values: Any, n: int) -> list[Any]:
    """`n` values out of a column, or one value for all rows.

    :raises ValueError: a column of another length.
    """
    if (
        values is None
        or isinstance(values, str | bytes | int | float)
        or not hasattr(values, "__len__")
    ):
        return [values] * n
    found = listed(values)
    if len(found) != n:
        raise ValueError(f"a column has {len(found)} values for {n} rows")
    return found
