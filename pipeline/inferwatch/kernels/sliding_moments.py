"""Distance of each value from the mean of the W values before it, in their standard deviation.

Nothing is ever subtracted from a sum, so a wild value leaves no trace when it leaves the window:
the window is the rest of an older block of W values, whose moments from each place to its end were
added up when it was full, and the newer block so far. Both are joined for each score.

Reference: B. P. Welford (1962) for adding a value, T. F. Chan, G. H. Golub, R. J. LeVeque (1979)
for joining; the two blocks are the two stacks of a queue that aggregates (folklore; Tangwongsan et
al., "General Incremental Sliding-Window Aggregation", VLDB 2015).
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
MEAN, SQUARES, LEAST, MOST = range(4)
PLACE, FULL = range(2)
"""Counters: values in the newer block, and whether there is an older one."""


@jit
def score(
    values: Floats,
    past_min: int,
    floor: float,
    level_floor: float,
    ring: Floats,
    older: Floats,
    newer: Floats,
    counts: NDArray[np.int64],
    scores: Floats,
) -> None:
    """Write a score for each value, NaN where there is none, and feed the values.

    :param floor: least scale, as a share of the range of the window.
    :param level_floor: least scale, as a share of the size of its mean.
    :param ring: float64[W], both blocks; `older`: float64[W, 4], `newer`: float64[4], moments.
    """
    window = len(ring)
    place, full = int(counts[PLACE]), int(counts[FULL])
    for at in range(len(values)):
        value = float(values[at])
        scores[at] = math.nan
        if not math.isfinite(value):
            continue
        if full * window + place >= past_min:
            scores[at] = _score(value, floor, level_floor, window, place, full, older, newer)
        ring[place] = value
        place += 1
        _add(value, place, newer)
        if place == window:
            total(ring, 0, older)
            place, full = 0, 1
    counts[PLACE], counts[FULL] = place, full


@jit
def total(ring: Floats, first: int, older: Floats) -> None:
    """Moments from each place at or after `first` to the end of the block."""
    window = len(ring)
    moments = np.zeros(4)
    for back in range(window - first):
        at = window - 1 - back
        _add(float(ring[at]), back + 1, moments)
        for which in range(4):
            older[at, which] = moments[which]


@jit
def _add(value: float, n: int, moments: Floats) -> None:
    """Make `value` the n-th."""
    if n == 1:
        moments[MEAN], moments[SQUARES] = value, 0.0
        moments[LEAST], moments[MOST] = value, value
        return
    mean = float(moments[MEAN])
    delta = value - mean
    mean += delta / n
    moments[SQUARES] = float(moments[SQUARES]) + delta * (value - mean)
    moments[MEAN] = mean
    moments[LEAST] = min(float(moments[LEAST]), value)
    moments[MOST] = max(float(moments[MOST]), value)


@jit
def _score(
    value: float,
    floor: float,
    level_floor: float,
    window: int,
    place: int,
    full: int,
    older: Floats,
    newer: Floats,
) -> float:
    mean, squares, n = float(newer[MEAN]), float(newer[SQUARES]), place
    least, most = float(newer[LEAST]), float(newer[MOST])
    if full > 0:
        rest = window - place
        n = window
        if place == 0:
            mean, squares = float(older[0, MEAN]), float(older[0, SQUARES])
            least, most = float(older[0, LEAST]), float(older[0, MOST])
        else:
            delta = float(older[place, MEAN]) - mean
            share = rest / n
            mean += delta * share
            squares += float(older[place, SQUARES]) + delta * delta * (share * place)
            least = min(least, float(older[place, LEAST]))
            most = max(most, float(older[place, MOST]))
    least_scale = max(floor * (most - least), level_floor * abs(mean))
    scale = max(math.sqrt(squares / (n - 1)), least_scale)
    return in_scales(abs(value - mean), scale)


@jit
def in_scales(distance: float, scale: float) -> float:
    """`distance / scale`; 0 for no distance, NaN for any other where there is no scale."""
    if distance == 0.0:
        return 0.0
    if scale > 0.0 and math.isfinite(scale) and math.isfinite(distance):
        return distance / scale
    return math.nan
