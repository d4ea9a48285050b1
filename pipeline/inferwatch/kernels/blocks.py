"""Sums over blocks of rows, the same wherever calls cut them.

Eight sums go on side by side, value k of a block in sum k mod 8, and are added up once the block is
full: no value waits for the one before it, and the compiler works on several at a time.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

SIDE_BY_SIDE = 8
SQUARES, PARTS = SIDE_BY_SIDE, 2 * SIDE_BY_SIDE
"""Where in a block's array the sums of squares begin, behind the sums, and its length."""


@jit
def fill(
    values: NDArray[np.floating],
    start: int,
    held: int,
    block: int,
    low: float,
    high: float,
    centre: float,
    scale: float,
    parts: Floats,
) -> tuple[int, int]:
    """Add `values[start:]` to a block that has `held` of its `block` values, until it is full: the
    place behind the last value that was looked at, and how many the block has.

    Each value is clipped to `[low, high]`, less `centre`, over `scale`; what is not finite is
    passed over. Cost: 1 ns a value.
    """
    at, n = start, len(values)
    while at < n and held < block:
        end = min(n, at + block - held)
        if _finite(values[at:end]):
            _add(values, at, end, held, low, high, centre, 1.0 / scale, parts)
            held += end - at
        else:
            kept, found = np.empty(end - at), 0
            for place in range(at, end):
                kept[found] = values[place]
                found += math.isfinite(values[place])
            _add(kept, 0, found, held, low, high, centre, 1.0 / scale, parts)
            held += found
        at = end
    return at, held


@jit
def total(parts: Floats, first: int) -> float:
    """What the eight sums from `first` on come to, which are zero then."""
    found = 0.0
    for lane in range(first, first + SIDE_BY_SIDE):
        found += parts[lane]
        parts[lane] = 0.0
    return found


@jit
def _finite(values: NDArray[np.floating]) -> bool:
    """Whether none of the values, one behind the other in memory, is NaN or ±Inf.

    Seen by their exponents: with x − x the compiler does fewer at a time, at ten times the cost.
    """
    if values.itemsize == 4:
        narrow = values.view(np.int32)
        most = np.int32(0)
        for at in range(len(narrow)):
            most = max(most, np.int32(narrow[at] & np.int32(0x7F800000)))
        return bool(most < 0x7F800000)
    wide, widest = values.view(np.int64), np.int64(0)
    for at in range(len(wide)):
        widest = max(widest, wide[at] & np.int64(0x7FF0000000000000))
    return bool(widest < 0x7FF0000000000000)


@jit
def _add(
    values: NDArray[np.floating],
    start: int,
    end: int,
    held: int,
    low: float,
    high: float,
    centre: float,
    per_unit: float,
    parts: Floats,
) -> None:
    """Add finite values, the first of which is number `held` of its block."""
    head = min(end, start + -held % SIDE_BY_SIDE)
    body = head + (end - head) // SIDE_BY_SIDE * SIDE_BY_SIDE
    for at in range(start, head):
        _add_one(values[at], (held + at - start) % SIDE_BY_SIDE, low, high, centre, per_unit, parts)
    for first in range(head, body, SIDE_BY_SIDE):
        for lane in range(SIDE_BY_SIDE):
            _add_one(values[first + lane], lane, low, high, centre, per_unit, parts)
    for at in range(body, end):
        _add_one(values[at], at - body, low, high, centre, per_unit, parts)


@jit
def _add_one(
    given: float,
    lane: int,
    low: float,
    high: float,
    centre: float,
    per_unit: float,
    parts: Floats,
) -> None:
    value = float(given)
    value = value if value > low else low
    value = ((value if value < high else high) - centre) * per_unit
    parts[lane] += value
    parts[SQUARES + lane] += value * value
