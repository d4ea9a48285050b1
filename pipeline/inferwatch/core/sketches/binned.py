"""Row counts on bins that the reference fixed, for many columns at once.

Exact for PSI and chi² on the same bins; a lower bound for KS. State: 8 bytes a bin. Cost: 20 ns a
value.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


class Grid(msgspec.Struct, frozen=True):
    """Bins of F columns, open at both ends: bin i of a column is (e[i-1], e[i]].

    `starts` int64[F+1] are the offsets of the columns in the flat counts; each column has
    len(edges)+1 bins and, last, one for what is missing or not finite.
    """

    edges: tuple[NDArray[np.float32], ...]
    starts: NDArray[np.int64]


def make_grid(edges: Sequence[NDArray[np.floating]]) -> Grid:
    """Lay the columns' bins end to end; `edges` are ascending."""
    sizes = [len(column) + 2 for column in edges]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Grid(tuple(column.astype(np.float32) for column in edges), starts)


def empty(grid: Grid) -> Counts:
    """Counts of no rows."""
    return np.zeros(int(grid.starts[-1]), np.int64)


def update(counts: Counts, grid: Grid, block: NDArray[np.floating]) -> None:
    """Count the rows of `block` float[F, n].

    The edges are looked up in the sorted rows: a third of the cost of looking up every row.
    """
    finite = np.isfinite(block)
    with np.errstate(over="ignore"):  # beyond float32 is beyond the last edge
        narrow = np.sort(np.where(finite, block, np.nan).astype(np.float32, copy=False), axis=1)
    upto = np.empty_like(counts)  # rows in a bin and all before it
    for edges, start, column, n in zip(
        grid.edges, grid.starts[:-1].tolist(), narrow, finite.sum(axis=1).tolist(), strict=True
    ):
        last = start + len(edges)
        upto[start:last] = np.searchsorted(column[:n], edges, side="right")
        upto[last], upto[last + 1] = n, len(column)
    before = np.concatenate([[0], upto[:-1]])
    before[grid.starts[:-1]] = 0
    counts += upto - before


def feature_counts(counts: Counts, grid: Grid, column: int) -> Counts:
    """Rows by bin of one column, missing last."""
    return counts[grid.starts[column] : grid.starts[column + 1]]


def quantile_edges(values: NDArray[np.floating], bins: int) -> NDArray[np.float32]:
    """The bins−1 inner quantiles of `values` as float32, equal ones merged."""
    shares = np.arange(1, bins) / bins
    return np.unique(np.quantile(values, shares).astype(np.float32))
