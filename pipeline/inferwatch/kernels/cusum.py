"""The tabular cumulative-sum chart over a block, both directions: Page 1954.

The sums are C⁺ = max(0, C⁺ + z − k) and C⁻ = max(0, C⁻ − z − k) of z = (x − target) / sd; an alarm
is a sum above h.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import baseline
from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

UP, DOWN, OVER = range(baseline.SIZE, baseline.SIZE + 3)
SIZE = baseline.SIZE + 3
SLACK, LIMIT = 4, 5


def params(rows: int, target: float, sd: float, sd_min: float, k: float, h: float) -> Floats:
    """Parameters as the kernel reads them; NaN for a target or sd that is learnt."""
    return np.array([rows, target, sd, sd_min, k, h], np.float64)


def empty(params: Floats) -> Floats:
    """The state before the first value."""
    state = np.zeros(SIZE)
    baseline.forget(params, state)
    return state


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next alarm: its index, or -1 when all are fed.

    Values that are not finite are passed over. The next call after an alarm begins with sums of
    zero, and learns anew what was not given.
    """
    k, h = params[SLACK], params[LIMIT]
    if state[OVER] > 0.0:
        state[UP], state[DOWN], state[OVER] = 0.0, 0.0, 0.0
        baseline.forget(params, state)
    up, down = state[UP], state[DOWN]
    centre, scale = state[baseline.CENTRE], state[baseline.SCALE]
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        if scale == 0.0:
            baseline.learn(value, params, state)
            centre, scale = state[baseline.CENTRE], state[baseline.SCALE]
            continue
        z = (value - centre) / scale
        up = max(0.0, up + z - k)
        down = max(0.0, down - z - k)
        if up > h or down > h:
            state[OVER] = 1.0
            changed = at
            break
    state[UP], state[DOWN] = up, down
    return changed
