"""The last answer about each of a bounded sample of entities, row by row.

One permutation hashing: an entity's hash names its place, and each place keeps the entity of the
smallest hash, so those kept are a uniform sample of all, whatever their order and traffic. One that
is not heard of for `age_ms` leaves its place to the next.

Reference: P. Li, A. Owen, C.-H. Zhang, "One permutation hashing", NIPS 2012.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

PLACES = 2_048
FREE = np.uint64(0)


@jit
def follow(
    hashes: NDArray[np.uint64],
    time_ms: NDArray[np.int64],
    predicted: NDArray[np.int32],
    score: NDArray[np.float64],
    age_ms: int,
    keys: NDArray[np.uint64],
    seen_ms: NDArray[np.int64],
    last: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
    """Each row beside the one before it of its entity, for the entities kept; 0 as hash is none.

    `keys`, `seen_ms`, `last` and `scores`, one entry a place, are changed in place. Gives which
    rows have a class where the one before had one too, which of these have another, and the size of
    the score's change, NaN where either has none.
    """
    n = len(hashes)
    compared, flipped = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    moved = np.full(n, np.nan)
    for at in range(n):
        entity = hashes[at]
        if entity == FREE:
            continue
        place = np.int64(entity & np.uint64(PLACES - 1))
        if keys[place] == entity:
            compared[at] = predicted[at] >= 0 and last[place] >= 0
            flipped[at] = compared[at] and predicted[at] != last[place]
            moved[at] = abs(score[at] - scores[place])
        elif (
            keys[place] != FREE and entity > keys[place] and time_ms[at] - seen_ms[place] <= age_ms
        ):
            continue
        keys[place], seen_ms[place] = entity, time_ms[at]
        last[place], scores[place] = predicted[at], score[at]
    return compared, flipped, moved
