"""Distance of each value from the median of the same slot in the cycles before, in their MAD.

A slot keeps its last values in the order of coming. What bounds the scale from below is the range
of the changes from one cycle to the next, over √2, of all values kept when the cycle began: the
range of the noise, whatever the season's. Three values alone have no scale: with 1 % of the values'
range under it, one normal value in a hundred scored above 6.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit
from inferwatch.kernels.sliding_moments import in_scales
from inferwatch.kernels.sliding_order import NORMAL, deviation, median

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@jit
def score(
    values: Floats,
    past_min: int,
    floor: float,
    level_floor: float,
    kept: Floats,
    seen: Counts,
    state: Floats,
    slot: int,
    scores: Floats,
) -> int:
    """Write a score for each value, NaN where there is none, feed the values; the next slot.

    A value that is not finite is passed over, and its slot with it.

    :param floor: least MAD, as a share of the range of the noise.
    :param level_floor: the same, as a share of the size of the slot's median.
    :param kept: float64[period, cycles]; `seen`: int64[period], values that each slot ever had.
    :param state: float64[1], the range of the noise.
    """
    period, cycles = kept.shape
    ordered = np.empty(cycles)
    for at in range(len(values)):
        value = float(values[at])
        scores[at] = math.nan
        if slot == 0:
            state[0] = _range_of_changes(kept, seen) / math.sqrt(2.0)
        if math.isfinite(value):
            n = min(int(seen[slot]), cycles)
            if n >= past_min:
                _sort(kept[slot], n, ordered)
                middle = median(ordered, n)
                least = max(floor * float(state[0]), level_floor * abs(middle))
                spread = max(deviation(ordered, n, middle), least)
                scores[at] = in_scales(NORMAL * abs(value - middle), spread)
            kept[slot, int(seen[slot]) % cycles] = value
            seen[slot] += 1
        slot = slot + 1 if slot + 1 < period else 0
    return slot


@jit
def _range_of_changes(kept: Floats, seen: Counts) -> float:
    period, cycles = kept.shape
    least, most = math.inf, -math.inf
    for slot in range(period):
        newest, n = int(seen[slot]), min(int(seen[slot]), cycles)
        for later in range(newest - n + 1, newest):
            change = float(kept[slot, later % cycles]) - float(kept[slot, (later - 1) % cycles])
            least, most = min(least, change), max(most, change)
    return most - least if most >= least else 0.0


@jit
def _sort(values: Floats, n: int, ordered: Floats) -> None:
    """Into `ordered`, by insertion."""
    for at in range(n):
        value, to = float(values[at]), at
        while to > 0 and float(ordered[to - 1]) > value:
            ordered[to] = ordered[to - 1]
            to -= 1
        ordered[to] = value
