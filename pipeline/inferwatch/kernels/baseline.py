"""What control charts measure against: a level and a spread, given or learnt from the first values.

A learnt deviation may have a least size: for errors that are rare, one of them would be many of
their deviations, and the charts' theory is that of normal values. The first four numbers of a
chart's state. Learnt as mean and sample standard deviation (Welford 1962). While the values are
equal and there is no least size, there is no spread, and learning goes on; where squares overflow
it begins anew.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

N, CENTRE, SPREAD, SCALE = range(4)
SIZE = 4
"""`SCALE` is 0 until the level and the spread are known."""
ROWS, TARGET, SD, SD_MIN = range(4)
"""First parameters of a chart; NaN in `TARGET` or `SD` means that it is learnt."""


@jit
def forget(params: Floats, state: Floats) -> None:
    """Keep what was given, and learn the rest."""
    known = not (math.isnan(params[TARGET]) or math.isnan(params[SD]))
    state[N], state[SPREAD] = 0.0, 0.0
    state[CENTRE] = params[TARGET] if known else 0.0
    state[SCALE] = params[SD] if known else 0.0


@jit
def learn(value: float, params: Floats, state: Floats) -> None:
    """Take a value into level and spread; fix both when there are enough."""
    n, away = state[N] + 1.0, value - state[CENTRE]
    centre = state[CENTRE] + away / n
    spread = state[SPREAD] + away * (value - centre)
    if not math.isfinite(spread):
        forget(params, state)
        return
    state[N], state[CENTRE], state[SPREAD] = n, centre, spread
    if n >= params[ROWS] and (spread > 0.0 or params[SD_MIN] > 0.0):
        learnt = max(math.sqrt(spread / (n - 1.0)), params[SD_MIN])
        state[SCALE] = learnt if math.isnan(params[SD]) else params[SD]
        state[CENTRE] = centre if math.isnan(params[TARGET]) else params[TARGET]
