"""Sums, squares, range and gaps of every column of a block, strictly in order and compensated.

Ogita, Rump and Oishi, "Accurate Sum and Dot Product", SIAM J. Sci. Comput. 26 (2005), Algorithm 4.4
(Sum2): what each addition rounds away is added up beside. State arrays have one entry a column.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_TOTAL, _TOTAL_LOW, _SQUARE, _SQUARE_LOW, _LEAST, _MOST, _ORIGIN, _KINDS = range(8)
_LANES, _SIDE_BY_SIDE = 32, 8
_ROWS = 128
"""Columns and rows that are worked on together, at most: 32 KB of values. Columns come in eights;
those that lack are nobody's.
"""


@jit
def update(
    block: NDArray[np.floating],
    origins: Floats,
    sums: Floats,
    ranges: Floats,
    counts: Counts,
) -> None:
    """Add the rows of `block` float[F, n].

    `origins` float64[F] (NaN before the first finite value), `sums` float64[4, F]: total and
    square of x − origin, each with its compensation; `ranges` float64[2, F]: least and most;
    `counts` int64[3, F]: finite, NaN, ±Inf.
    """
    columns, n = block.shape
    values, state = np.zeros(_ROWS * _LANES), np.zeros(_KINDS * _LANES)
    for first in range(0, columns, _LANES):
        lanes = min(_LANES, columns - first)
        side = -(-lanes // _SIDE_BY_SIDE) * _SIDE_BY_SIDE
        for lane in range(lanes):
            _count(block[first + lane], first + lane, origins, counts)
            state[_ORIGIN * _LANES + lane] = origins[first + lane]
            for kind in range(4):
                state[kind * _LANES + lane] = sums[kind, first + lane]
            for kind in range(2):
                state[(_LEAST + kind) * _LANES + lane] = ranges[kind, first + lane]
        for start in range(0, n, _ROWS):
            rows = min(_ROWS, n - start)
            _lay(block[first : first + lanes], start, rows, side, values)
            _add(values, rows, side, state)
        for lane in range(lanes):
            for kind in range(4):
                sums[kind, first + lane] = state[kind * _LANES + lane]
            for kind in range(2):
                ranges[kind, first + lane] = state[(_LEAST + kind) * _LANES + lane]


@jit
def _count(values: NDArray[np.floating], column: int, origins: Floats, counts: Counts) -> None:
    """Count what is finite, NaN and ±Inf; the first finite value ever is the column's origin."""
    finite, missing = 0, 0
    for at in range(len(values)):
        value = float(values[at])
        finite += value - value == 0.0
        missing += value != value
    counts[0, column] += finite
    counts[1, column] += missing
    counts[2, column] += len(values) - finite - missing
    if finite and math.isnan(origins[column]):
        at = 0
        while not math.isfinite(values[at]):
            at += 1
        origins[column] = float(values[at])


@jit
def _lay(columns: NDArray[np.floating], start: int, rows: int, side: int, values: Floats) -> None:
    """Write `columns[c, start + r]` to `values[r · side + c]`.

    Four columns at a time, which lie beside each other there: one by one takes twice as long.
    """
    whole, end = len(columns) // 4 * 4, start + rows
    for lane in range(0, whole, 4):
        one, two = columns[lane, start:end], columns[lane + 1, start:end]
        three, four = columns[lane + 2, start:end], columns[lane + 3, start:end]
        at = lane
        for row in range(rows):
            values[at], values[at + 1] = one[row], two[row]
            values[at + 2], values[at + 3] = three[row], four[row]
            at += side
    for lane in range(whole, len(columns)):
        for row in range(rows):
            values[row * side + lane] = columns[lane, start + row]


@jit
def _add(values: Floats, rows: int, lanes: int, state: Floats) -> None:
    """Add rows float64[rows · lanes] to the `state` of each lane, float64[_KINDS · _LANES].

    Lanes are strangers to each other and all state lies in one array, at distances that the
    compiler knows: it sees that it may work on several at a time. What is not finite adds nothing:
    zero, to the bit.
    """
    for row in range(rows):
        first = row * lanes
        for lane in range(lanes):
            value, origin = values[first + lane], state[_ORIGIN * _LANES + lane]
            finite = value - value == 0.0
            least, most = state[_LEAST * _LANES + lane], state[_MOST * _LANES + lane]
            state[_LEAST * _LANES + lane] = value if finite and value < least else least
            state[_MOST * _LANES + lane] = value if finite and value > most else most
            added = value - origin if finite else 0.0
            total = state[_TOTAL * _LANES + lane]
            after = total + added
            part = after - total
            state[_TOTAL_LOW * _LANES + lane] += (total - (after - part)) + (added - part)
            state[_TOTAL * _LANES + lane] = after
            added *= added
            square = state[_SQUARE * _LANES + lane]
            after = square + added
            part = after - square
            state[_SQUARE_LOW * _LANES + lane] += (square - (after - part)) + (added - part)
            state[_SQUARE * _LANES + lane] = after
