"""Distance of each value from the exponentially weighted mean of those before it, in the usual one.

m is the mean of the values and q that of the squared distances from it one value ahead, both with
weights that fade; each begins as a plain mean, for as long as 1/n is more than its weight. The
score is |x − m| / √q (Montgomery and Mastrangelo 1991).
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit
from inferwatch.kernels.sliding_moments import in_scales

Floats = NDArray[np.float64]

N, MEAN, SQUARE = range(3)
SIZE = 3


@jit
def score(
    values: Floats,
    past_min: int,
    lambda_val: float,
    alpha: float,
    level_floor: float,
    state: Floats,
    scores: Floats,
) -> None:
    """Write a score for each value, NaN where there is none, and feed the values.

    Values that are not finite are passed over; where squares overflow it begins anew.

    :param lambda_val: weight of the newest value, and `alpha` of its squared distance.
    :param level_floor: least scale, as a share of the size of the mean.
    :param state: float64[3], values seen, mean, mean square.
    """
    n, mean, square = float(state[N]), float(state[MEAN]), float(state[SQUARE])
    for at in range(len(values)):
        value = float(values[at])
        scores[at] = math.nan
        if not math.isfinite(value):
            continue
        away = value - mean
        if n >= past_min:
            scores[at] = in_scales(abs(away), max(math.sqrt(square), level_floor * abs(mean)))
        n += 1.0
        if n > 1.0:
            square += max(alpha, 1.0 / (n - 1.0)) * (away * away - square)
        mean += max(lambda_val, 1.0 / n) * away
        if not (math.isfinite(square) and math.isfinite(mean)):
            n, mean, square = 0.0, 0.0, 0.0
    state[N], state[MEAN], state[SQUARE] = n, mean, square
