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
_SLOTS = ROW_MAX + 1
_COUNTS = 10
_TOTALS = _COUNTS + ROWS
_SPREADS = _TOTALS + ROWS * _SLOTS
SIZE = _SPREADS + ROWS * _SLOTS

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
    filled = np.arange(_SLOTS) < counts[:, np.newaxis]
    totals, spreads = (
        state[first : first + used * _SLOTS].reshape(used, _SLOTS)[filled]
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
    filled = np.arange(_SLOTS) < counts[:, np.newaxis]
    buckets = values[_COUNTS + used :].reshape(2, -1)
    for first, mine in zip((_TOTALS, _SPREADS), buckets, strict=True):
        state[first : first + used * _SLOTS].reshape(used, _SLOTS)[filled] = mine
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
        _insert(state, 1.0, value, 0.0)
        tick += 1.0
        if tick >= clock:
            tick = 0.0
            if width > grace:
                state[WIDTH], state[TOTAL], state[SPREAD] = width, total, spread
                if _shrink(params, state):
                    changed = at
                width, total, spread = state[WIDTH], state[TOTAL], state[SPREAD]
                if changed >= 0:
                    break
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
        _insert(state, block, part_sum, own)
        part, part_sum, part_square = 0.0, 0.0, 0.0
        if state[WIDTH] > params[GRACE] and _shrink(params, state):
            changed = at
            break
    state[TICK], state[PART_SUM], state[PART_SQUARE] = part, part_sum, part_square
    return changed


@jit
def _insert(state: Floats, size: float, total: float, spread: float) -> None:
    """A new bucket of the smallest kind, which holds `size` values."""
    slot = int(state[_COUNTS])
    state[_TOTALS + slot], state[_SPREADS + slot] = total, spread
    state[_COUNTS] = slot + 1.0
    if slot == ROW_MAX:
        _compress(state, size)
    elif state[USED] == 0.0:
        state[USED] = 1.0


@jit
def _clear(state: Floats) -> None:
    for at in range(_TOTALS):
        state[at] = 0.0


@jit
def _compress(state: Floats, size: float) -> None:
    """Merge the two oldest buckets of each row that is too long into one of the next.

    `size` is the number of values in the smallest bucket.
    """
    for row in range(ROWS - 1):
        n = int(state[_COUNTS + row])
        if n <= ROW_MAX:
            break
        first, after = row * _SLOTS, (row + 1) * _SLOTS
        left, right = state[_TOTALS + first], state[_TOTALS + first + 1]
        apart = left / size - right / size
        slot = after + int(state[_COUNTS + row + 1])
        state[_TOTALS + slot] = left + right
        state[_SPREADS + slot] = (
            state[_SPREADS + first]
            + state[_SPREADS + first + 1]
            + size * size * apart * apart / (size + size)
        )
        state[_COUNTS + row + 1] += 1.0
        for place in range(first, first + n - 2):
            state[_TOTALS + place] = state[_TOTALS + place + 2]
            state[_SPREADS + place] = state[_SPREADS + place + 2]
        state[_COUNTS + row] = n - 2.0
        state[USED] = max(state[USED], row + 2.0)
        size *= 2.0


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
            bucket = state[_TOTALS + row * _SLOTS + slot]
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
    first, n = row * _SLOTS, int(state[_COUNTS + row])
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
