"""Which panes the rows of a block belong to, and where a window closes between them.

Sizes are in ms: `pane` the smallest tumbling piece, `size` and `step` of the windows, `grace` how
long one waits after its end. A window is over when the watermark passes its end plus `grace`.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Times = NDArray[np.int64]


@jit
def next_cut(
    time: Times,
    before: Times,
    now: Times,
    first: int,
    pane: int,
    size: int,
    step: int,
    grace: int,
    boundary: int,
) -> int:
    """Number of the row, from `first` on, after which a window may have to close; n for none.

    That is so where the watermark passes the end of a window, or where a row opens one that is over
    already. `time` int64[n]; `before` int64[n] is the rows' watermark before each row, `now`
    int64[n + 1] the watermark before the block and after each row; windows that end at or before
    `boundary` are over.
    """
    n = len(time)
    over, passed = _over(now[first], size, step, grace), _over(before[first], size, step, grace)
    start, opened, last = _pane(time[first], pane, size, step)
    for at in range(first, n):
        over_before = over
        if not over <= now[at + 1] - grace < over + step:
            over = _over(now[at + 1], size, step, grace)
        if over > over_before:
            return at + 1
        if not start <= time[at] < start + pane:
            start, opened, last = _pane(time[at], pane, size, step)
        if opened > over:
            continue
        if not passed <= before[at] - grace < passed + step:
            passed = _over(before[at], size, step, grace)
        if max(opened, max(boundary, passed) + step) <= min(over, last):
            return at + 1
    return n


@jit
def _over(watermark: int, size: int, step: int, grace: int) -> int:
    """End of the last window that is over: not after `watermark` less `grace`, by less than a
    `step`.
    """
    return (watermark - grace - size) // step * step + size


@jit
def _pane(time: int, pane: int, size: int, step: int) -> tuple[int, int, int]:
    """Start of the time's pane; ends of the first and the last window that hold it.

    Divisions cost more than all else here: loops ask anew when time has left the pane.
    """
    start = time // pane * pane
    return start, -((size - pane - start) // step) * step + size, start // step * step + size


@jit
def place(
    time: Times, before: Times, pane: int, size: int, step: int, grace: int, boundary: int
) -> tuple[Times, NDArray[np.bool_], int, bool]:
    """Start of each row's pane; which rows came too late for any window; how many too late for
    some; whether all rows are of one pane and none is lost.
    """
    n = len(time)
    starts, lost = np.empty(n, np.int64), np.zeros(n, np.bool_)
    late, one = 0, True
    passed = _over(before[0], size, step, grace)
    start, opened, last = _pane(time[0], pane, size, step)
    for at in range(n):
        if not start <= time[at] < start + pane:
            start, opened, last = _pane(time[at], pane, size, step)
            one = False
        if not passed <= before[at] - grace < passed + step:
            passed = _over(before[at], size, step, grace)
        over = max(boundary, passed)
        starts[at], lost[at] = start, last <= over
        late += opened <= over
        one = one and last > over
    return starts, lost, late, one
