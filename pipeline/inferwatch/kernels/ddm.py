"""DDM over a block of errors: Gama et al. 2004, with river's decisions.

Decisions are those of `river.drift.binary.DDM` 0.26 (BSD-3), bit for bit on values in [0, 1],
where no errors are asked for before the first look; written anew. Warnings are left out, for no
decision depends on them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

N, MEAN, LEAST, LEAST_SD, OVER = range(5)
ROWS, DRIFT, ERRORS = range(3)


def params(rows: int, drift: float, errors: int) -> Floats:
    """Parameters as the kernel reads them: values and errors before the first look, threshold in
    deviations.
    """
    return np.array([rows, drift, errors], np.float64)


def empty() -> Floats:
    """The state before the first value."""
    return np.array([0.0, 0.0, math.inf, 0.0, 0.0])


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next drift: its index, or -1 when all are fed.

    Values that are not finite are passed over, others clipped to [0, 1]. The next call after a
    drift begins anew.
    """
    rows, drift, errors = params[ROWS], params[DRIFT], params[ERRORS]
    if state[OVER] > 0.0:
        state[N], state[MEAN], state[OVER] = 0.0, 0.0, 0.0
        state[LEAST], state[LEAST_SD] = math.inf, 0.0
    n, mean, least, least_sd = state[N], state[MEAN], state[LEAST], state[LEAST_SD]
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        value = min(max(value, 0.0), 1.0)
        n += 1.0
        mean += (1.0 / n) * (value - mean)
        if n > rows and n * mean >= errors:
            sd = math.sqrt(mean * (1.0 - mean) / n)
            if mean + sd <= least + least_sd:
                least, least_sd = mean, sd
            if mean + sd > least + drift * least_sd:
                state[OVER] = 1.0
                changed = at
                break
    state[N], state[MEAN], state[LEAST], state[LEAST_SD] = n, mean, least, least_sd
    return changed
