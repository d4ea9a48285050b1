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
    over = (now[first] - grace - size) // step * step + size
    for at in range(first, n):
        over_before = over
        if now[at + 1] - grace >= over + step or now[at + 1] < now[at]:
            over = (now[at + 1] - grace - size) // step * step + size
        if over > over_before:
            return at + 1
        start = time[at] // pane * pane
        opened = -((size - pane - start) // step) * step + size
        if opened > over:
            continue
        passed = max(boundary, (before[at] - grace - size) // step * step + size)
        if max(opened, passed + step) <= min(over, start // step * step + size):
            return at + 1
    return n


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
    for at in range(n):
        start = time[at] // pane * pane
        starts[at] = start
        over = max(boundary, (before[at] - grace - size) // step * step + size)
        late += -((size - pane - start) // step) * step + size <= over
        lost[at] = start // step * step + size <= over
        one = one and not lost[at] and start == starts[0]
    return starts, lost, late, one
