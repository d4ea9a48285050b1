"""ADWIN over a block of one column: Bifet and Gavaldà 2007, with river's decisions.

Decisions are those of `river.drift.ADWIN` 0.26 (BSD-3), bit for bit; written anew after its source
in `rust_src`. What is faster changes no decision: logarithms leave the loop over the cuts, and a
cut is first tried without a division, a little too leniently; only what passes is computed as river
does.

The window is a list of rows of buckets; a bucket of row r holds the sum and the spread of 2^r
values. All of it lies in one float64 array, the buckets of a row at the end of their places, zeros
before them. Many columns at once: `adwin_lanes`.

Weighted: with a block of B values, the smallest bucket holds B of them instead of one. The test is
the same and counts values, not buckets (fed with means of B, the bound would be B times too wide);
only the places where the window may be cut are coarser, and it is looked at after each block, of
which the state holds the sums until it is full.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.blocks import PARTS, SQUARES, fill, total
from inferwatch.kernels.jit import inline, jit

Floats = NDArray[np.float64]

ROW_MAX = 5
"""Buckets of a row before two of them are merged: river's `max_buckets`."""
ROWS = 44
"""Enough for 10¹⁴ values."""
WIDTH, TOTAL, SPREAD, TICK, USED, OVER, BEFORE, AFTER, _PART_SUM, _PART_SQUARE = range(10)
TOGETHER = 64
"""Values that are put into the window in one go, at most."""
COUNTS = 10
TOTALS = COUNTS + ROWS
SPREADS = TOTALS + ROWS * ROW_MAX
_PARTS = SPREADS + ROWS * ROW_MAX
SIZE = _PARTS + PARTS

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
    """The state as bytes: what is in use only, so that equal windows give equal bytes."""
    used = int(state[USED])
    counts = state[COUNTS : COUNTS + used]
    filled = np.arange(ROW_MAX) >= ROW_MAX - counts[:, np.newaxis]
    totals, spreads = (
        state[first : first + used * ROW_MAX].reshape(used, ROW_MAX)[filled]
        for first in (TOTALS, SPREADS)
    )
    parts = state[_PARTS:] if state[_PARTS:].any() else state[:0]
    found = [state[:COUNTS], counts, totals, spreads, parts]
    return np.concatenate(found).astype("<f8").tobytes()


def load(data: bytes) -> Floats:
    """The state that was dumped."""
    values, state = np.frombuffer(data, "<f8"), empty()
    used = int(values[USED])
    counts = values[COUNTS : COUNTS + used]
    state[: COUNTS + used] = values[: COUNTS + used]
    filled = np.arange(ROW_MAX) >= ROW_MAX - counts[:, np.newaxis]
    n = int(counts.sum())
    totals, spreads, parts = np.split(values[COUNTS + used :], [n, 2 * n])
    for first, mine in ((TOTALS, totals), (SPREADS, spreads)):
        state[first : first + used * ROW_MAX].reshape(used, ROW_MAX)[filled] = mine
    for first, mine in zip((_PARTS, _PARTS + SQUARES), np.split(parts, 2), strict=True):
        state[first : first + len(mine)] = mine
    for sum_, lane in ((_PART_SUM, _PARTS), (_PART_SQUARE, _PARTS + SQUARES)):
        state[lane], state[sum_] = state[lane] + state[sum_], 0.0  # of a state without parts
    return state


