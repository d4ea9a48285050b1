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
_LANES, _LANES_MIN, _SIDE_BY_SIDE = 32, 4, 8
"""Columns that are worked on together: at most, how many make it worth while, and in steps of."""
_CHANGED = SIZE
_DELTA, _ALPHA, _ROWS_MIN, _UP_OVER, _DOWN_OVER = range(5)
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
    _begin(state)
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
    n = block.shape[1]
    scaled, values = np.empty(_TOGETHER), np.empty(_TOGETHER * _LANES)
    lane_states, lane_params = np.ones((SIZE + 1) * _LANES), np.ones(5 * _LANES)
    for first in range(0, len(columns), _LANES):
        lanes = min(_LANES, len(columns) - first)
        if lanes < _LANES_MIN or params[first, BLOCK] > 1.0:
            for place in range(first, first + lanes):
                found[place] = update(block[columns[place]], 0, params[place], states[place])
            continue
        side = -(-lanes // _SIDE_BY_SIDE) * _SIDE_BY_SIDE
        for lane in range(lanes, side):
            lane_states[_CHANGED * _LANES + lane] = 0.0  # nobody's: fed nothing
        for lane in range(lanes):
            _begin(states[first + lane])
            for kind in range(SIZE):
                lane_states[kind * _LANES + lane] = states[first + lane, kind]
            lane_states[_CHANGED * _LANES + lane] = -1.0
            _put_params(params[first + lane], lane, lane_params)
        for start in range(0, n, _TOGETHER):
            rows = min(_TOGETHER, n - start)
            for lane in range(lanes):
                column = block[columns[first + lane]]
                _standardise(column[start : start + rows], params[first + lane], scaled)
                for row in range(rows):
                    values[row * side + lane] = scaled[row]
            _feed(values, start, rows, side, lane_params, lane_states)
        for lane in range(lanes):
            for kind in range(SIZE):
                states[first + lane, kind] = lane_states[kind * _LANES + lane]
            found[first + lane] = np.int64(lane_states[_CHANGED * _LANES + lane])
    changed = 0
    for place in range(len(columns)):
        changed += found[place] >= 0
    return changed


@jit
def _begin(state: Floats) -> None:
    """Forget everything once a change was found."""
    if state[OVER] > 0.0:
        for slot in range(SIZE):
            state[slot] = 0.0
        state[LOWEST], state[HIGHEST] = math.inf, -1.0


@jit
def _put_params(params: Floats, lane: int, lane_params: Floats) -> None:
    lane_params[_DELTA * _LANES + lane] = params[DELTA]
    lane_params[_ALPHA * _LANES + lane] = params[ALPHA]
    lane_params[_ROWS_MIN * _LANES + lane] = params[ROWS_MIN]
    threshold = params[THRESHOLD]
    lane_params[_UP_OVER * _LANES + lane] = threshold if params[UP] > 0.0 else math.inf
    lane_params[_DOWN_OVER * _LANES + lane] = threshold if params[DOWN] > 0.0 else math.inf


@jit
def _feed(values: Floats, start: int, rows: int, lanes: int, params: Floats, state: Floats) -> None:
    """What `update` does, for `rows` standardised values of each lane, the first of them row
    `start`.

    Lanes are strangers to each other, all state lies in one array, at distances that the compiler
    knows, and nothing branches: it sees that it may work on several at a time. A lane that has
    changed, or has no value, keeps its state.
    """
    for row in range(rows):
        for lane in range(lanes):
            value = values[row * lanes + lane]
            changed = state[_CHANGED * _LANES + lane]
            fed = (value - value == 0.0) & (changed < 0.0)
            delta, alpha = params[_DELTA * _LANES + lane], params[_ALPHA * _LANES + lane]
            n, mean = state[N * _LANES + lane] + 1.0, state[MEAN * _LANES + lane]
            mean += (value - mean) / n
            away = value - mean
            rise = alpha * state[RISE * _LANES + lane] + away - delta
            fall = alpha * state[FALL * _LANES + lane] + away + delta
            lowest, highest = state[LOWEST * _LANES + lane], state[HIGHEST * _LANES + lane]
            lower, higher = rise < lowest, fall > highest
            lowest, highest = rise if lower else lowest, fall if higher else highest
            rise_n = 0.0 if lower else state[RISE_N * _LANES + lane] + 1.0
            fall_n = 0.0 if higher else state[FALL_N * _LANES + lane] + 1.0
            rise_total = 0.0 if lower else state[RISE_TOTAL * _LANES + lane] + value
            fall_total = 0.0 if higher else state[FALL_TOTAL * _LANES + lane] + value
            up = rise - lowest > params[_UP_OVER * _LANES + lane]
            down = highest - fall > params[_DOWN_OVER * _LANES + lane]
            over = fed & (n >= params[_ROWS_MIN * _LANES + lane]) & (up | down)
            state[_CHANGED * _LANES + lane] = float(start + row) if over else changed
            state[OVER * _LANES + lane] = 1.0 if over else state[OVER * _LANES + lane]
            state[N * _LANES + lane] = n if fed else state[N * _LANES + lane]
            state[MEAN * _LANES + lane] = mean if fed else state[MEAN * _LANES + lane]
            state[RISE * _LANES + lane] = rise if fed else state[RISE * _LANES + lane]
            state[FALL * _LANES + lane] = fall if fed else state[FALL * _LANES + lane]
            state[LOWEST * _LANES + lane] = lowest if fed else state[LOWEST * _LANES + lane]
            state[HIGHEST * _LANES + lane] = highest if fed else state[HIGHEST * _LANES + lane]
            state[RISE_N * _LANES + lane] = rise_n if fed else state[RISE_N * _LANES + lane]
            state[FALL_N * _LANES + lane] = fall_n if fed else state[FALL_N * _LANES + lane]
            state[RISE_TOTAL * _LANES + lane] = (
                rise_total if fed else state[RISE_TOTAL * _LANES + lane]
            )
            state[FALL_TOTAL * _LANES + lane] = (
                fall_total if fed else state[FALL_TOTAL * _LANES + lane]
            )


def levels(state: Floats) -> tuple[float, float]:
    """Means of the standardised values before and after the turning point of the larger sum."""
    n, total = state[RISE_N], state[RISE_TOTAL]
    if state[HIGHEST] - state[FALL] > state[RISE] - state[LOWEST]:
        n, total = state[FALL_N], state[FALL_TOTAL]
    before = (state[MEAN] * state[N] - total) / max(state[N] - n, 1.0)
    return float(before), float(total / max(n, 1.0))
