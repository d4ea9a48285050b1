"""Page–Hinkley over a block of one column: Page 1954, with river's decisions.

Decisions are those of `river.drift.PageHinkley` 0.26 (BSD-3), bit for bit; written anew. Beside
them the state keeps count and sum of the values since each of the two turning points, from which
the levels before and after a change follow.

With a `block` of B rows the sums grow by the mean of each B rows that are finite, wherever calls
are cut; threshold, memory and least number of rows are those of rows, divided by B, for a sum of
means is a B-th of the sum of rows.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

N, MEAN, RISE, FALL, LOWEST, HIGHEST, RISE_N, RISE_TOTAL, FALL_N, FALL_TOTAL, OVER = range(11)
HELD, HELD_TOTAL = 11, 12
SIZE = 13
_TOGETHER = 256
"""Values that are standardised in one go."""
DELTA, THRESHOLD, ALPHA, ROWS_MIN, UP, DOWN, LOW, HIGH, CENTRE, SCALE, BLOCK = range(11)


def params(
    delta: float,
    threshold: float,
    alpha: float = 1.0,
    rows_min: int = 30,
    *,
    up: bool = True,
    down: bool = True,
    low: float = -math.inf,
    high: float = math.inf,
    centre: float = 0.0,
    scale: float = 1.0,
    block: int = 1,
) -> Floats:
    """Parameters as the kernel reads them; values are clipped to `[low, high]`, then standardised
    by `centre` and `scale`, then averaged by `block`.
    """
    of_rows = [delta, threshold / block, alpha**block, rows_min / block]
    return np.array([*of_rows, up, down, low, high, centre, scale, block], np.float64)


def empty() -> Floats:
    """The state before the first value."""
    state = np.zeros(SIZE)
    state[LOWEST], state[HIGHEST] = math.inf, -1.0  # river's own start
    return state


def load(sums: bytes) -> Floats:
    """A state as it was kept, in little-endian float64; one without blocks holds nothing back."""
    state = np.zeros(SIZE)
    kept = np.frombuffer(sums, "<f8")
    state[: len(kept)] = kept
    return state


@jit
def update(values: NDArray[np.floating], start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next change: its index, or -1 when all are fed.

    Values that are not finite are passed over. The next call after a change begins anew.
    """
    delta, threshold, alpha = params[DELTA], params[THRESHOLD], params[ALPHA]
    if state[OVER] > 0.0:
        for slot in range(SIZE):
            state[slot] = 0.0
        state[LOWEST], state[HIGHEST] = math.inf, -1.0
    n, mean = state[N], state[MEAN]
    rise, lowest, rise_n, rise_total = state[RISE], state[LOWEST], state[RISE_N], state[RISE_TOTAL]
    fall, highest, fall_n, fall_total = (
        state[FALL],
        state[HIGHEST],
        state[FALL_N],
        state[FALL_TOTAL],
    )
    block, held, held_total = params[BLOCK], state[HELD], state[HELD_TOTAL]
    changed = -1
    scaled = np.empty(_TOGETHER)
    for at in range(start, len(values)):
        if (at - start) % _TOGETHER == 0:
            _standardise(values[at : at + _TOGETHER], params, scaled)
        value = scaled[(at - start) % _TOGETHER]
        if not math.isfinite(value):
            continue
        if block > 1.0:
            held, held_total = held + 1.0, held_total + value
            if held < block:
                continue
            value, held, held_total = held_total / block, 0.0, 0.0
        n += 1.0
        mean += (value - mean) / n
        away = value - mean
        rise = alpha * rise + away - delta
        fall = alpha * fall + away + delta
        rise_n, rise_total = rise_n + 1.0, rise_total + value
        fall_n, fall_total = fall_n + 1.0, fall_total + value
        if rise < lowest:
            lowest, rise_n, rise_total = rise, 0.0, 0.0
        if fall > highest:
            highest, fall_n, fall_total = fall, 0.0, 0.0
        if n >= params[ROWS_MIN] and (
            (params[UP] > 0.0 and rise - lowest > threshold)
            or (params[DOWN] > 0.0 and highest - fall > threshold)
        ):
            state[OVER] = 1.0
            changed = at
            break
    state[N], state[MEAN] = n, mean
    state[HELD], state[HELD_TOTAL] = held, held_total
    state[RISE], state[LOWEST], state[RISE_N], state[RISE_TOTAL] = rise, lowest, rise_n, rise_total
    state[FALL], state[HIGHEST], state[FALL_N], state[FALL_TOTAL] = (
        fall,
        highest,
        fall_n,
        fall_total,
    )
    return changed


@jit
def _standardise(values: NDArray[np.floating], params: Floats, scaled: Floats) -> None:
    """Write the values clipped and standardised, NaN for those that are not finite.

    Apart from the sums, each of which waits for the one before, so that these divisions need not.
    """
    low, high, centre, scale = params[LOW], params[HIGH], params[CENTRE], params[SCALE]
    for at in range(len(values)):
        value = float(values[at])
        clipped = min(max(value, low), high)
        scaled[at] = (clipped - centre) / scale if math.isfinite(value) else math.nan


@jit
def update_columns(
    block: NDArray[np.floating],
    columns: NDArray[np.int64],
    params: Floats,
    states: Floats,
    found: NDArray[np.int64],
) -> int:
    """`update` of G detectors, detector g with row `columns[g]` of `block`: how many changed.

    `params` float64[G, 11] and `states` float64[G, SIZE] have a row each; `found[g]` becomes the
    index of the first change, -1 where there is none.
    """
    changed = 0
    for place in range(len(columns)):
        found[place] = update(block[columns[place]], 0, params[place], states[place])
        changed += found[place] >= 0
    return changed


def levels(state: Floats) -> tuple[float, float]:
    """Means of the standardised values before and after the turning point of the larger sum."""
    n, total = state[RISE_N], state[RISE_TOTAL]
    if state[HIGHEST] - state[FALL] > state[RISE] - state[LOWEST]:
        n, total = state[FALL_N], state[FALL_TOTAL]
    before = (state[MEAN] * state[N] - total) / max(state[N] - n, 1.0)
    return float(before), float(total / max(n, 1.0))
