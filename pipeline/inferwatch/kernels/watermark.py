"""How the rows of a block move the watermark, one after the other."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Times = NDArray[np.int64]


@jit
def advance(
    time: Times, record: int, ahead_max: int, event: int, unset: int, unmoved: int, moved: int
) -> tuple[Times, Times, Times, Times, int]:
    """Times clamped to `record`, int64[n]; the rows' watermark before and after each, int64[n];
    the watermark before the block and after each row, int64[n + 1]; how many rows are ahead.

    All in ms. `event` is the rows' watermark before the block, `unset` where there is none. A row
    more than `ahead_max` after its record moves nothing, but for the first of all. Ticks have seen
    `unmoved` pass since the watermark moved last, and `moved` since the record's time.
    """
    n = len(time)
    clamped, before, after = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    now = np.empty(n + 1, np.int64)
    now[0] = event if event == unset else event + unmoved
    running, ahead = event, 0
    for at in range(n):
        clamped[at] = min(time[at], record)
        before[at] = running
        far = time[at] > record + ahead_max
        ahead += far
        if (not far or running == unset) and clamped[at] > running:
            running = clamped[at]
        after[at] = running
        now[at + 1] = running + (moved if running > event else unmoved)
    return clamped, before, after, now, ahead
