"""Distance of each value from the median or the quartiles of the W values before it.

The window is kept twice, in the order of coming and sorted; a value is put into its place, and the
oldest taken out, by moving what lies between. Median and quartiles are then read, and the median
of the distances from the median is the middle of two sorted runs.

References: B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers" (1993), for the score of
median and MAD; J. W. Tukey, "Exploratory Data Analysis" (1977), for the fences.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit
from inferwatch.kernels.sliding_moments import in_scales

Floats = NDArray[np.float64]
PLACE, FILLED = range(2)
NORMAL = 0.6745
"""A normal's quartile: MAD / 0.6745 is its standard deviation."""


@jit
def score(
    values: Floats,
    past_min: int,
    floor: float,
    level_floor: float,
    fences: bool,
    ring: Floats,
    ordered: Floats,
    counts: NDArray[np.int64],
    scores: Floats,
) -> None:
    """Write a score for each value, NaN where there is none, and feed the values.

    :param floor: least MAD, or least distance of the quartiles, as a share of the window's range.
    :param level_floor: the same, as a share of the size of its median.
    :param fences: distances outside the quartiles instead of those from the median.
    :param ring: float64[W] in the order of coming; `ordered`: float64[W], the same values sorted.
    """
    window = len(ring)
    place, filled = int(counts[PLACE]), int(counts[FILLED])
    for at in range(len(values)):
        value = float(values[at])
        scores[at] = math.nan
        if not math.isfinite(value):
            continue
        if filled >= past_min:
            if fences:
                scores[at] = outside(value, floor, level_floor, ordered, filled)
            else:
                scores[at] = robust(value, floor, level_floor, ordered, filled)
        if filled < window:
            _insert(value, ordered, filled)
            filled += 1
        else:
            _replace(float(ring[place]), value, ordered)
        ring[place] = value
        place = place + 1 if place + 1 < window else 0
    counts[PLACE], counts[FILLED] = place, filled


@jit
def robust(value: float, floor: float, level_floor: float, ordered: Floats, n: int) -> float:
    """0.6745·|value − median| / MAD of the first `n` of `ordered`."""
    middle = median(ordered, n)
    least = max(floor * float(ordered[n - 1] - ordered[0]), level_floor * abs(middle))
    spread = max(deviation(ordered, n, middle), least)
    return in_scales(NORMAL * abs(value - middle), spread)


@jit
def outside(value: float, floor: float, level_floor: float, ordered: Floats, n: int) -> float:
    """Distance outside the quartiles of the first `n` of `ordered`, in their distance."""
    low, high = _quantile(ordered, n, 0.25), _quantile(ordered, n, 0.75)
    least = max(floor * float(ordered[n - 1] - ordered[0]), level_floor * abs(median(ordered, n)))
    spread = max(high - low, least)
    return in_scales(max(low - value, value - high, 0.0), spread)


@jit
def median(ordered: Floats, n: int) -> float:
    """Of the first `n` values of a sorted array, at least 1."""
    half = n // 2
    if n % 2 == 1:
        return float(ordered[half])
    return 0.5 * (float(ordered[half - 1]) + float(ordered[half]))


@jit
def deviation(ordered: Floats, n: int, middle: float) -> float:
    """Median distance of the first `n` values of a sorted array from their median `middle`.

    Distances of the lower half, from its end, and of the upper half ascend; what is sought is how
    many of the least `need` distances belong to the lower half.
    """
    half = n // 2
    upper, need = n - half, (n + 1) // 2
    low, high = max(0, need - upper), min(need, half)
    while low < high:
        taken = (low + high) // 2
        if float(ordered[half + need - taken - 1]) - middle > middle - float(
            ordered[half - 1 - taken]
        ):
            low = taken + 1
        else:
            high = taken
    rest = need - low
    last = 0.0
    if low > 0:
        last = middle - float(ordered[half - low])
    if rest > 0:
        last = max(last, float(ordered[half + rest - 1]) - middle)
    if n % 2 == 1:
        return last
    following = math.inf
    if low < half:
        following = middle - float(ordered[half - 1 - low])
    if rest < upper:
        following = min(following, float(ordered[half + rest]) - middle)
    return 0.5 * (last + following)


@jit
def _quantile(ordered: Floats, n: int, share: float) -> float:
    """Between the two nearest values, in proportion."""
    exact = (n - 1) * share
    at = int(exact)
    if at + 1 >= n:
        return float(ordered[n - 1])
    left = float(ordered[at])
    return left + (float(ordered[at + 1]) - left) * (exact - at)


@jit
def _first_not_below(value: float, ordered: Floats, n: int) -> int:
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if float(ordered[middle]) < value:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def _insert(value: float, ordered: Floats, n: int) -> None:
    to = _first_not_below(value, ordered, n)
    for at in range(n, to, -1):
        ordered[at] = ordered[at - 1]
    ordered[to] = value


@jit
def _replace(old: float, value: float, ordered: Floats) -> None:
    n = len(ordered)
    origin, to = _first_not_below(old, ordered, n), _first_not_below(value, ordered, n)
    if to > origin:
        for at in range(origin, to - 1):
            ordered[at] = ordered[at + 1]
        ordered[to - 1] = value
    else:
        for at in range(origin, to, -1):
            ordered[at] = ordered[at - 1]
        ordered[to] = value
