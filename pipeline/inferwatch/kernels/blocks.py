"""Sums over blocks of rows, the same wherever calls cut them.

Sixteen sums go on side by side, value k of a block in sum k mod 16, and are added up in pairs once
the block is full: no value waits for the one before it, and the processor works on several at a
time.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import inline

Floats = NDArray[np.float64]

_SIDE_BY_SIDE, _DEEP = 16, 8
ROWS = _SIDE_BY_SIDE * _DEEP
"""Values that `add` adds in one go."""
_WHOLE = 64
"""Values that `fill` adds in one go where all are finite."""
SQUARES, PARTS = _SIDE_BY_SIDE, 2 * _SIDE_BY_SIDE
"""Where in a block's array the sums of squares begin, behind the sums, and its length."""


@inline
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
    passed over. Cost: 0.4 ns a value, three times that where some are not finite.
    """
    at, n, per_unit = start, len(values), 1.0 / scale
    while at < n and held < block:
        lane = held % _SIDE_BY_SIDE
        if lane == 0 and block - held >= _WHOLE and _is_whole(values[at:]):
            _add_whole(values[at:], low, high, centre, per_unit, parts)
            held, at = held + _WHOLE, at + _WHOLE
            continue
        end = min(n, at + _WHOLE)
        while at < end and held < block:
            value = float(values[at])
            at += 1
            if math.isfinite(value):
                scaled = _scaled(value, low, high, centre, per_unit)
                parts[held % _SIDE_BY_SIDE] += scaled
                parts[SQUARES + held % _SIDE_BY_SIDE] += scaled * scaled
                held += 1
    return at, held


@inline
def _is_whole(values: NDArray[np.floating]) -> bool:
    """Whether the next values are there, and finite."""
    holes = 0
    if len(values) < _WHOLE:
        return False
    for at in range(_WHOLE):
        holes += values[at] - values[at] != 0.0
    return holes == 0


@inline
def _add_whole(
    values: NDArray[np.floating],
    low: float,
    high: float,
    centre: float,
    per_unit: float,
    parts: Floats,
) -> None:
    """Add the next values; written out, or the compiler does one at a time."""
    for lane in range(_SIDE_BY_SIDE):
        one = _scaled(float(values[lane]), low, high, centre, per_unit)
        two = _scaled(float(values[16 + lane]), low, high, centre, per_unit)
        three = _scaled(float(values[32 + lane]), low, high, centre, per_unit)
        four = _scaled(float(values[48 + lane]), low, high, centre, per_unit)
        parts[lane] = (((parts[lane] + one) + two) + three) + four
        square = parts[SQUARES + lane] + one * one
        parts[SQUARES + lane] = ((square + two * two) + three * three) + four * four


@inline
def _scaled(value: float, low: float, high: float, centre: float, per_unit: float) -> float:
    value = value if value > low else low
    return ((value if value < high else high) - centre) * per_unit


@inline
def add(values: NDArray[np.floating], origin: float, parts: Floats) -> None:
    """Add `values[:ROWS] - origin` and their squares to the sums of a block; all finite.

    Written out, or the compiler does one at a time.
    """
    for lane in range(_SIDE_BY_SIDE):
        total, square = parts[lane], parts[SQUARES + lane]
        value = float(values[lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[16 + lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[32 + lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[48 + lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[64 + lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[80 + lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[96 + lane]) - origin
        total, square = total + value, square + value * value
        value = float(values[112 + lane]) - origin
        parts[lane], parts[SQUARES + lane] = total + value, square + value * value


@inline
def total(parts: Floats, first: int) -> float:
    """What the sixteen sums from `first` on come to, which are zero then."""
    for lane in range(first, first + 8):
        parts[lane] += parts[lane + 8]
    for lane in range(first, first + 4):
        parts[lane] += parts[lane + 4]
    found = float((parts[first] + parts[first + 2]) + (parts[first + 1] + parts[first + 3]))
    for lane in range(first, first + _SIDE_BY_SIDE):
        parts[lane] = 0.0
    return found
