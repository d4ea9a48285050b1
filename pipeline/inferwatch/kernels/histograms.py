"""Counting: on the bins of a reference, and on log-spaced bins."""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

SHIFT = 18
"""Bits of a float32 that a log bin ignores: 32 bins an octave."""
CELLS = 1024
"""Cells of a look-up table: of the values of 128 quantile bins, four in five lie in one without an
edge, so that the search is over before it begins and the processor guesses so."""
_KEYS = 1 << (31 - SHIFT)


@jit
def cell_of(value: float, low: float, cells_per_unit: float) -> int:
    """Which of `CELLS` equal parts of a column's range holds `value`; the outer two are open."""
    away = (value - low) * cells_per_unit
    away = away if away > 0.0 else 0.0  # NaN too
    return int(away if away < CELLS - 1.0 else CELLS - 1.0)


@jit
def cell_starts(
    edges: NDArray[np.float32], firsts: NDArray[np.int64], scales: NDArray[np.float64]
) -> NDArray[np.uint16]:
    """Where among its edges, at most 65,535, each column's cells begin: uint16[G, CELLS + 1].

    `scales` float64[G, 2] are each column's lowest edge and the cells in one unit of its values.
    As `cell_of` never falls with its value, a value of cell c lies above all edges before
    `starts[g, c]` and not above those from `starts[g, c + 1]` on.
    """
    starts = np.zeros((len(firsts) - 1, CELLS + 1), np.uint16)
    for column in range(len(firsts) - 1):
        low, cells_per_unit = scales[column]
        for edge in range(firsts[column], firsts[column + 1]):
            starts[column, cell_of(float(edges[edge]), low, cells_per_unit) + 1] += np.uint16(1)
        for cell in range(CELLS):
            starts[column, cell + 1] += starts[column, cell]
    return starts


@jit
def count_bins(
    block: NDArray[np.floating],
    edges: NDArray[np.float32],
    firsts: NDArray[np.int64],
    scales: NDArray[np.float64],
    starts: NDArray[np.uint16],
    columns: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Count rows of `block` float[F, n] by bin: bin i of a column is (e[i−1], e[i]].

    `edges` holds the ascending edges of all G columns of the grid end to end, those of column g
    from `firsts[g]` on; its bins lie in `counts` from `firsts[g] + 2·g` on, last the one for what
    is not finite. `columns[g]` is the row of `block` to count, -1 for one it lacks; `scales` and
    `starts` as in `cell_starts`.
    """
    n = block.shape[1]
    cells = np.empty(n, np.int32)
    for place in range(len(columns)):
        first, last = firsts[place], firsts[place + 1]
        start, missing = first + 2 * place, last + 2 * place + 1
        if columns[place] < 0:
            counts[missing] += n
            continue
        values, begins, own = block[columns[place]], starts[place], counts[start:missing]
        mine = np.full(last - first + 1, np.float32(np.inf))
        mine[:-1] = edges[first:last]
        holes = _cells(values, scales[place], cells)
        counts[missing] += holes
        for at in range(n):
            if holes and not math.isfinite(values[at]):
                continue
            own[_bin_of(np.float32(values[at]), cells[at], begins, mine)] += 1


@jit
def _cells(
    values: NDArray[np.floating], scale: NDArray[np.float64], cells: NDArray[np.int32]
) -> int:
    """`cell_of` each value, and how many are not finite: a loop that the processor does for several
    values at a time.
    """
    low, cells_per_unit = scale
    holes = 0
    for at in range(len(values)):
        value = float(values[at])
        cells[at] = cell_of(float(np.float32(value)), low, cells_per_unit)
        holes += value - value != 0.0
    return holes


@jit
def _bin_of(
    value: np.float32, cell: int, begins: NDArray[np.uint16], edges: NDArray[np.float32]
) -> np.int64:
    """The first edge that is not below `value`, of those from the beginning of its cell on.

    `edges` end with +Inf. A cell that holds at most one of them takes one comparison, no guess.
    """
    left, right = np.int64(begins[cell]), np.int64(begins[cell + 1])
    if right - left <= 1:
        return left if edges[left] >= value else left + 1
    while left < right:
        middle = (left + right) >> 1
        if edges[middle] < value:
            left = middle + 1
        else:
            right = middle
    return left


@jit
def count_logs(
    values: NDArray[np.floating], keys: NDArray[np.int32], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """Count `values` by the upper bits of their float32: the histogram, then how many are missing.

    `keys` ascend in the order of the values; the arrays given are changed in place, unless there
    are new keys.
    """
    narrow = np.empty(len(values), np.float32)
    missing, most = 0, np.float32(3.4028234663852886e38)
    for at in range(len(values)):
        value = values[at]
        if math.isfinite(value):
            narrow[at - missing] = min(max(np.float32(value), -most), most)
        else:
            missing += 1
    found = narrow[: len(values) - missing].view(np.int32)
    first, last = _to_keys(found)
    if len(keys):
        first, last = min(first, keys[0]), max(last, keys[-1])
    table = np.zeros(max(last - first + 1, 0), np.int64)
    for at in range(len(found)):
        table[found[at] - first] += 1
    known = 0
    for at in range(len(keys)):
        known += table[keys[at] - first]
        counts[at] += table[keys[at] - first]
        table[keys[at] - first] = 0
    if known == len(found):
        return keys, counts, missing
    for at in range(len(keys)):
        table[keys[at] - first] = counts[at]
    used = np.flatnonzero(table)
    return (used + first).astype(np.int32), table[used], missing


@jit
def _to_keys(bits: NDArray[np.int32]) -> tuple[int, int]:
    """Turn the bits of float32 values into their bins' keys, in place: least and most of them."""
    least, most = _KEYS, -_KEYS
    for at in range(len(bits)):
        size = (bits[at] & 0x7FFFFFFF) >> SHIFT
        key = -size - 1 if bits[at] < 0 else size
        bits[at] = key
        least, most = min(least, key), max(most, key)
    return least, most
