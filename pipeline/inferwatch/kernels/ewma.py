"""The chart of the exponentially weighted mean over a block: Roberts 1959.

e = λz + (1 − λ)e from 0, of z = (x − target) / sd; an alarm is |e| above
L·√(λ/(2 − λ)·(1 − (1 − λ)^2t)) at the t-th value, the exact limit (Lucas and Saccucci 1990).
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import baseline
from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

AVERAGE, FADED, OVER = range(baseline.SIZE, baseline.SIZE + 3)
SIZE = baseline.SIZE + 3
LAMBDA, LIMIT = 4, 5


def params(
    rows: int, target: float, sd: float, sd_min: float, lambda_val: float, limit: float
) -> Floats:
    """Parameters as the kernel reads them; NaN for a target or sd that is learnt."""
    return np.array([rows, target, sd, sd_min, lambda_val, limit], np.float64)


def empty(params: Floats) -> Floats:
    """The state before the first value."""
    state = np.zeros(SIZE)
    state[FADED] = 1.0
    baseline.forget(params, state)
    return state


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next alarm: its index, or -1 when all are fed.

    Values that are not finite are passed over. The next call after an alarm begins with an average
    of zero, and learns anew what was not given.
    """
    weight, limit = params[LAMBDA], params[LIMIT]
    rest, variance = 1.0 - weight, weight / (2.0 - weight)
    if state[OVER] > 0.0:
        state[AVERAGE], state[FADED], state[OVER] = 0.0, 1.0, 0.0
        baseline.forget(params, state)
    average, faded = state[AVERAGE], state[FADED]
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
        average = weight * ((value - centre) / scale) + rest * average
        faded *= rest * rest
        if abs(average) > limit * math.sqrt(variance * (1.0 - faded)):
            state[OVER] = 1.0
            changed = at
            break
    state[AVERAGE], state[FADED] = average, faded
    return changed
