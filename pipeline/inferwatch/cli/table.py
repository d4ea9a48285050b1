"""Columns of text, as wide as they need to be."""

from collections.abc import Sequence

from inferwatch.notify.text import printable


def table(heads: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    """Lines of left-aligned columns; whatever is not printable in a cell is escaped."""
    cells = [[printable(cell) for cell in row] for row in ([heads] if heads else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
