"""Half-space trees over blocks of rows: Tan, Ting and Liu 2011.

Scores are those of river 0.26's `HalfSpaceTrees` (BSD-3) given the same trees, asked for a row
before it learns it; written anew. Trees are complete: the children of node i are 2i + 1 and 2i + 2,
so a row's way is known by its leaf. While a window lasts only leaves are counted; when it turns,
their counts are added up to the masses of all nodes, and the sum over each leaf's way is kept, so
that a row costs its walk and one look-up a tree. All sums are whole numbers below 2⁵³, so their
order does not show.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
Masses = NDArray[np.int32]
Nodes = NDArray[np.uint64]
SIDE_BY_SIDE = 64
"""Rows that go down a tree together: enough to hide the wait of one for its next node."""


@jit
def score(
    rows: Floats,
    window: int,
    features: Masses,
    splits: Floats,
    masses: Masses,
    paths: Floats,
    counts: NDArray[np.int64],
    scores: Floats,
) -> None:
    """Write a score for each row, NaN where there is none, and feed the rows.

    Rows with a value that is not finite are passed over; in the first window there is no score.

    :param rows: float64[n, F]; `features`, `splits`: [trees, 2^height − 1].
    :param masses: int32[2, trees, 2^(height + 1) − 1], of the window before, and of this one, whose
        inner nodes are not read.
    :param paths: float64[trees, 2^height], what `add_up` made of the window before.
    :param counts: int64[2], rows in this window and windows before it.
    """
    places = _finite(rows)
    if len(places) == len(rows):
        _score(rows, window, features, splits, masses, paths, counts, scores)
        return
    found = np.empty(len(places))
    _score(rows[places], window, features, splits, masses, paths, counts, found)
    scores[:] = math.nan
    scores[places] = found


@jit
def _finite(rows: Floats) -> NDArray[np.int64]:
    """Which rows have finite values only."""
    places, found = np.empty(len(rows), np.int64), 0
    for at in range(len(rows)):
        odd = 0
        for value in rows[at]:
            odd += int(float(value) - float(value) != 0.0)
        places[found] = at
        found += int(odd == 0)
    return places[:found]


@jit
def _score(
    rows: Floats,
    window: int,
    features: Masses,
    splits: Floats,
    masses: Masses,
    paths: Floats,
    counts: NDArray[np.int64],
    scores: Floats,
) -> None:
    trees, inner = features.shape
    most = float(trees) * float(window) * float(2 * inner + 1)
    learnt, windows = int(counts[0]), int(counts[1])
    nodes, at = np.empty(SIDE_BY_SIDE, np.uint64), 0
    while at < len(rows):
        n = max(min(SIDE_BY_SIDE, len(rows) - at, window - learnt), 1)  # a state may be anything
        totals, leaves = scores[at : at + n], nodes[:n]
        totals[:] = 0.0
        for tree in range(trees):
            _walk(rows[at : at + n], features[tree], splits[tree], leaves)
            for row in range(n):
                totals[row] += paths[tree, leaves[row] - np.uint64(inner)]
                masses[1, tree, leaves[row]] += 1
        for row in range(n):
            totals[row] = 1.0 - totals[row] / most if windows > 0 else math.nan
        at, learnt = at + n, learnt + n
        if learnt >= window:
            _turn(masses)
            add_up(masses, window, paths)
            learnt, windows = 0, windows + 1
    counts[0], counts[1] = learnt, windows


@jit
def _walk(rows: Floats, features: Masses, splits: Floats, nodes: Nodes) -> None:
    """Write the leaf of each row in one tree; all rows a level down, so that their waits overlap.

    Nodes are unsigned, because an index that may be negative is looked at before it is used.
    """
    nodes[:] = np.uint64(0)
    inner = 0
    while inner < len(features):
        for row in range(len(nodes)):
            node = nodes[row]
            right = np.uint64(rows[row, np.uint64(features[node])] >= splits[node])
            nodes[row] = node + node + np.uint64(1) + right
        inner = 2 * inner + 1


@jit
def _turn(masses: Masses) -> None:
    """Make this window the one before: masses of inner nodes are those of their children."""
    trees, nodes = masses[1].shape
    for tree in range(trees):
        now = masses[1, tree]
        for back in range(nodes // 2):
            node = nodes // 2 - 1 - back
            now[node] = now[2 * node + 1] + now[2 * node + 2]
    masses[0] = masses[1]
    masses[1] = 0


@jit
def add_up(masses: Masses, window: int, paths: Floats) -> None:
    """Write, for each leaf, the sum of mass · 2^depth on its way from the root.

    Up to the first node whose mass is under a tenth of the window, that one included.
    """
    trees, nodes = masses[0].shape
    limit, inner = 0.1 * window, nodes // 2
    sums, weights = np.zeros(nodes), np.zeros(nodes)
    for tree in range(trees):
        for node in range(nodes):
            mass, above, weight = int(masses[0, tree, node]), 0.0, 1.0
            if node > 0:
                above, weight = float(sums[(node - 1) // 2]), float(weights[(node - 1) // 2])
            sums[node] = above + mass * weight
            weights[node] = 2.0 * weight if mass >= limit else 0.0
            if node >= inner:
                paths[tree, node - inner] = sums[node]
