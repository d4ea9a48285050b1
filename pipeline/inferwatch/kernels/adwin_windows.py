"""Windows of ADWIN side by side: the same bucket of up to 32 windows lies in one row of memory.

So what is done to a bucket is done to that of eight windows at a time. Nothing branches: windows
that hold five or four buckets of a size, or hand none on, differ in what is chosen, not in what is
computed. The bits are those of `kernels.adwin`, which works on one window at a time and says what
the numbers are.

All of it lies in one array, at distances that the compiler knows: it sees that lanes are strangers.
"""

import math

import numpy as np

from inferwatch.kernels.adwin import (
    COUNTS,
    ROW_MAX,
    SPREAD,
    SPREADS,
    TOTAL,
    TOTALS,
    USED,
    WIDTH,
    Floats,
    added,
)
from inferwatch.kernels.jit import inline, jit

LANES, SIDE_BY_SIDE = 32, 8
"""Windows that are worked on together: at most, and in steps of."""
TOGETHER = 32
"""Values that windows take at a time, a power of two."""
DEEP = 5
"""Rows that take two buckets or more then."""
ROWS = 28
"""Enough for 10⁹ values."""
FRESH = ROWS * ROW_MAX * LANES
_THERE = FRESH + (ROW_MAX + TOGETHER) * LANES
_BACK = _THERE + (ROW_MAX + TOGETHER // 2) * LANES
_SPREADS = _BACK + (ROW_MAX + TOGETHER // 4) * LANES
"""What lies behind this lies as what is before it, but holds spreads instead of totals."""
_HELD = 2 * _SPREADS
_LANE = _HELD + ROWS * LANES
WIDTHS, SUMS, AROUND, LN, HIT, NEW, NEW_SPREAD, _GIVEN, _APART, _BOUND, _ROOT, _OLDER, _SUM = (
    _LANE + kind * LANES for kind in range(13)
)
_SIZE = _LANE + 13 * LANES
_PLACES, _SIDES = (1 << 14) - 1, 2 * LANES - 1
"""What places and numbers of lanes are masked with: so the compiler knows that none is negative, as
those of Python may be, and works on several lanes at a time.
"""
NEWEST = FRESH + ROW_MAX * LANES
"""Where the first of the values begins that the windows take."""


@jit
def room() -> Floats:
    """For as many windows, of which none is there."""
    windows = np.empty(_SIZE)
    windows[_SPREADS + FRESH : _SPREADS + _THERE] = 0.0  # single values have no spread
    return windows


@jit
def fits(state: Floats, n: int, size: float) -> bool:
    """Whether there are rows for a window and `n` values more; buckets of row 0 have `size`."""
    return bool((state[WIDTH] + n) / size < 2.0 ** (ROWS - 1))


@jit
def settled(state: Floats) -> bool:
    """Whether the window has four buckets or five of each size that `take` gives some to."""
    least = ROW_MAX
    for row in range(DEEP):
        least = min(least, int(state[COUNTS + row]))
    return least >= ROW_MAX - 1


@jit
def put(state: Floats, lane: int, windows: Floats) -> None:
    """Write a window into a lane."""
    used = int(state[USED])
    for row in range(ROWS):
        windows[_HELD + row * LANES + lane] = state[COUNTS + row]
    for place in range(used * ROW_MAX):
        windows[place * LANES + lane] = state[TOTALS + place]
        windows[_SPREADS + place * LANES + lane] = state[SPREADS + place]
    for place in range(used * ROW_MAX, ROWS * ROW_MAX):
        windows[place * LANES + lane] = 0.0
        windows[_SPREADS + place * LANES + lane] = 0.0
    windows[WIDTHS + lane], windows[SUMS + lane] = state[WIDTH], state[TOTAL]
    windows[AROUND + lane], windows[LN + lane] = state[SPREAD], math.inf


@jit
def blank(lane: int, windows: Floats) -> None:
    """Fill a lane that is nobody's: numbers like any."""
    for place in range(ROWS * ROW_MAX):
        windows[place * LANES + lane], windows[_SPREADS + place * LANES + lane] = 0.0, 0.0
    for row in range(ROWS):
        windows[_HELD + row * LANES + lane] = 0.0
    for at in range(ROW_MAX + TOGETHER):
        windows[FRESH + at * LANES + lane] = 0.0
    windows[WIDTHS + lane], windows[SUMS + lane], windows[AROUND + lane] = 1.0, 0.0, 0.0
    windows[LN + lane] = math.inf


@jit
def get(windows: Floats, lane: int, state: Floats) -> None:
    """Write what a lane holds back to its window."""
    used = int(state[USED])
    for row in range(ROWS):
        held = windows[_HELD + row * LANES + lane]
        state[COUNTS + row] = held
        used = row + 1 if held > 0.0 else used
    for place in range(used * ROW_MAX):
        state[TOTALS + place] = windows[place * LANES + lane]
        state[SPREADS + place] = windows[_SPREADS + place * LANES + lane]
    state[USED], state[WIDTH] = float(used), windows[WIDTHS + lane]
    state[TOTAL], state[SPREAD] = windows[SUMS + lane], windows[AROUND + lane]


@jit
def grow(windows: Floats, side: int) -> None:
    """Add the values from NEWEST on to widths, totals and spreads; no window is empty."""
    for at in range(TOGETHER):
        first = NEWEST + at * LANES
        for lane in range(side):
            value, width = windows[first + lane], windows[WIDTHS + lane]
            total = windows[SUMS + lane]
            away = value - total / width
            windows[AROUND + lane] += width * away * away / (width + 1.0)
            windows[SUMS + lane] = total + value
            windows[WIDTHS + lane] = width + 1.0


@jit
def take(windows: Floats, side: int, rows: int) -> int:
    """Put the values from NEWEST on into settled windows, of up to `rows` rows: how many then."""
    _merge(windows, 0, TOGETHER, FRESH, _THERE, side)
    _merge(windows, 1, TOGETHER // 2, _THERE, _BACK, side)
    _merge(windows, 2, TOGETHER // 4, _BACK, _THERE, side)
    _merge(windows, 3, TOGETHER // 8, _THERE, _BACK, side)
    _merge(windows, 4, TOGETHER // 16, _BACK, _THERE, side)
    for lane in range(side):
        windows[NEW + lane] = windows[_THERE + ROW_MAX * LANES + lane]
        windows[NEW_SPREAD + lane] = windows[_SPREADS + _THERE + ROW_MAX * LANES + lane]
    return max(rows, insert(windows, side, DEEP, 1.0))


@inline
def _merge(windows: Floats, row: int, n: int, here: int, there: int, side: int) -> None:
    """Put `n` new buckets, an even number, into row `row`, which holds five or four: as many stay,
    and half of `n` are handed on, behind the first ROW_MAX places of `there`.

    The new ones are behind those of `here`, which are for the buckets of before.
    """
    held, state = (_HELD + row * LANES) & _PLACES, (row * ROW_MAX * LANES) & _PLACES
    side, share = side & _SIDES, 0.5 / 2.0**row
    for slot in range(ROW_MAX):
        left, out = (state + slot * LANES) & _PLACES, (here + slot * LANES) & _PLACES
        for lane in range(side):
            windows[out + lane] = windows[left + lane]
            windows[_SPREADS + out + lane] = windows[_SPREADS + left + lane]
    for pair in range(n // 2):
        left = (here + 2 * pair * LANES) & _PLACES
        out = (there + (ROW_MAX + pair) * LANES) & _PLACES
        for lane in range(side):
            full = windows[held + lane] > ROW_MAX - 0.5
            first, second = windows[left + lane], windows[left + LANES + lane]
            third = windows[left + 2 * LANES + lane]
            older, newer = first if full else second, second if full else third
            first, second = (
                windows[_SPREADS + left + lane],
                windows[_SPREADS + left + LANES + lane],
            )
            third = windows[_SPREADS + left + 2 * LANES + lane]
            apart = older - newer
            spreads = (first if full else second) + (second if full else third)
            windows[out + lane] = older + newer
            windows[_SPREADS + out + lane] = spreads + apart * apart * share
    for slot in range(ROW_MAX):
        left, out = (here + (n + slot) * LANES) & _PLACES, (state + slot * LANES) & _PLACES
        for lane in range(side):
            kept = (slot > 0) | (windows[held + lane] > ROW_MAX - 0.5)
            total, spread = windows[left + lane], windows[_SPREADS + left + lane]
            windows[out + lane] = total if kept else 0.0
            windows[_SPREADS + out + lane] = spread if kept else 0.0


@jit
def add(windows: Floats, sums: Floats, side: int, size: float) -> None:
    """Add a block of `size` values to widths, totals and spreads of each window, and make it the
    bucket to be put in; `sums` float64[2, LANES] are the blocks' sums and spreads.
    """
    for lane in range(side):
        part, own = sums[0, lane], sums[1, lane]
        width, total = windows[WIDTHS + lane], windows[SUMS + lane]
        windows[AROUND + lane] += added(part, own, size, width, total)
        windows[WIDTHS + lane], windows[SUMS + lane] = width + size, total + part
        windows[NEW + lane], windows[NEW_SPREAD + lane] = part, own


@jit
def insert(windows: Floats, side: int, row: int, size: float) -> int:
    """Put a new bucket, NEW and NEW_SPREAD, into row `row` of each window, whose row 0 has buckets
    of `size` values, and what is handed on into the rows behind it: how many rows that reached.

    Of a row that would have six, the two oldest are handed on as one.
    """
    for lane in range(side):
        windows[_GIVEN + lane] = 1.0
    handed = 1
    while handed:
        handed = _insert(windows, row, 0.5 / (size * 2.0**row), side)
        row += 1
    return row


@inline
def _insert(windows: Floats, row: int, share: float, side: int) -> int:
    """`insert` into one row of the windows that are GIVEN one: how many of them hand one on."""
    held, first = (_HELD + row * LANES) & _PLACES, (row * ROW_MAX * LANES) & _PLACES
    side, handed = side & _SIDES, 0
    for lane in range(side):
        apart = windows[first + lane] - windows[first + LANES + lane]
        windows[_APART + lane] = apart * apart * share
    _shift(windows, held, _SPREADS + first, NEW_SPREAD, side)
    _shift(windows, held, first, NEW, side)
    for lane in range(side):
        has, given = windows[held + lane], windows[_GIVEN + lane] > 0.5
        full = given & (has > ROW_MAX - 0.5)
        windows[NEW_SPREAD + lane] += windows[_APART + lane]
        windows[held + lane] = has + (1.0 if given else 0.0) - (2.0 if full else 0.0)
        windows[_GIVEN + lane] = 1.0 if full else 0.0
        handed += full
    return handed


@inline
def _shift(windows: Floats, held: int, first: int, new: int, side: int) -> None:
    """Put `new` behind the five places from `first` on, where a window is GIVEN one: the oldest
    falls out, or the two oldest, where there are five. `new` becomes their sum.

    Totals and spreads are two loops: one over both is more than the compiler does side by side.
    """
    for lane in range(side):
        given = windows[_GIVEN + lane] > 0.5
        full = given & (windows[held + lane] > ROW_MAX - 0.5)
        one, two = windows[first + lane], windows[first + LANES + lane]
        three, four = windows[first + 2 * LANES + lane], windows[first + 3 * LANES + lane]
        five, six = windows[first + 4 * LANES + lane], windows[new + lane]
        windows[new + lane] = one + two
        windows[first + lane] = (0.0 if full else two) if given else one
        windows[first + LANES + lane] = three if given else two
        windows[first + 2 * LANES + lane] = four if given else three
        windows[first + 3 * LANES + lane] = five if given else four
        windows[first + 4 * LANES + lane] = six if given else five


@jit
def look(windows: Floats, side: int, rows: int, size: float, least: float) -> None:
    """Mark the windows of which some split, from the oldest bucket on, may show a change.

    A split of n₀ and n₁ values passes the test of `adwin` if |u₀W − n₀T| is above
    bound·q + √(root·n₀n₁·q) for a q that is never below 1, so above it for q = 1: what that lets
    through besides is looked at again. LN is each window's `logarithm`, infinite where no split is
    to pass; the smallest buckets hold `size` values, parts of less than `least` show nothing.
    """
    for lane in range(side):
        width, total, ln = windows[WIDTHS + lane], windows[SUMS + lane], windows[LN + lane]
        reach = width - 2.0 * least + 2.0
        windows[_BOUND + lane] = 2.0 / 3.0 * ln * reach - 1e-11 * abs(total) * width
        windows[_ROOT + lane] = 2.0 * windows[AROUND + lane] / width * ln * reach * (1.0 - 1e-9)
        windows[_OLDER + lane], windows[_SUM + lane], windows[HIT + lane] = 0.0, 0.0, 0.0
    size *= 2.0 ** (rows - 1)
    for row in range(rows - 1, -1, -1):
        _look_row(windows, side, row, size)
        size *= 0.5


@inline
def _look_row(windows: Floats, side: int, row: int, size: float) -> None:
    """The splits behind each bucket of a row."""
    held, first = (_HELD + row * LANES) & _PLACES, (row * ROW_MAX * LANES) & _PLACES
    for lane in range(side & _SIDES):
        has, width, total = windows[held + lane], windows[WIDTHS + lane], windows[SUMS + lane]
        bound, root = windows[_BOUND + lane], windows[_ROOT + lane]
        n0, u0, hit = windows[_OLDER + lane], windows[_SUM + lane], windows[HIT + lane]
        n0 += size if has > 4.5 else 0.0
        u0 += windows[first + lane]
        hit = 1.0 if _passes(n0, u0, width, total, bound, root) else hit
        n0 += size if has > 3.5 else 0.0
        u0 += windows[first + LANES + lane]
        hit = 1.0 if _passes(n0, u0, width, total, bound, root) else hit
        n0 += size if has > 2.5 else 0.0
        u0 += windows[first + 2 * LANES + lane]
        hit = 1.0 if _passes(n0, u0, width, total, bound, root) else hit
        n0 += size if has > 1.5 else 0.0
        u0 += windows[first + 3 * LANES + lane]
        hit = 1.0 if _passes(n0, u0, width, total, bound, root) else hit
        n0 += size if has > 0.5 else 0.0
        u0 += windows[first + 4 * LANES + lane]
        hit = 1.0 if _passes(n0, u0, width, total, bound, root) else hit
        windows[_OLDER + lane], windows[_SUM + lane], windows[HIT + lane] = n0, u0, hit


@inline
def _passes(n0: float, u0: float, width: float, total: float, bound: float, root: float) -> bool:
    beyond = abs(u0 * width - total * n0) - bound
    return bool((beyond > 0.0) & (beyond * beyond >= root * n0 * (width - n0)))
