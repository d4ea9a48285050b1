"""EDDM over a block of errors: Baena-García et al. 2006, with river's decisions.

Decisions are those of `river.drift.binary.EDDM` 0.26 (BSD-3); written anew. Warnings are left out,
for no decision depends on them. As in river the largest distance is noted from `rows` values on,
and drifts are from `rows` errors on.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

N, ERRORS, LAST, MEAN, SPREAD, HIGHEST, OVER = range(7)
SIZE = 7
ROWS, BETA = range(2)


def params(rows: int, beta: float) -> Floats:
    """Parameters as the kernel reads them: values and errors before a look, share of the highest
    level below which there is a drift.
    """
    return np.array([rows, beta], np.float64)


def empty() -> Floats:
    """The state before the first value."""
    state = np.zeros(SIZE)
    state[HIGHEST] = -1.0
    return state


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next drift: its index, or -1 when all are fed.

    Values that are not finite are passed over; 1 is an error, anything else is none. The next call
    after a drift begins anew.
    """
    rows, beta = params[ROWS], params[BETA]
    if state[OVER] > 0.0:
        for slot in range(SIZE):
            state[slot] = 0.0
        state[HIGHEST] = -1.0
    n, errors, last = state[N], state[ERRORS], state[LAST]
    mean, spread, highest = state[MEAN], state[SPREAD], state[HIGHEST]
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        n += 1.0
        if value != 1.0:
            continue
        errors += 1.0
        distance, before = n - last, mean
        mean += (1.0 / errors) * (distance - mean)
        spread += (distance - before) * (distance - mean)
        last = n
        if n <= rows:
            continue
        variance = spread / (errors - 1.0) if errors > 1.0 else 0.0
        level = mean + 2.0 * math.sqrt(variance)
        if level > highest:
            highest = level
        elif errors > rows and level / highest < beta:
            state[OVER] = 1.0
            changed = at
            break
    state[N], state[ERRORS], state[LAST] = n, errors, last
    state[MEAN], state[SPREAD], state[HIGHEST] = mean, spread, highest
    return changed
