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
    for column in range(len(block)):
        values = block[column]
        origin, least, most = origins[column], ranges[0, column], ranges[1, column]
        total, total_low = sums[0, column], sums[1, column]
        square, square_low = sums[2, column], sums[3, column]
        finite, missing = 0, 0
        for at in range(len(values)):
            value = float(values[at])
            if not math.isfinite(value):
                if math.isnan(value):
                    missing += 1
                continue
            if finite == 0 and math.isnan(origin):
                origin = value
            finite += 1
            least, most = min(least, value), max(most, value)
            added = value - origin
            after = total + added
            part = after - total
            total_low += (total - (after - part)) + (added - part)
            total = after
            added *= added
            after = square + added
            part = after - square
            square_low += (square - (after - part)) + (added - part)
            square = after
        origins[column], ranges[0, column], ranges[1, column] = origin, least, most
        sums[0, column], sums[1, column] = total, total_low
        sums[2, column], sums[3, column] = square, square_low
        counts[0, column] += finite
        counts[1, column] += missing
        counts[2, column] += len(values) - finite - missing
