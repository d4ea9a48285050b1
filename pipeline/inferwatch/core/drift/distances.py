"""Distances between two rows of shares, each in [0, 1]: the definitions, one column at a time.

Bins are PSI's: ten reference quantiles or words, missing last. No share is floored, so a bin that
is empty on one side costs what it holds. Sources: J. Lin, "Divergence Measures Based on the Shannon
Entropy" (1991), whose root is a metric (D. Endres, J. Schindelin 2003); E. Hellinger (1909). The
fold computes all columns at once (`kernels.distances`); the tests hold it to these.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


def _figure(
    reference: Counts, current: Counts, distance: Callable[[Shares, Shares], float]
) -> Figure:
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference")
    used = (reference > 0) | (current > 0)
    return Figure(min(distance(reference[used] / n, current[used] / m), 1.0), m)


def jensen_shannon(reference: Counts, current: Counts) -> Figure:
    """√JSD, base 2: the root of the mean divergence of both from their middle.

    The divergence is written by d = (p − q)/(p + q), as Σ (p + q)/2 · (d·artanh d + ½·ln(1 − d²)),
    which loses no digits where p and q are close. Near no drift it is about √(PSI / 5.5).
    """

    def distance(p: Shares, q: Shares) -> float:
        apart = (p == 0) | (q == 0)
        tilt = np.where(apart, 0.0, (p - q) / (p + q))
        inner = tilt * np.arctanh(tilt) + 0.5 * np.log1p(-tilt * tilt)
        inner = np.where(apart, math.log(2), inner)
        return math.sqrt(float((0.5 * (p + q) * inner).sum()) / math.log(2))

    return _figure(reference, current, distance)


def hellinger(reference: Counts, current: Counts) -> Figure:
    """√(½·Σ (√p − √q)²). Near no drift it is about √(PSI / 8)."""
    return _figure(
        reference, current, lambda p, q: math.sqrt(0.5 * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum())
    )


def total_variation(reference: Counts, current: Counts) -> Figure:
    """½·Σ |p − q|: the share of rows that would have to change their bin."""
    return _figure(reference, current, lambda p, q: 0.5 * float(np.abs(p - q).sum()))


def l_infinity(reference: Counts, current: Counts) -> Figure:
    """max |p − q|: the largest change of one bin's share."""
    return _figure(reference, current, lambda p, q: float(np.abs(p - q).max()))
