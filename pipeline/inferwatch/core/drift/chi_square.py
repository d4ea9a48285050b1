"""χ² test of homogeneity on the 2×k table of reference and current counts, without Yates.

K. Pearson (1900); the effect is Cramér's V (H. Cramér, "Mathematical Methods of Statistics", 1946,
§21.9), in [0, 1]. Cells with an expected count under five are pooled (W. G. Cochran, 1954).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from inferwatch.core.figure import Figure

EXPECTED_MIN = 5.0


def chi_square(
    reference: NDArray[np.int64], current: NDArray[np.int64], *, pool: bool = True
) -> tuple[Figure, float | None, Figure]:
    """Statistic, p-value, Cramér's V. With one category left the statistic is 0 and p is 1."""
    used = reference + current > 0
    table = np.stack([reference[used], current[used]]).astype(np.float64)
    n, m = table.sum(axis=1).tolist()
    if not n or not m:
        figure = Figure(None, int(m), unknown="no rows" if n else "no reference")
        return figure, None, figure
    if pool:
        table = _pooled(table)
    if table.shape[1] < 2:
        return Figure(0.0, int(m)), 1.0, Figure(0.0, int(m))
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    p_value = float(chdtrc(table.shape[1] - 1, statistic))
    return Figure(statistic, int(m)), p_value, Figure(math.sqrt(statistic / (n + m)), int(m))


def _pooled(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns with a small expectation added together, and into the next smallest if need be."""
    expected = (np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()).min(axis=0)
    order = np.argsort(expected, kind="stable")
    expected, table = expected[order], table[:, order]
    while table.shape[1] > 1 and expected[0] < EXPECTED_MIN:
        table = np.column_stack([table[:, :2].sum(axis=1), table[:, 2:]])
        expected = np.append(expected[:2].sum(), expected[2:])
        order = np.argsort(expected, kind="stable")
        expected, table = expected[order], table[:, order]
    return table
