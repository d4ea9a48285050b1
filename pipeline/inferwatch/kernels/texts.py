"""Columns of texts that lie end to end."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit


@jit
def take(
    data: NDArray[np.uint8], ends: NDArray[np.int32], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The texts that `keep` picks: text i is `data[ends[i-1]:ends[i]]`."""
    size, rows, start = 0, 0, 0
    for at in range(len(ends)):
        if keep[at]:
            size += ends[at] - start
            rows += 1
        start = ends[at]
    taken, stops = np.empty(size, np.uint8), np.empty(rows, np.int32)
    size, rows, start = 0, 0, 0
    for at in range(len(ends)):
        if keep[at]:
            for place in range(start, ends[at]):
                taken[size] = data[place]
                size += 1
            stops[rows] = size
            rows += 1
        start = ends[at]
    return taken, stops
