"""Kolmogorov–Smirnov: the largest distance between two distribution functions, D = sup |F − G|.

The p-value is Kolmogorov's limit for √(nm/(n + m))·D (A. Kolmogorov 1933, N. Smirnov 1948), at the
same cost for any size. Where the exact one is at most 0.05 it errs to the quiet side: too large by
up to 0.02 from 20 rows a side, 0.004 from 200. It ranks features and never alarms alone. From bins
D is a lower bound that loses at most the reference's share of its fullest bin: for 128 quantile
bins 0.0078, in practice 0.001.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from inferwatch.core.figure import Figure

Result = tuple[Figure, float | None]
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def _p_value(statistic: float, n: int, m: int) -> float:
    return float(kolmogorov(math.sqrt(n * m / (n + m)) * statistic))


def ks_rows(reference: NDArray[np.floating], current: NDArray[np.floating]) -> Result:
    """D from the values themselves; `reference` is sorted ascending, neither holds NaN.

    Between two current values G stays and F only rises, so D lies at one of them, or just before.
    Cost: 1 ms for 50,000 rows against 5,000.
    """
    n, m = len(reference), len(current)
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference"), None
    ordered = np.sort(current)
    distance = max(
        float(
            np.abs(
                np.searchsorted(reference, ordered, side=side) / n
                - np.searchsorted(ordered, ordered, side=side) / m
            ).max()
        )
        for side in SIDES
    )
    return Figure(distance, m), _p_value(distance, n, m)


def ks_bins(reference: NDArray[np.int64], current: NDArray[np.int64]) -> Result:
    """D over the edges of shared bins: a lower bound."""
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference"), None
    distance = float(np.abs(np.cumsum(reference) / n - np.cumsum(current) / m).max())
    return Figure(distance, m), _p_value(distance, n, m)
