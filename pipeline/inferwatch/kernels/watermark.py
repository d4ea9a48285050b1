"""How the rows of a block move the watermark, one after the other."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Times = NDArray[np.int64]


@jit
def advance(
    time: Times, record: Times, ahead_max: int, event: int, unset: int, moved_at: int, ticked: int
) -> tuple[Times, Times, Times, Times, int]:
    """Times clamped to `record`, int64[n]; the rows' watermark before and after each, int64[n];
    the watermark before the block and after each row, int64[n + 1]; how many rows are ahead.

    All in ms. `record` int64[n] is the time of each row's record, `event` the rows' watermark
    before the block, `unset` where there is none. A row more than `ahead_max` after its record
    moves nothing, but for the first of all. A record of time `moved_at` moved the watermark last,
    and the newest tick is of `ticked`.
    """
    n = len(time)
    clamped, before, after = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    now = np.empty(n + 1, np.int64)
    passed = max(0, ticked - moved_at)
    now[0] = event if event == unset else event + passed
    running, ahead = event, 0
    for at in range(n):
        clamped[at] = min(time[at], record[at])
        before[at] = running
        far = time[at] > record[at] + ahead_max
        ahead += far
        if (not far or running == unset) and clamped[at] > running:
            running, passed = clamped[at], max(0, ticked - record[at])
        after[at] = running
        now[at + 1] = running + passed
    return clamped, before, after, now, ahead
