"""ADWIN over many columns of a block, with the decisions of each alone.

Columns go from one look at their windows to the next together, each at its own pace: one that lacks
values comes later to its look, in rows. What they do in step is done side by side
(`adwin_windows`), the rest by each alone: up to its first look, behind its last, and where a window
is young.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import adwin_windows as windows
from inferwatch.kernels.adwin import (
    BLOCK,
    CLOCK,
    DELTA,
    GRACE,
    LENGTH_MIN,
    LOW,
    OVER,
    RANGE,
    TICK,
    USED,
    Floats,
    clear,
    empty_block,
    logarithm,
    shrink,
    sum_blocks,
    update,
)
from inferwatch.kernels.adwin_windows import LANES, SIDE_BY_SIDE
from inferwatch.kernels.jit import inline, jit

Ints = NDArray[np.int64]

_LANES_MIN = 4
"""Columns that make it worth while."""


@jit
def update_columns(
    block: NDArray[np.floating], columns: Ints, params: Floats, states: Floats, found: Ints
) -> int:
    """`update` of G detectors, detector g with row `columns[g]` of `block`: how many changed.

    `params` float64[G, 7] and `states` float64[G, SIZE] have a row each; `found[g]` becomes the
    index of the first change, -1 where there is none.
    """
    room = windows.room()
    for first in range(0, len(columns), LANES):
        end = min(first + LANES, len(columns))
        mine = params[first:end], states[first:end], found[first:end]
        together = end - first >= _LANES_MIN
        for place in range(first, end):
            together &= windows.fits(states[place], block.shape[1], params[place, BLOCK])
        if not together:
            for place in range(first, end):
                found[place] = update(block[columns[place]], 0, params[place], states[place])
        elif params[first, BLOCK] > 1.0:
            _update_weighted(block, columns[first:end], *mine, room)
        else:
            _update(block, columns[first:end], *mine, room)
    changed = 0
    for place in range(len(columns)):
        changed += found[place] >= 0
    return changed


@jit
def _update(
    block: NDArray[np.floating],
    columns: Ints,
    params: Floats,
    states: Floats,
    found: Ints,
    room: Floats,
) -> None:
    lanes, n = len(columns), block.shape[1]
    scaled, plain = np.empty((lanes, n)), params.copy()
    given, fed = np.empty(lanes, np.int64), np.zeros(lanes, np.int64)
    for lane in range(lanes):
        if states[lane, OVER] > 0.0:
            clear(states[lane])
        plain[lane, RANGE], found[lane] = 0.0, -1
        given[lane] = _scale(block[columns[lane]], params[lane], scaled[lane])
        if states[lane, TICK] > 0.0:
            end = min(int(params[lane, CLOCK] - states[lane, TICK]), given[lane])
            found[lane] = update(scaled[lane, :end], 0, plain[lane], states[lane])
            fed[lane] = end
    _update_together(scaled, given, fed, params, states, found, room)
    for lane in range(lanes):
        if found[lane] < 0 and fed[lane] < given[lane]:
            values = scaled[lane, : given[lane]]
            found[lane] = update(values, fed[lane], plain[lane], states[lane])
        if found[lane] >= 0:
            found[lane] = _row_of(block[columns[lane]], found[lane] + 1)


@jit
def _update_together(
    scaled: Floats,
    given: Ints,
    fed: Ints,
    params: Floats,
    states: Floats,
    found: Ints,
    room: Floats,
) -> None:
    """Feed windows that are before their next look as long as there are some: `fed` moves on from
    look to look, `found` becomes the number of the value of the first change.
    """
    mine, left, rows = np.empty(LANES, np.int64), 0, 0
    for lane in range(len(states)):
        state, due = states[lane], params[lane, CLOCK] == windows.TOGETHER
        due &= found[lane] < 0 and given[lane] - fed[lane] >= windows.TOGETHER
        if due and windows.settled(state):
            mine[left], rows, left = lane, max(rows, int(state[USED])), left + 1
    if left < _LANES_MIN:
        return
    last, side, busy = np.zeros((2, LANES)), _side(left), np.ones(left, np.bool_)
    least = params[:, LENGTH_MIN].min()
    for place in range(left):
        windows.put(states[mine[place]], place, room)
    for place in range(left, side):
        windows.blank(place, room)
    while left >= _LANES_MIN:
        for place in range(len(busy)):
            if busy[place]:
                _stage(scaled, mine[place], fed[mine[place]], place, room)
        windows.grow(room, side)
        rows = windows.take(room, side, rows)
        for place in range(len(busy)):
            if busy[place]:
                _set_logarithm(params, mine[place], room, place, last)
        windows.look(room, side, rows, 1.0, least)
        for place in range(len(busy)):
            if not busy[place]:
                continue
            lane = mine[place]
            fed[lane] += windows.TOGETHER
            if room[windows.HIT + place] > 0.0:
                windows.get(room, place, states[lane])
                found[lane] = fed[lane] - 1 if shrink(params[lane], states[lane]) else -1
            elif given[lane] - fed[lane] < windows.TOGETHER:
                windows.get(room, place, states[lane])
            if found[lane] >= 0 or given[lane] - fed[lane] < windows.TOGETHER:
                busy[place], left = False, left - 1
                room[windows.LN + place] = math.inf
    for place in range(len(busy)):
        if busy[place]:
            windows.get(room, place, states[mine[place]])


@inline
def _stage(scaled: Floats, lane: int, first: int, place: int, room: Floats) -> None:
    """Lay the values that a window takes next where it takes them from."""
    for at in range(windows.TOGETHER):
        room[windows.NEWEST + at * LANES + place] = scaled[lane, first + at]


@jit
def _update_weighted(
    block: NDArray[np.floating],
    columns: Ints,
    params: Floats,
    states: Floats,
    found: Ints,
    room: Floats,
) -> None:
    """As `_update`, in blocks of as many rows for each detector."""
    lanes, side, rows, size = len(columns), _side(len(columns)), 0, params[0, BLOCK]
    most = int((block.shape[1] + states[:, TICK].max()) / size)
    sums, given = np.zeros((most + 1, 2, LANES)), np.empty(lanes, np.int64)
    ends = np.empty((most, lanes), np.int64)
    for lane in range(lanes):
        found[lane] = -1
        if states[lane, OVER] > 0.0:
            clear(states[lane])
        windows.put(states[lane], lane, room)
        rows = max(rows, int(states[lane, USED]))
        values, state = block[columns[lane]], states[lane]
        given[lane] = sum_blocks(values, params[lane], state, lane, sums, ends)
    for lane in range(lanes, side):
        windows.blank(lane, room)
    last, left, least = np.zeros((2, LANES)), lanes, params[:, LENGTH_MIN].min()
    for step in range(most + 1):
        for lane in range(lanes):
            room[windows.LN + lane] = math.inf
            if given[lane] == step:
                windows.get(room, lane, states[lane])
                given[lane], left = -1, left - 1
        if not left:
            return
        windows.add(room, sums[step], side, size)
        rows = max(rows, windows.insert(room, side, 0, size))
        for lane in range(lanes):
            if given[lane] >= 0:
                _set_logarithm(params, lane, room, lane, last)
        windows.look(room, side, rows, size, least)
        for lane in range(lanes):
            if given[lane] >= 0 and room[windows.HIT + lane] > 0.0:
                windows.get(room, lane, states[lane])
                if shrink(params[lane], states[lane]):
                    found[lane] = ends[step, lane]
                    empty_block(states[lane])
                    given[lane], left = -1, left - 1


@inline
def _set_logarithm(params: Floats, lane: int, room: Floats, place: int, last: Floats) -> None:
    """Put down the logarithm of lane's window, if it is wide enough for a look.

    It grows so slowly that one of up to a tenth fewer values will do, which lets a little more
    through. `last` float64[2, LANES] has the logarithms and the widths that they are of.
    """
    width = room[windows.WIDTHS + place]
    if width <= params[lane, GRACE] or width < 2.0:
        return
    if not last[1, place] <= width < 1.1 * last[1, place]:
        last[0, place], last[1, place] = logarithm(width, params[lane, DELTA]), width
    room[windows.LN + place] = last[0, place]


@inline
def _side(lanes: int) -> int:
    """So many lanes, in steps of those that are worked on side by side."""
    return -(-lanes // SIDE_BY_SIDE) * SIDE_BY_SIDE


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
