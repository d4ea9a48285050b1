"""Wasserstein's distance of order 1, ∫ |F − G|, in standard deviations of the reference.

The deviation is the population's (n below the fraction). Source: L. Vaserstein (1969); on the line
it is the area between the distribution functions (S. S. Vallender 1974). Only numbers have it.

From bins, F − G is known at the edges and taken for straight between them; rows beyond the
reference's range for exponential, up to the window's least and most. What lies above zero and what
lies below then differ by the difference of the means, which is exact: both are corrected to it, in
proportion. So a shift is exact, and the figure is never under the distance of the means. A column
that spreads to twice its width is told to a sixth where it has tails, a third low where it has hard
ends; changes that small samples make, to 0.01.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure

FLAT = "the reference is constant"
HUGE = "too large for a number"


class Facts(NamedTuple):
    """Range and mean of rows."""

    least: float
    most: float
    mean: float


def _scaled(area: float, sd: float, m: int) -> Figure:
    if not sd > 0.0:
        return Figure(None, m, unknown=FLAT)
    if not math.isfinite(area) or not math.isfinite(sd):
        return Figure(None, m, unknown=HUGE)
    return Figure(area / sd, m)


def wasserstein_rows(
    reference: NDArray[np.floating], current: NDArray[np.floating], sd: float
) -> Figure:
    """From the values themselves; `reference` is sorted ascending, neither holds NaN.

    :param sd: the reference's population deviation. Cost: 2 ms for 50,000 rows against 5,000.
    """
    n, m = len(reference), len(current)
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference")
    ordered = np.sort(current).astype(np.float64)
    whole = np.sort(np.concatenate([reference, ordered]), kind="stable")
    below = np.searchsorted(reference, whole[:-1], side="right") / n
    now_below = np.searchsorted(ordered, whole[:-1], side="right") / m
    with np.errstate(over="ignore", invalid="ignore"):
        area = float((np.abs(below - now_below) * np.diff(whole)).sum())
    return _scaled(area, sd, m)


def wasserstein_bins(
    reference: NDArray[np.int64],
    current: NDArray[np.int64],
    edges: NDArray[np.floating],
    before: Facts,
    now: Facts,
    sd: float,
) -> Figure:
    """From counts on shared bins without the missing ones.

    :param edges: between the bins, ascending.
    :param before: of the reference's rows; `now` of the current ones.
    :param sd: the reference's population deviation.
    """
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference")
    apart = np.cumsum(reference)[:-1] / n - np.cumsum(current)[:-1] / m
    places, values = np.asarray(edges, np.float64), apart
    if not len(places) or before.least < places[0]:
        places, values = np.append(before.least, places), np.append(0.0, values)
    if before.most > places[-1]:
        places, values = np.append(places, before.most), np.append(values, 0.0)
    left, right, widths = values[:-1], values[1:], np.diff(places)
    up, down = float(_above(widths, left, right).sum()), float(_above(widths, -left, -right).sum())
    if len(edges) and not reference[0]:
        down += _tail(int(current[0]), m, float(places[0]) - now.least)
    if len(edges) and not reference[-1]:
        up += _tail(int(current[-1]), m, now.most - float(places[-1]))
    moved = now.mean - before.mean
    missing = (moved - (up - down)) / (up + down) if up + down else 0.0
    area = max(up + missing * up, 0.0) + max(down - missing * down, 0.0)
    return _scaled(abs(moved) if abs(moved) > area else area, sd, m)


def _above(
    widths: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Area above zero of straight lines from `left` to `right`."""
    size, most = np.abs(left) + np.abs(right), np.maximum(np.maximum(left, right), 0.0)
    crossed = most**2 / np.where(size > 0, size, 1.0)
    return widths * np.where(np.minimum(left, right) >= 0, left + right, crossed) / 2


def _tail(rows: int, whole: int, most: float) -> float:
    """Area of `rows` exponential values, the largest at `most`: its mean is the H-th part of that,
    H the harmonic number of their count.
    """
    return rows / whole * most / (math.log(rows) + 0.577 + 0.423 / rows) if rows else 0.0
