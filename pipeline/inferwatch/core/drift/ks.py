"""Kolmogorov–Smirnov: the largest distance between two distribution functions, D = sup |F − G|.

The p-value is Kolmogorov's limit for √(nm/(n + m))·D (A. Kolmogorov 1933, N. Smirnov 1948), at the
same cost for any size. Where the exact one is at most 0.05 it errs to the quiet side: too large by
up to 0.02 from 20 rows a side, 0.004 from 200. It ranks features and never alarms alone. From bins
D is a lower bound that loses at most the reference's share of its fullest bin: for 128 quantile
bins 0.0078, in practice 0.001.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from inferwatch.core.figure import Figure

Result = tuple[Figure, float | None]


def _p_value(statistic: float, n: int, m: int) -> float:
    return float(kolmogorov(math.sqrt(n * m / (n + m)) * statistic))


def ks_rows(reference: NDArray[np.floating], current: NDArray[np.floating]) -> Result:
    """D from the values themselves; `reference` is sorted ascending, neither holds NaN."""
    n, m = len(reference), len(current)
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference"), None
    ordered = np.sort(current)
    whole = np.concatenate([reference, ordered])
    below = np.searchsorted(reference, whole, side="right") / n
    distance = np.abs(below - np.searchsorted(ordered, whole, side="right") / m).max()
    return Figure(float(distance), m), _p_value(float(distance), n, m)


def ks_bins(reference: NDArray[np.int64], current: NDArray[np.int64]) -> Result:
    """D over the edges of shared bins: a lower bound."""
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference"), None
    distance = float(np.abs(np.cumsum(reference) / n - np.cumsum(current) / m).max())
    return Figure(distance, m), _p_value(distance, n, m)
