"""Which prediction ids take part where memory is short: a share chosen by their hash.

Every process gets the same hash from the same id, so predictions and labels keep the same ones, and
a sample halved is part of the sample before.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import hashing, texts
from inferwatch.records.ids import Ids

Hashes = NDArray[np.uint64]


def hashes(ids: Ids) -> Hashes:
    """64 bits for each id. Cost: 20 ns an id."""
    return np.asarray(hashing.hashes(np.ascontiguousarray(ids.data), ids.sizes()))


def kept(ids: Hashes, shift: int) -> NDArray[np.bool_]:
    """Mask of the ids, by their hashes, that a sample of one in 2^`shift` keeps."""
    if not shift:
        return np.ones(len(ids), np.bool_)
    return np.asarray(ids >> np.uint64(64 - shift) == 0)


def pick(ids: Ids, keep: NDArray[np.bool_]) -> Ids:
    """`ids.take(keep)`, compiled."""
    return Ids(*texts.take(np.ascontiguousarray(ids.data), ids.ends, keep))
