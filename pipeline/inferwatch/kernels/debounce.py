"""From scores to findings: a score above the threshold that is the highest of the last N scores."""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def empty(rows: int) -> Floats:
    """The last `rows - 1` scores before the first; what is no score is below each."""
    return np.full(rows - 1, -math.inf)


@jit
def peaks(scores: Floats, threshold: float, recent: Floats, place: int, found: Counts) -> int:
    """Write to `found` the indices of scores that count, and keep the scores in the ring `recent`.

    Scores that are NaN are passed over. The ring is looked through for scores above `threshold`
    only, so a value costs next to nothing, and `recent`'s length where it is far out.

    :param place: where in the ring the next score goes.
    :returns: how many were found; the ring's next place follows from the scores that are not NaN.
    """
    count, rows = 0, len(recent)
    for at in range(len(scores)):
        score = float(scores[at])
        if math.isnan(score):
            continue
        if score > threshold and _highest(score, recent):
            found[count] = at
            count += 1
        if rows > 0:
            recent[place] = score
            place = place + 1 if place + 1 < rows else 0
    return count


@jit
def _highest(score: float, recent: Floats) -> bool:
    for other in recent:  # noqa: SIM110 - a loop is what compiles
        if other >= score:
            return False
    return True
