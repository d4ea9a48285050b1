"""The level of a stream before a finding and at it, for detectors that only say where it was.

Before is the mean of the values since the last finding but for the newest thirty, at it the mean of
those.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
RECENT = 30
SEEN, TOTAL = RECENT, RECENT + 1
SIZE = RECENT + 2


def empty() -> Floats:
    """The state before the first value: the newest values as a ring, their number, a sum."""
    return np.zeros(SIZE)


@jit
def follow(values: Floats, start: int, stop: int, state: Floats) -> None:
    """Take in `values[start:stop]`; those that are not finite are passed over."""
    seen, total = int(state[SEEN]), float(state[TOTAL])
    for at in range(start, stop):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        if seen >= RECENT:
            total += float(state[seen % RECENT])
        state[seen % RECENT] = value
        seen += 1
    state[SEEN], state[TOTAL] = seen, total


def levels(state: Floats) -> tuple[float, float]:
    """Means before and at a finding; the same number twice where there was nothing before."""
    seen = int(state[SEEN])
    newest = min(seen, RECENT)
    after = float(state[:newest].sum()) / max(newest, 1)
    before = float(state[TOTAL]) / (seen - newest) if seen > newest else after
    return before, after
