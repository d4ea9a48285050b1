"""ADWIN over a block of one column: Bifet and Gavaldà 2007, with river's decisions.

Decisions are those of `river.drift.ADWIN` 0.26 (BSD-3), bit for bit; written anew after its source
in `rust_src`. What is faster changes no decision: logarithms leave the loop over the cuts, and a
cut is first tried without a division, a little too leniently; only what passes is computed as river
does.

The window is a list of rows of buckets; a bucket of row r holds the sum and the spread of 2^r
values. All of it lies in one float64 array, so that a snapshot is its bytes.

Weighted: with a block of B values, the smallest bucket holds B of them instead of one. The test is
the same and counts values, not buckets (fed with means of B, the bound would be B times too wide);
only the places where the window may be cut are coarser, and it is looked at after each block.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

ROW_MAX = 5
"""Buckets of a row before two of them are merged: river's `max_buckets`."""
ROWS = 44
"""Enough for 10¹⁴ values."""
WIDTH, TOTAL, SPREAD, TICK, USED, OVER, BEFORE, AFTER, PART_SUM, PART_SQUARE = range(10)
_TOGETHER = 64
"""Values that are put into the window in one go, at most."""
_COUNTS = 10
_TOTALS = _COUNTS + ROWS
_SPREADS = _TOTALS + ROWS * ROW_MAX
SIZE = _SPREADS + ROWS * ROW_MAX

LOW, RANGE, DELTA, CLOCK, LENGTH_MIN, GRACE, BLOCK = range(7)


def params(
    delta: float,
    low: float = 0.0,
    range_: float = 0.0,
    clock: int = 32,
    length_min: int = 5,
    grace: int = 10,
    block: int = 1,
) -> Floats:
    """Parameters as the kernel reads them; values are scaled from `[low, low + range_]` to [0, 1]
    and clipped, or taken as they are where `range_` is 0. With a `block` above 1 the window is
    looked at after each block instead of each `clock` values.
    """
    return np.array([low, range_, delta, clock, length_min, grace, block], np.float64)


def empty() -> Floats:
    """A window without values."""
    return np.zeros(SIZE)


def dump(state: Floats) -> bytes:
    """The state as bytes: the buckets in use only, so that equal windows give equal bytes."""
    used = int(state[USED])
    counts = state[_COUNTS : _COUNTS + used]
    filled = np.arange(ROW_MAX) < counts[:, np.newaxis]
    totals, spreads = (
        state[first : first + used * ROW_MAX].reshape(used, ROW_MAX)[filled]
        for first in (_TOTALS, _SPREADS)
    )
    head = state[:_COUNTS]
    return np.concatenate([head, counts, totals, spreads]).astype("<f8").tobytes()


def load(data: bytes) -> Floats:
    """The state that was dumped."""
    values, state = np.frombuffer(data, "<f8"), empty()
    used = int(values[USED])
    counts = values[_COUNTS : _COUNTS + used]
    state[: _COUNTS + used] = values[: _COUNTS + used]
    filled = np.arange(ROW_MAX) < counts[:, np.newaxis]
    buckets = values[_COUNTS + used :].reshape(2, -1)
    for first, mine in zip((_TOTALS, _SPREADS), buckets, strict=True):
        state[first : first + used * ROW_MAX].reshape(used, ROW_MAX)[filled] = mine
    return state


