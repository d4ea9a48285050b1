"""ADWIN over many columns of a block, side by side, with the decisions of each alone.

Columns go from one look at their windows to the next together, each at its own pace: one that lacks
values comes later to its look, in rows. What goes on value by value, and the test of all splits,
are done for eight columns at a time: lanes are strangers to each other, what is known of them lies
in one array, at distances that the compiler knows, and nothing branches.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.adwin import (
    BLOCK,
    CLOCK,
    COUNTS,
    DELTA,
    GRACE,
    LENGTH_MIN,
    LOW,
    OVER,
    RANGE,
    ROW_MAX,
    SPREAD,
    TICK,
    TOGETHER,
    TOTAL,
    TOTALS,
    USED,
    WIDTH,
    Floats,
    clear,
    fill_block,
    insert,
    insert_block,
    limits,
    logarithm,
    scratch,
    shrink,
    update,
)
from inferwatch.kernels.blocks import ROWS as BLOCK_ROWS
from inferwatch.kernels.jit import jit

Ints = NDArray[np.int64]

_LANES, _LANES_MIN, _SIDE_BY_SIDE = 32, 4, 8
"""Columns that are worked on together: at most, how many make it worth while, and in steps of."""
_WIDTH, _TOTAL, _SPREAD, _N, _LEAST, _BOUND, _ROOT, _SLACK, _OLDER, _SUM, _HELD, _BUCKET, _HIT = (
    np.arange(13) * _LANES
)
"""Where in an array of lanes a figure of the first lies."""
_LN, _LN_WIDTH, _LN_DELTA = 13 * _LANES + np.arange(3)
"""Behind the lanes: the last logarithm, and what it is of."""
_KNOWN = 13 * _LANES + 3


@jit
def update_columns(
    block: NDArray[np.floating], columns: Ints, params: Floats, states: Floats, found: Ints
) -> int:
    """`update` of G detectors, detector g with row `columns[g]` of `block`: how many changed.

    `params` float64[G, 7] and `states` float64[G, SIZE] have a row each; `found[g]` becomes the
    index of the first change, -1 where there is none.
    """
    for first in range(0, len(columns), _LANES):
        end = min(first + _LANES, len(columns))
        mine = params[first:end], states[first:end], found[first:end]
        if end - first < _LANES_MIN:
            for place in range(first, end):
                found[place] = update(block[columns[place]], 0, params[place], states[place])
        elif params[first, BLOCK] > 1.0:
            _update_weighted(block, columns[first:end], *mine)
        else:
            _update(block, columns[first:end], *mine)
    changed = 0
    for place in range(len(columns)):
        changed += found[place] >= 0
    return changed


@jit
def _update(
    block: NDArray[np.floating], columns: Ints, params: Floats, states: Floats, found: Ints
) -> None:
    lanes = len(columns)
    side = -(-lanes // _SIDE_BY_SIDE) * _SIDE_BY_SIDE
    scaled, staged = np.empty((lanes, block.shape[1])), np.empty(TOGETHER * side)
    known, fresh = np.zeros(_KNOWN), scratch()
    given, fed = np.empty(lanes, np.int64), np.zeros(lanes, np.int64)
    left = 0
    for lane in range(lanes):
        if states[lane, OVER] > 0.0:
            clear(states[lane])
        given[lane], found[lane] = _scale(block[columns[lane]], params[lane], scaled[lane]), -1
        left += given[lane] > 0
    while left > 0:
        rows = 0
        for lane in range(lanes):
            room = params[lane, CLOCK] - states[lane, TICK]
            n = int(min(max(room, 1.0), TOGETHER, given[lane] - fed[lane]))
            for at in range(n):
                staged[at * side + lane] = scaled[lane, fed[lane] + at]
            known[_N + lane] = float(n)
            rows = max(rows, n)
            known[_WIDTH + lane] = states[lane, WIDTH]
            known[_TOTAL + lane], known[_SPREAD + lane] = states[lane, TOTAL], states[lane, SPREAD]
        _grow(staged, rows, side, known)
        looks = False
        for lane in range(lanes):
            n, state = int(known[_N + lane]), states[lane]
            known[_ROOT + lane] = math.inf  # what no split passes
            if n == 0:
                continue
            state[WIDTH] = known[_WIDTH + lane]
            state[TOTAL], state[SPREAD] = known[_TOTAL + lane], known[_SPREAD + lane]
            for at in range(n):
                fresh[0, 0, ROW_MAX + at] = scaled[lane, fed[lane] + at]
                fresh[0, 1, ROW_MAX + at] = 0.0
            insert(state, 1.0, fresh, n)
            state[TICK] += n
            fed[lane] += n
            left -= fed[lane] == given[lane]
            if state[TICK] >= params[lane, CLOCK]:
                state[TICK] = 0.0
                looks |= _limit(params[lane], state, lane, known)
        if not looks:
            continue
        _look(states, side, 1.0, known)
        for lane in range(lanes):
            if known[_HIT + lane] > 0.0 and shrink(params[lane], states[lane]):
                found[lane] = _row_of(block[columns[lane]], fed[lane])
                left -= fed[lane] < given[lane]
                given[lane] = fed[lane]


@jit
def _update_weighted(
    block: NDArray[np.floating], columns: Ints, params: Floats, states: Floats, found: Ints
) -> None:
    """As `_update`, in blocks of as many rows for each detector."""
    lanes = len(columns)
    side = -(-lanes // _SIDE_BY_SIDE) * _SIDE_BY_SIDE
    known, fresh, room = np.zeros(_KNOWN), scratch(), np.empty(BLOCK_ROWS)
    at, left = np.zeros(lanes, np.int64), lanes
    for lane in range(lanes):
        found[lane] = -1
        if states[lane, OVER] > 0.0:
            clear(states[lane])
    while left > 0:
        looks = False
        for lane in range(lanes):
            state = states[lane]
            known[_ROOT + lane] = math.inf  # what no split passes
            if at[lane] < 0:
                continue
            at[lane] = fill_block(block[columns[lane]], at[lane], params[lane], state, room)
            if state[TICK] < params[lane, BLOCK]:
                at[lane], left = -1, left - 1
                continue
            insert_block(params[lane], state, fresh)
            known[_WIDTH + lane], known[_TOTAL + lane] = state[WIDTH], state[TOTAL]
            looks |= _limit(params[lane], state, lane, known)
        if not looks:
            continue
        _look(states, side, params[0, BLOCK], known)
        for lane in range(lanes):
            if known[_HIT + lane] > 0.0 and shrink(params[lane], states[lane]):
                found[lane] = at[lane] - 1
                at[lane], left = -1, left - 1


@jit
def _limit(params: Floats, state: Floats, lane: int, known: Floats) -> bool:
    """Put down what a window's splits are compared with; whether it is wide enough for a look.

    Most windows are as wide as the one before, and take its logarithm.
    """
    if state[WIDTH] <= params[GRACE] or state[WIDTH] < 2.0:
        return False
    if state[WIDTH] != known[_LN_WIDTH] or params[DELTA] != known[_LN_DELTA]:
        known[_LN_WIDTH], known[_LN_DELTA] = state[WIDTH], params[DELTA]
        known[_LN] = logarithm(state[WIDTH], params[DELTA])
    bound, root, slack, _ = limits(params, state, known[_LN])
    known[_BOUND + lane], known[_ROOT + lane] = bound, root
    known[_SLACK + lane], known[_LEAST + lane] = slack, params[LENGTH_MIN]
    return True


@jit
def _scale(values: NDArray[np.floating], params: Floats, scaled: Floats) -> int:
    """Write those of the values that are finite, scaled as `update` does: how many they are."""
    low, range_ = params[LOW], params[RANGE]
    finite = 0
    for at in range(len(values)):
        value = float(values[at])
        finite += value - value == 0.0
        scaled[at] = min(max((value - low) / range_, 0.0), 1.0) if range_ > 0.0 else value
    if finite == len(values):
        return finite
    n = 0
    for at in range(len(values)):
        if math.isfinite(values[at]):
            scaled[n] = scaled[at]
            n += 1
    return n


@jit
def _row_of(values: NDArray[np.floating], n: int) -> int:
    """The row of the `n`-th finite value."""
    row = -1
    while n > 0:
        row += 1
        n -= math.isfinite(values[row])
    return row


@jit
def _grow(staged: Floats, rows: int, side: int, known: Floats) -> None:
    """Add the values of each lane, of which it has up to `rows`, to its width, total and spread."""
    for row in range(rows):
        for lane in range(side):
            value, fed = staged[row * side + lane], row < known[_N + lane]
            width, total = known[_WIDTH + lane], known[_TOTAL + lane]
            away = value - total / max(width, 1.0)
            more = width * away * away / (width + 1.0)
            spread = known[_SPREAD + lane]
            known[_SPREAD + lane] = spread + more if fed & (width > 0.0) else spread
            known[_TOTAL + lane] = total + value if fed else total
            known[_WIDTH + lane] = width + 1.0 if fed else width


@jit
def _look(states: Floats, side: int, least: float, known: Floats) -> None:
    """Mark the lanes of which some split, from the oldest bucket on, passes the test without
    divisions that `shrink` begins with. The smallest buckets hold `least` values.
    """
    lanes, rows = len(states), 0
    for lane in range(side):
        known[_OLDER + lane], known[_SUM + lane], known[_HIT + lane] = 0.0, 0.0, 0.0
        rows = max(rows, int(states[lane, USED]) if lane < lanes else 0)
    size = least * 2.0 ** (rows - 1)
    for row in range(rows - 1, -1, -1):
        most = 0.0
        for lane in range(lanes):
            known[_HELD + lane] = states[lane, COUNTS + row]
            most = max(most, known[_HELD + lane])
        for slot in range(ROW_MAX - int(most), ROW_MAX):
            for lane in range(lanes):
                known[_BUCKET + lane] = states[lane, TOTALS + row * ROW_MAX + slot]
            _split(side, size, slot, known)
        size *= 0.5


@jit
def _split(side: int, size: float, slot: int, known: Floats) -> None:
    """One more bucket of `size` values is older: `_cut`'s first test of the split behind it."""
    for lane in range(side):
        width, least = known[_WIDTH + lane], known[_LEAST + lane]
        n0 = known[_OLDER + lane] + (size if slot >= ROW_MAX - known[_HELD + lane] else 0.0)
        u0 = known[_SUM + lane] + known[_BUCKET + lane]
        n1 = width - n0
        product, both = (n0 - least + 1.0) * (n1 - least + 1.0), n0 * n1
        away = abs(u0 * width - known[_TOTAL + lane] * n0) + known[_SLACK + lane]
        excess = away * product - known[_BOUND + lane] * both
        beyond = excess * excess * (1.0 + 1e-9) >= known[_ROOT + lane] * product * both * both
        hit = beyond & (excess > 0.0) & (n0 >= least) & (n1 >= least)
        known[_OLDER + lane], known[_SUM + lane] = n0, u0
        known[_HIT + lane] = 1.0 if hit else known[_HIT + lane]
