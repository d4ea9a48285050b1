"""KSWIN over a block: Raab, Heusinger and Schleif 2020, the algorithm of river's `KSWIN`.

The algorithm is that of `river.drift.KSWIN` 0.26 (BSD-3); written anew. The draws are ours: two
multiplicative generators combined (L'Ecuyer, CACM 1988, period 2·10¹⁸), whose two numbers are part
of the state and are not sown anew after a drift.

The newest `stat` values of a full window are held against as many drawn from the rest, without
putting back, by the largest gap between the two sorted samples.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

FILLED, NEXT, WAIT, FIRST, SECOND, OVER = range(6)
_RING = 6
WINDOW, STAT, GAP, CLOCK = range(4)
_M1, _M2 = 2147483563, 2147483399
_FEW = 60


def params(window: int, stat: int, gap: int, clock: int) -> Floats:
    """Parameters as the kernel reads them; `gap` is the least difference of ranks that is a drift,
    `clock` the number of values between two looks.
    """
    return np.array([window, stat, gap, clock], np.float64)


def empty(window: int, seed: int) -> Floats:
    """An empty window, and the generator at the start that `seed` gives it."""
    state = np.zeros(_RING + window)
    mixed = (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    state[FIRST], state[SECOND] = 1 + mixed % (_M1 - 1), 1 + (mixed >> 32) % (_M2 - 1)
    return state


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next drift: its index, or -1 when all are fed.

    Values that are not finite are passed over. The next call after a drift begins with an empty
    window.
    """
    window, stat, clock = int(params[WINDOW]), int(params[STAT]), params[CLOCK]
    if state[OVER] > 0.0:
        state[FILLED], state[NEXT], state[WAIT], state[OVER] = 0.0, 0.0, 0.0, 0.0
    filled, place, wait = int(state[FILLED]), int(state[NEXT]), state[WAIT]
    old, new = np.empty(window - stat), np.empty(stat)
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        state[_RING + place] = value
        place = place + 1 if place + 1 < window else 0
        if filled < window:
            filled += 1
        if filled < window:
            continue
        wait -= 1.0
        if wait > 0.0:
            continue
        wait = clock
        _part(state, place, old, new)
        _draw(state, old, stat)
        drawn = old[:stat]
        _sort(drawn)
        _sort(new)
        if _gap(drawn, new) >= params[GAP]:
            state[OVER] = 1.0
            return at
    state[FILLED], state[NEXT], state[WAIT] = filled, place, wait
    return -1


@jit
def _part(state: Floats, place: int, old: Floats, new: Floats) -> None:
    """Copy the full ring, whose oldest value lies at `place`, into its old and its new part."""
    window, at = len(old) + len(new), place
    for row in range(window):
        if row < len(old):
            old[row] = state[_RING + at]
        else:
            new[row - len(old)] = state[_RING + at]
        at = at + 1 if at + 1 < window else 0


@jit
def _draw(state: Floats, values: Floats, n: int) -> None:
    """Bring `n` values, drawn without putting back, to the front (Fisher and Yates)."""
    first, second = int(state[FIRST]), int(state[SECOND])
    for row in range(n):
        first, second = first * 40014 % _M1, second * 40692 % _M2
        drawn = row + (first - second) % (_M1 - 1) % (len(values) - row)
        values[row], values[drawn] = values[drawn], values[row]
    state[FIRST], state[SECOND] = first, second


@jit
def _sort(values: Floats) -> None:
    """Sort in place; by insertion while that is quicker, which is twice as quick for 30 values."""
    if len(values) > _FEW:
        values.sort()
        return
    for row in range(1, len(values)):
        value, at = values[row], row
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value


@jit
def _gap(left: Floats, right: Floats) -> int:
    """Largest difference of the counts up to a value, between two sorted samples of one size."""
    n = len(left)
    at, other, most = 0, 0, 0
    while at < n and other < n:
        value = min(left[at], right[other])
        while at < n and left[at] == value:
            at += 1
        while other < n and right[other] == value:
            other += 1
        most = max(most, abs(at - other))
    return most
