"""HDDM_W over a block of errors: Frías-Blanco et al. 2014, with river's decisions.

Decisions are those of `river.drift.binary.HDDMW` 0.26 (BSD-3), bit for bit on values in [0, 1];
written anew. Warnings are left out, for no decision depends on them. An average begins with its
first value, as river's does, and its bound with 1.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]

N, MEAN, BOUND, OVER = range(4)
UP, DOWN = 4, 10
_END, _BEFORE, _BEFORE_BOUND, _AFTER_N, _AFTER, _AFTER_BOUND = range(6)
SIZE = 16
LN, LAMBDA, SQUARE, REST_SQUARE, TWO_SIDED = range(5)


def params(confidence: float, lambda_val: float, *, two_sided: bool) -> Floats:
    """Parameters as the kernel reads them: the logarithm of McDiarmid's bound, weights, sides."""
    square, rest = lambda_val * lambda_val, (1 - lambda_val) ** 2
    return np.array([math.log(1 / confidence), lambda_val, square, rest, two_sided])


def empty() -> Floats:
    """The state before the first value."""
    state = np.zeros(SIZE)
    state[BOUND], state[UP + _END], state[DOWN + _END] = 1.0, math.inf, math.inf
    return state


@jit
def update(values: Floats, start: int, params: Floats, state: Floats) -> int:
    """Feed `values[start:]` up to the next drift: its index, or -1 when all are fed.

    Values that are not finite are passed over, others clipped to [0, 1]. The next call after a
    drift begins anew.
    """
    ln, weight, two_sided = params[LN], params[LAMBDA], params[TWO_SIDED] > 0.0
    square, rest = params[SQUARE], params[REST_SQUARE]
    if state[OVER] > 0.0:
        for slot in range(SIZE):
            state[slot] = 0.0
        state[BOUND], state[UP + _END], state[DOWN + _END] = 1.0, math.inf, math.inf
    n, mean, bound = state[N], state[MEAN], state[BOUND]
    changed = -1
    for at in range(start, len(values)):
        value = float(values[at])
        if not math.isfinite(value):
            continue
        value = min(max(value, 0.0), 1.0)
        n += 1.0
        mean = value if n == 1.0 else weight * value + (1.0 - weight) * mean
        bound = square + rest * bound
        reach = math.sqrt(bound * ln / 2.0)
        found = _side(state, UP, 1.0, value, mean, bound, reach, params)
        if two_sided:
            found = _side(state, DOWN, -1.0, value, mean, bound, reach, params) or found
        if found:
            state[OVER] = 1.0
            changed = at
            break
    state[N], state[MEAN], state[BOUND] = n, mean, bound
    return changed


@jit
def _side(
    state: Floats,
    side: int,
    sign: float,
    value: float,
    mean: float,
    bound: float,
    reach: float,
    params: Floats,
) -> bool:
    """Move a side's cut point or feed the average after it; whether the two differ by more than
    chance. Everything that river does downwards is the same upwards with the signs turned.
    """
    end = sign * mean + reach
    if end < state[side + _END]:
        state[side + _END], state[side + _BEFORE], state[side + _BEFORE_BOUND] = end, mean, bound
        state[side + _AFTER_N], state[side + _AFTER_BOUND] = 0.0, 1.0
        return False
    weight, after = params[LAMBDA], value
    if state[side + _AFTER_N] > 0.0:
        after = weight * value + (1.0 - weight) * state[side + _AFTER]
    after_bound = params[SQUARE] + params[REST_SQUARE] * state[side + _AFTER_BOUND]
    state[side + _AFTER_N], state[side + _AFTER], state[side + _AFTER_BOUND] = (
        1.0,
        after,
        after_bound,
    )
    difference = float(sign * (after - state[side + _BEFORE]))
    if difference <= 0.0:
        return False
    both = state[side + _BEFORE_BOUND] + after_bound
    return difference > math.sqrt(both * params[LN] / 2.0)
