"""Sums, squares, range and gaps of every column of a block, the same bits wherever calls cut it.

Rows are added up in blocks of 128 (`kernels.blocks`). What a block comes to is added to the total
in order and compensated: T. Ogita, S. Rump and S. Oishi, "Accurate Sum and Dot Product", SIAM J.
Sci. Comput. 26 (2005), Algorithm 4.4 (Sum2). A sum is so off by eleven roundings of the sum of its
values' sizes, however many there are; adding one by one, each may be another.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.blocks import ROWS, SQUARES, add, total
from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_INF32, _INF64 = 0x7F800000, 0x7FF0000000000000
_SIZE32, _SIZE64 = 0x7FFFFFFF, 0x7FFFFFFFFFFFFFFF


@jit
def update(
    block: NDArray[np.floating],
    origins: Floats,
    sums: Floats,
    ranges: Floats,
    counts: Counts,
    parts: Floats,
) -> None:
    """Add the rows of `block` float[F, n].

    `origins` float64[F] (NaN before the first finite value), `sums` float64[4, F]: total and
    square of x − origin, each with its compensation; `ranges` float64[2, F]: least and most;
    `counts` int64[3, F]: finite, NaN, ±Inf; `parts` float64[F, PARTS] of the open blocks, which
    begin with each column's first row. What is not finite adds nothing.
    """
    columns, n = block.shape
    filled, padded = np.empty(n, block.dtype), np.empty(ROWS, block.dtype)
    for column in range(columns):
        values = block[column]
        held = (counts[0, column] + counts[1, column] + counts[2, column]) % ROWS
        holes, least, most = _extent(values)
        if holes:
            finite = _count(values, column, counts)
            if not finite:
                _pass(held + n, parts[column], sums, column)
                continue
        else:
            counts[0, column] += n
        if math.isnan(origins[column]) and n:
            origins[column] = _first(values)
        origin = origins[column]
        if holes:
            _fill(values, origin, filled)
            values = filled
            _, least, most = _extent(values)
        if n:
            ranges[0, column] = min(ranges[0, column], _number(least, values))
            ranges[1, column] = max(ranges[1, column], _number(most, values))
        _add(values, held, origin, padded, parts[column], sums, column)


@jit
def settle(parts: Floats, sums: Floats) -> None:
    """Add what open blocks hold to the totals, as if they were full."""
    for column in range(len(parts)):
        _end_block(parts[column], sums, column)


@jit
def _extent(values: NDArray[np.floating]) -> tuple[int, int, int]:
    """How many values are NaN or ±Inf, and the keys of the least and of the most of all.

    Integers in the order of the floats whose bits they are made of: the compiler looks at several
    at a time, as it must not where a comparison may see NaN, in a tenth of the time.
    """
    if values.itemsize == 4:
        narrow = values.view(np.int32)
        holes, low, high = np.int32(0), np.int32(_SIZE32), np.int32(-_SIZE32 - 1)
        for at in range(len(narrow)):
            bits = narrow[at]
            holes += np.int32((bits & np.int32(_SIZE32)) >= np.int32(_INF32))
            key = np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(_SIZE32)))
            low, high = min(low, key), max(high, key)
        return int(holes), int(low), int(high)
    wide = values.view(np.int64)
    gaps, least, most = np.int64(0), np.int64(_SIZE64), np.int64(-_SIZE64 - 1)
    for at in range(len(wide)):
        size = wide[at]
        gaps += np.int64((size & np.int64(_SIZE64)) >= np.int64(_INF64))
        place = np.int64(size ^ ((size >> np.int64(63)) & np.int64(_SIZE64)))
        least, most = min(least, place), max(most, place)
    return int(gaps), int(least), int(most)


@jit
def _number(key: int, like: NDArray[np.floating]) -> float:
    """The float of a key; −0 is 0."""
    if like.itemsize == 4:
        narrow = np.empty(1, np.int32)
        narrow[0] = key ^ ((key >> 63) & _SIZE32)
        return float(narrow.view(np.float32)[0]) + 0.0
    wide = np.empty(1, np.int64)
    wide[0] = key ^ ((key >> 63) & _SIZE64)
    return float(wide.view(np.float64)[0]) + 0.0


@jit
def _count(values: NDArray[np.floating], column: int, counts: Counts) -> int:
    """Count what is finite, NaN and ±Inf; gives the first."""
    finite, missing = 0, 0
    for at in range(len(values)):
        value = float(values[at])
        finite += value - value == 0.0
        missing += value != value
    counts[0, column] += finite
    counts[1, column] += missing
    counts[2, column] += len(values) - finite - missing
    return finite


@jit
def _first(values: NDArray[np.floating]) -> float:
    """The first finite value."""
    at = 0
    while not math.isfinite(values[at]):
        at += 1
    return float(values[at])


@jit
def _fill(values: NDArray[np.floating], origin: float, filled: NDArray[np.floating]) -> None:
    """Copy values; what is not finite becomes the origin, which adds zero and widens no range."""
    for at in range(len(values)):
        filled[at] = values[at] if math.isfinite(values[at]) else origin


@jit
def _add(
    values: NDArray[np.floating],
    held: int,
    origin: float,
    padded: NDArray[np.floating],
    parts: Floats,
    sums: Floats,
    column: int,
) -> None:
    """Add finite values to a column whose open block holds `held` rows.

    `padded` is room for a block: rows of it that are not among `values` are the origin there, which
    adds zero.
    """
    at, n = 0, len(values)
    while at < n:
        end = min(n, at + ROWS - held)
        if end - at == ROWS:
            add(values[at:end], origin, parts)
        else:
            padded[:] = origin
            padded[held : held + end - at] = values[at:end]
            add(padded, origin, parts)
        held += end - at
        at = end
        if held == ROWS:
            _end_block(parts, sums, column)
            held = 0


@jit
def _pass(rows: int, parts: Floats, sums: Floats, column: int) -> None:
    """Rows that add nothing end the block too."""
    if rows >= ROWS:
        _end_block(parts, sums, column)


@jit
def _end_block(parts: Floats, sums: Floats, column: int) -> None:
    """Add an open block to its column's totals; its sums are zero then."""
    for kind in range(2):
        added, before = total(parts, kind * SQUARES), sums[2 * kind, column]
        after = before + added
        part = after - before
        sums[2 * kind + 1, column] += (before - (after - part)) + (added - part)
        sums[2 * kind, column] = after
