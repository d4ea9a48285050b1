"""Segments of a window with too few rows to be published: figures of few rows are those of persons.

What is held back cannot be had as the difference of all rows and the segments that are published:
in every column either no row is held back or at least `least` are, rows without a value among them.
Where those below it are too few together, the smallest above it stay back with them. Each window
and column is looked at by itself: windows that overlap may still differ by fewer rows.
"""

from inferwatch.core.columns import Columns
from inferwatch.core.windows import ALL, Pane, segment_name


def withheld(columns: Columns, pane: Pane, least: int) -> dict[str, list[str]]:
    """Names of the segments of `pane` that are not published, by column. Cost: a sort of them."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for key, cell in pane.cells.items():
        if key and least > 1:
            column = key.rsplit(":", 1)[0]
            rows.setdefault(column, []).append((cell.rows, segment_name(columns, key)))
    found = {column: _of(rows[column], pane.cells[ALL].rows, least) for column in rows}
    return {column: names for column, names in found.items() if names}


def _of(segments: list[tuple[int, str]], whole: int, least: int) -> list[str]:
    """Those of one column, smallest first; `whole` rows have the window."""
    apart, found = whole - sum(rows for rows, _ in segments), []
    for rows, name in sorted(segments):
        if rows >= least and (apart >= least or not apart):
            break
        apart += rows
        found.append(name)
    return found