@jit
def update(values: NDArray[np.floating], start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next change: its index, or -1 when all are fed.

    Values that are not finite are passed over. After a change `state[BEFORE]` and `state[AFTER]`
    are the means, as scaled, of what the window dropped and kept; the next call begins anew, as
    river does.
    """
    if state[OVER] > 0.0:
        _clear(state)
    if params[BLOCK] > 1.0:
        return _update_weighted(values, start, params, state)
    low, range_ = params[LOW], params[RANGE]
    clock, grace = params[CLOCK], params[GRACE]
    width, total, spread, tick = state[WIDTH], state[TOTAL], state[SPREAD], state[TICK]
    fresh, waiting = np.empty((2, 2, ROW_MAX + _TOGETHER)), 0
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        if range_ > 0.0:
            value = min(max((value - low) / range_, 0.0), 1.0)
        width += 1.0
        if width > 1.0:
            away = value - total / (width - 1.0)
            spread += (width - 1.0) * away * away / width
        total += value
        fresh[0, 0, ROW_MAX + waiting], fresh[0, 1, ROW_MAX + waiting] = value, 0.0
        waiting += 1
        tick += 1.0
        if tick >= clock or waiting == _TOGETHER:
            _insert(state, 1.0, fresh, waiting)
            waiting = 0
        if tick >= clock:
            tick = 0.0
            if width > grace:
                state[WIDTH], state[TOTAL], state[SPREAD] = width, total, spread
                if _shrink(params, state):
                    changed = at
                width, total, spread = state[WIDTH], state[TOTAL], state[SPREAD]
                if changed >= 0:
                    break
    _insert(state, 1.0, fresh, waiting)
    state[WIDTH], state[TOTAL], state[SPREAD], state[TICK] = width, total, spread, tick
    return changed


@jit
def update_columns(
    block: NDArray[np.floating],
    columns: NDArray[np.int64],
    params: Floats,
    states: Floats,
    found: NDArray[np.int64],
) -> int:
    """`update` of G detectors, detector g with row `columns[g]` of `block`: how many changed.

    `params` float64[G, 7] and `states` float64[G, SIZE] have a row each; `found[g]` becomes the
    index of the first change, -1 where there is none.
    """
    changed = 0
    for place in range(len(columns)):
        found[place] = update(block[columns[place]], 0, params[place], states[place])
        changed += found[place] >= 0
    return changed


@jit
def _update_weighted(
    values: NDArray[np.floating], start: int, params: Floats, state: Floats
) -> int:
    """As `update`, in blocks; `state[TICK]` values of the next block are in `PART_*`."""
    low, range_, block = params[LOW], params[RANGE], params[BLOCK]
    part, part_sum, part_square = state[TICK], state[PART_SUM], state[PART_SQUARE]
    fresh = np.empty((2, 2, ROW_MAX + _TOGETHER))
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        if range_ > 0.0:
            value = min(max((value - low) / range_, 0.0), 1.0)
        part += 1.0
        part_sum += value
        part_square += value * value
        if part < block:
            continue
        own, width = max(part_square - part_sum * part_sum / block, 0.0), state[WIDTH]
        if width > 0.0:
            apart = part_sum / block - state[TOTAL] / width
            state[SPREAD] += own + block * width * apart * apart / (block + width)
        else:
            state[SPREAD] = own
        state[WIDTH] = width + block
        state[TOTAL] += part_sum
        fresh[0, 0, ROW_MAX], fresh[0, 1, ROW_MAX] = part_sum, own
        _insert(state, block, fresh, 1)
        part, part_sum, part_square = 0.0, 0.0, 0.0
        if state[WIDTH] > params[GRACE] and _shrink(params, state):
            changed = at
            break
    state[TICK], state[PART_SUM], state[PART_SQUARE] = part, part_sum, part_square
    return changed


@jit
def _insert(state: Floats, size: float, fresh: Floats, n: int) -> None:
    """Put `n` new buckets of `size` values into the window, merged as if each had come alone.

    Alone, a sixth bucket makes the two oldest of its row one of the next. So, whenever they come, a
    row hands on its buckets in pairs, oldest first, until five or four are left.

    :param fresh: float64[2, 2, …], used up; sums and spreads of the new ones are `fresh[0]`, from
        ROW_MAX on, as those of a row before them are put there.
    """
    row = 0
    while n > 0:
        here, there, own = fresh[row % 2], fresh[1 - row % 2], row * ROW_MAX
        held = int(state[_COUNTS + row])
        first, pairs = ROW_MAX - held, max(held + n - ROW_MAX + 1, 0) // 2
        for slot in range(held):
            here[0, first + slot] = state[_TOTALS + own + slot]
            here[1, first + slot] = state[_SPREADS + own + slot]
        for pair in range(pairs):
            left = first + 2 * pair
            apart = here[0, left] / size - here[0, left + 1] / size
            there[0, ROW_MAX + pair] = here[0, left] + here[0, left + 1]
            there[1, ROW_MAX + pair] = (
                here[1, left] + here[1, left + 1] + size * size * apart * apart / (size + size)
            )
        first, rest = first + 2 * pairs, held + n - 2 * pairs
        for slot in range(rest):
            state[_TOTALS + own + slot] = here[0, first + slot]
            state[_SPREADS + own + slot] = here[1, first + slot]
        state[_COUNTS + row] = float(rest)
        state[USED] = max(state[USED], row + 1.0)
        size, n, row = 2.0 * size, pairs, row + 1


@jit
def _clear(state: Floats) -> None:
    for at in range(_TOTALS):
        state[at] = 0.0


@jit
def _shrink(params: Floats, state: Floats) -> bool:
    """Drop the oldest bucket for as long as two parts of the window differ in mean."""
    width, total = state[WIDTH], state[TOTAL]
    while _cut(params, state):
        _drop_oldest(params, state)
    kept = state[WIDTH]
    if kept == width:
        return False
    state[OVER] = 1.0
    state[BEFORE] = (total - state[TOTAL]) / max(width - kept, 1.0)
    state[AFTER] = state[TOTAL] / max(kept, 1.0)
    return True


@jit
def _cut(params: Floats, state: Floats) -> bool:
    """Whether some split, from the oldest bucket on, shows a change."""
    least = params[LENGTH_MIN]
    width, total = state[WIDTH], state[TOTAL]
    if width < 2.0:
        return False
    ln = math.log(2.0 * math.log(width) / params[DELTA])
    variance = state[SPREAD] / width
    reach = width - 2.0 * least + 2.0
    bound, root = 2.0 / 3.0 * ln * reach, 2.0 * variance * ln * reach
    slack = 1e-11 * abs(total)
    n0, u0 = 0.0, 0.0
    u1 = total
    row = int(state[USED]) - 1
    size = params[BLOCK] * 2.0**row
    while row >= 0:
        for slot in range(int(state[_COUNTS + row])):
            bucket = state[_TOTALS + row * ROW_MAX + slot]
            n0 += size
            u0 += bucket
            u1 -= bucket
            n1 = width - n0
            if n1 < least or n1 <= 0.0:
                return False
            if n0 < least:
                continue
            product, both = (n0 - least + 1.0) * (n1 - least + 1.0), n0 * n1
            excess = (abs(u0 * width - total * n0) + slack * width) * product - bound * both
            if excess <= 0.0 or excess * excess * (1.0 + 1e-9) < root * product * both * both:
                continue
            m = 1.0 / (n0 - least + 1.0) + 1.0 / (n1 - least + 1.0)
            epsilon = math.sqrt(2.0 * m * variance * ln) + 2.0 / 3.0 * ln * m
            if abs(u0 / n0 - u1 / n1) > epsilon:
                return True
        row -= 1
        size *= 0.5
    return False


@jit
def _drop_oldest(params: Floats, state: Floats) -> None:
    row = int(state[USED]) - 1
    first, n = row * ROW_MAX, int(state[_COUNTS + row])
    size = params[BLOCK] * 2.0**row
    total, spread = state[_TOTALS + first], state[_SPREADS + first]
    width = state[WIDTH] - size
    rest = state[TOTAL] - total
    apart = total / size - rest / width
    state[WIDTH], state[TOTAL] = width, rest
    state[SPREAD] -= spread + size * width * apart * apart / (size + width)
    for place in range(first, first + n - 1):
        state[_TOTALS + place] = state[_TOTALS + place + 1]
        state[_SPREADS + place] = state[_SPREADS + place + 1]
    state[_COUNTS + row] = n - 1.0
    if n == 1:
        state[USED] = float(row)