@jit
def update(values: NDArray[np.floating], start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next change: its index, or -1 when all are fed.

    Values that are not finite are passed over. After a change `state[BEFORE]` and `state[AFTER]`
    are the means, as scaled, of what the window dropped and kept; the next call begins anew, as
    river does.
    """
    if state[OVER] > 0.0:
        clear(state)
    if params[BLOCK] > 1.0:
        return _update_weighted(values, start, params, state)
    low, range_ = params[LOW], params[RANGE]
    clock, grace = params[CLOCK], params[GRACE]
    width, total, spread, tick = state[WIDTH], state[TOTAL], state[SPREAD], state[TICK]
    fresh, waiting = scratch(), 0
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
        if tick >= clock or waiting == TOGETHER:
            insert(state, 1.0, fresh, waiting)
            waiting = 0
        if tick >= clock:
            tick = 0.0
            if width > grace:
                state[WIDTH], state[TOTAL], state[SPREAD] = width, total, spread
                if shrink(params, state):
                    changed = at
                width, total, spread = state[WIDTH], state[TOTAL], state[SPREAD]
                if changed >= 0:
                    break
    insert(state, 1.0, fresh, waiting)
    state[WIDTH], state[TOTAL], state[SPREAD], state[TICK] = width, total, spread, tick
    return changed


@jit
def _update_weighted(
    values: NDArray[np.floating], start: int, params: Floats, state: Floats
) -> int:
    """As `update`, in blocks."""
    most = int((len(values) - start + state[TICK]) / params[BLOCK])
    fresh, sums, ends = scratch(), np.empty((most, 2, 1)), np.empty((most, 1), np.int64)
    for step in range(sum_blocks(values[start:], params, state, 0, sums, ends)):
        part, own = sums[step, 0, 0], sums[step, 1, 0]
        state[SPREAD] += added(part, own, params[BLOCK], state[WIDTH], state[TOTAL])
        state[WIDTH] += params[BLOCK]
        state[TOTAL] += part
        fresh[0, 0, ROW_MAX], fresh[0, 1, ROW_MAX] = part, own
        insert(state, params[BLOCK], fresh, 1)
        if state[WIDTH] > params[GRACE] and shrink(params, state):
            empty_block(state)
            return start + int(ends[step, 0])
    return -1


@jit
def sum_blocks(
    values: NDArray[np.floating],
    params: Floats,
    state: Floats,
    lane: int,
    sums: Floats,
    ends: NDArray[np.int64],
) -> int:
    """How many blocks get full with these values: `sums[k, :, lane]` become sum and spread of the
    k-th of them, `ends[k, lane]` the place of its last value. There are `state[TICK]` values of the
    first one already, and those behind the last are kept.
    """
    low, high, centre, scale = -math.inf, math.inf, 0.0, 1.0
    if params[RANGE] > 0.0:
        low, scale = params[LOW], params[RANGE]
        high, centre = low + scale, low
    held, block, parts = int(state[TICK]), int(params[BLOCK]), state[_PARTS:]
    at, full = 0, 0
    while True:
        at, held = fill(values, at, held, block, low, high, centre, scale, parts)
        if held < block:
            state[TICK] = float(held)
            return full
        part = total(parts, 0)
        sums[full, 0, lane] = part
        sums[full, 1, lane] = max(total(parts, SQUARES) - part * part / block, 0.0)
        ends[full, lane] = at - 1
        held, full = 0, full + 1


@inline
def added(part: float, own: float, block: float, width: float, window: float) -> float:
    """What a block with that sum and spread adds to the spread of a window of `width` values whose
    sum is `window`.
    """
    apart = part / block - window / max(width, 1.0)  # of an empty window the rest is zero
    return own + block * width * apart * apart / (block + width)


@jit
def empty_block(state: Floats) -> None:
    """Begin a new block, whatever there is of one."""
    state[TICK] = 0.0
    for at in range(_PARTS, _PARTS + PARTS):
        state[at] = 0.0


@jit
def scratch() -> Floats:
    """Room for `insert`: float64[2, 2, …], from ROW_MAX on sums and spreads of new buckets."""
    return np.zeros((2, 2, ROW_MAX + TOGETHER))


@jit
def insert(state: Floats, size: float, fresh: Floats, n: int) -> None:
    """Put `n` new buckets of `size` values into the window, merged as if each had come alone.

    Alone, a sixth bucket makes the two oldest of its row one of the next. So, whenever they come, a
    row hands on its buckets in pairs, oldest first, until five or four are left.

    What parts two buckets, size · (a/size − b/size)² / 2, is written without the divisions: of a
    power of two they change no bit.

    :param fresh: of `scratch`, used up; the new ones are `fresh[0]`, from ROW_MAX on, as those of a
        row before them are put there.
    """
    here, here_spread, there, there_spread = fresh[0, 0], fresh[0, 1], fresh[1, 0], fresh[1, 1]
    row = 0
    while n > 0:
        totals, spreads = TOTALS + row * ROW_MAX, SPREADS + row * ROW_MAX
        held = int(state[COUNTS + row])
        first, pairs = ROW_MAX - held, max(held + n - ROW_MAX + 1, 0) // 2
        for slot in range(ROW_MAX):
            here[slot], here_spread[slot] = state[totals + slot], state[spreads + slot]
        share = 0.5 / size
        for pair in range(pairs):
            left = first + 2 * pair
            apart = here[left] - here[left + 1]
            there[ROW_MAX + pair] = here[left] + here[left + 1]
            there_spread[ROW_MAX + pair] = (
                here_spread[left] + here_spread[left + 1] + apart * apart * share
            )
        rest = held + n - 2 * pairs
        for slot in range(ROW_MAX):
            filled = slot >= ROW_MAX - rest
            state[totals + slot] = here[n + slot] if filled else 0.0
            state[spreads + slot] = here_spread[n + slot] if filled else 0.0
        state[COUNTS + row] = float(rest)
        state[USED] = max(state[USED], row + 1.0)
        here, here_spread, there, there_spread = there, there_spread, here, here_spread
        size, n, row = 2.0 * size, pairs, row + 1


@jit
def clear(state: Floats) -> None:
    """The window without values again."""
    for at in range(SIZE):
        state[at] = 0.0


@jit
def shrink(params: Floats, state: Floats) -> bool:
    """Drop the oldest bucket for as long as two parts of the window differ in mean: whether any
    was; `state[OVER]` has the next values begin anew.
    """
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


@inline
def logarithm(width: float, delta: float) -> float:
    """ln(2 ln W / δ) of a window of two values or more."""
    return math.log(2.0 * math.log(width) / delta)


@inline
def limits(
    params: Floats, width: float, total: float, spread: float, ln: float
) -> tuple[float, float, float, float]:
    """What `_cut` compares with, by the window's `logarithm`: bound, root and slack of its test
    without divisions, and the variance.
    """
    variance = spread / width
    reach = width - 2.0 * params[LENGTH_MIN] + 2.0
    slack = 1e-11 * abs(total) * width
    return 2.0 / 3.0 * ln * reach, 2.0 * variance * ln * reach, slack, variance


@jit
def _cut(params: Floats, state: Floats) -> bool:
    """Whether some split, from the oldest bucket on, shows a change."""
    least = params[LENGTH_MIN]
    width, total = state[WIDTH], state[TOTAL]
    if width < 2.0:
        return False
    ln = logarithm(width, params[DELTA])
    bound, root, slack, variance = limits(params, width, total, state[SPREAD], ln)
    n0, u0 = 0.0, 0.0
    u1 = total
    row = int(state[USED]) - 1
    size = params[BLOCK] * 2.0**row
    while row >= 0:
        for slot in range(ROW_MAX - int(state[COUNTS + row]), ROW_MAX):
            bucket = state[TOTALS + row * ROW_MAX + slot]
            n0 += size
            u0 += bucket
            u1 -= bucket
            n1 = width - n0
            if n1 < least or n1 <= 0.0:
                return False
            if n0 < least:
                continue
            product, both = (n0 - least + 1.0) * (n1 - least + 1.0), n0 * n1
            excess = (abs(u0 * width - total * n0) + slack) * product - bound * both
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
    held = int(state[COUNTS + row])
    oldest = row * ROW_MAX + ROW_MAX - held
    size = params[BLOCK] * 2.0**row
    total, spread = state[TOTALS + oldest], state[SPREADS + oldest]
    width = state[WIDTH] - size
    rest = state[TOTAL] - total
    apart = total / size - rest / width
    state[WIDTH], state[TOTAL] = width, rest
    state[SPREAD] -= spread + size * width * apart * apart / (size + width)
    state[TOTALS + oldest], state[SPREADS + oldest] = 0.0, 0.0
    state[COUNTS + row] = held - 1.0
    if held == 1:
        state[USED] = float(row)
