"""HDDM_A over a block of errors: Frías-Blanco et al. 2014, with river's decisions.

Decisions are those of `river.drift.binary.HDDMA` 0.26 (BSD-3), bit for bit on values in [0, 1];
written anew. Warnings are left out, for no decision depends on them. The bound of a cut point is
kept beside it, and the root of a test is taken only where the means lie the way that is looked for.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

N, MEAN, LOW_N, LOW, LOW_END, HIGH_N, HIGH, HIGH_END, OVER = range(9)
BOUND_LN, TEST_LN, TWO_SIDED = range(3)


def params(confidence: float, *, two_sided: bool) -> Floats:
    """Parameters as the kernel reads them: the logarithms of Hoeffding's bound and of the test."""
    return np.array([math.log(1.0 / confidence), math.log(2.0 / confidence), two_sided])


def empty() -> Floats:
    """The state before the first value."""
    return np.array([0.0, 0.0, 0.0, 0.0, math.inf, 0.0, 0.0, -math.inf, 0.0])


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next drift: its index, or -1 when all are fed.

    Values that are not finite are passed over, others clipped to [0, 1]. The next call after a
    drift begins anew.
    """
    bound_ln, test_ln, two_sided = params[BOUND_LN], params[TEST_LN], params[TWO_SIDED] > 0.0
    if state[OVER] > 0.0:
        state[N], state[MEAN], state[OVER] = 0.0, 0.0, 0.0
        state[LOW_END], state[HIGH_END] = math.inf, -math.inf
    n, mean = state[N], state[MEAN]
    low_n, low, low_end = state[LOW_N], state[LOW], state[LOW_END]
    high_n, high, high_end = state[HIGH_N], state[HIGH], state[HIGH_END]
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        value = min(max(value, 0.0), 1.0)
        n += 1.0
        mean += (1.0 / n) * (value - mean)
        bound = math.sqrt(1.0 / (2.0 * n) * bound_ln)
        if low_end >= mean + bound:
            low_n, low, low_end = n, mean, mean + bound
        if two_sided and high_end <= mean - bound:
            high_n, high, high_end = n, mean, mean - bound
        if _apart(n, low_n, mean - low, test_ln) or (
            two_sided and _apart(n, high_n, high - mean, test_ln)
        ):
            state[OVER] = 1.0
            changed = at
            break
    state[N], state[MEAN] = n, mean
    state[LOW_N], state[LOW], state[LOW_END] = low_n, low, low_end
    state[HIGH_N], state[HIGH], state[HIGH_END] = high_n, high, high_end
    return changed


@jit
def _apart(n: float, cut_n: float, difference: float, ln: float) -> bool:
    """Whether the mean of all differs from that up to the cut by more than chance."""
    if difference <= 0.0 or cut_n == n:
        return False
    m = (n - cut_n) / cut_n * (1.0 / n)
    return difference >= math.sqrt(m / 2.0 * ln)
