"""Half-space trees over blocks of rows: Tan, Ting and Liu 2011.

Scores are those of river 0.26's `HalfSpaceTrees` (BSD-3) given the same trees, asked for a row
before it learns it; written anew. Trees are complete: the children of node i are 2i + 1 and 2i + 2.
One walk serves both: a score reads the masses of the window before, learning counts in the new
one's.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
Masses = NDArray[np.int32]


@jit
def score(
    rows: Floats,
    window: int,
    features: Masses,
    splits: Floats,
    masses: Masses,
    counts: NDArray[np.int64],
    scores: Floats,
) -> None:
    """Write a score for each row, NaN where there is none, and feed the rows.

    Rows with a value that is not finite are passed over; in the first window there is no score.

    :param rows: float64[n, F]; `features`, `splits`: [trees, 2^height − 1].
    :param masses: int32[2, trees, 2^(height + 1) − 1], of the window before and of this one.
    :param counts: int64[2], rows in this window and windows before it.
    """
    trees, inner = features.shape
    before, now = masses[0], masses[1]
    limit = 0.1 * window
    most = float(trees) * float(window) * float(2 * inner + 1)
    learnt, windows = int(counts[0]), int(counts[1])
    for at in range(len(rows)):
        scores[at] = math.nan
        if not _finite(rows[at]):
            continue
        total = 0.0
        for tree in range(trees):
            total += _walk(rows[at], limit, features[tree], splits[tree], before[tree], now[tree])
        if windows > 0:
            scores[at] = 1.0 - total / most
        learnt += 1
        if learnt == window:
            before[:] = now
            now[:] = 0
            learnt, windows = 0, windows + 1
    counts[0], counts[1] = learnt, windows


@jit
def _finite(row: Floats) -> bool:
    for value in row:  # noqa: SIM110 - a loop is what compiles
        if not math.isfinite(value):
            return False
    return True


@jit
def _walk(
    row: Floats, limit: float, features: Masses, splits: Floats, before: Masses, now: Masses
) -> float:
    """Count the row in each node on its way; the sum of mass · 2^depth up to the first node whose
    mass is under `limit`, that one included.
    """
    node, weight, total = 0, 1, 0
    while node < len(splits):
        mass = int(before[node])
        now[node] += 1
        total += mass * weight
        weight = 2 * weight if mass >= limit else 0
        node = 2 * node + (2 if row[features[node]] >= splits[node] else 1)
    now[node] += 1
    return float(total + int(before[node]) * weight)
