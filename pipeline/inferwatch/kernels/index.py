"""A hash table from 64-bit hashes to numbers, for whole columns of keys: open addressing.

D. E. Knuth, "The Art of Computer Programming" vol. 3 (2nd ed.), section 6.4, algorithms L and R:
linear probing, and deletion that moves later entries back, so that no marks stay. `keys` and
`values` have a power of two of places, at least one of them free; a value of -1 is a free place.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

FREE = -1


@jit
def put(
    keys: NDArray[np.uint64],
    values: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    numbers: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Set each hash to its number; gives which of them had one already."""
    mask, again = len(keys) - 1, np.zeros(len(hashes), np.bool_)
    for at in range(len(hashes)):
        place = np.int64(hashes[at] & np.uint64(mask))
        while values[place] != FREE and keys[place] != hashes[at]:
            place = (place + 1) & mask
        again[at] = values[place] != FREE
        keys[place], values[place] = hashes[at], numbers[at]
    return again


@jit
def move(
    keys: NDArray[np.uint64],
    values: NDArray[np.int64],
    into_keys: NDArray[np.uint64],
    into_values: NDArray[np.int64],
) -> None:
    """Put what a table holds into an empty one that is larger."""
    mask = len(into_keys) - 1
    for at in range(len(keys)):
        if values[at] == FREE:
            continue
        place = np.int64(keys[at] & np.uint64(mask))
        while into_values[place] != FREE:
            place = (place + 1) & mask
        into_keys[place], into_values[place] = keys[at], values[at]


@jit
def get(
    keys: NDArray[np.uint64], values: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """The number of each hash, -1 where there is none."""
    mask = len(keys) - 1
    found = np.empty(len(hashes), np.int64)
    for at in range(len(hashes)):
        place = np.int64(hashes[at] & np.uint64(mask))
        while values[place] != FREE and keys[place] != hashes[at]:
            place = (place + 1) & mask
        found[at] = values[place]
    return found


@jit
def remove(
    keys: NDArray[np.uint64],
    values: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    numbers: NDArray[np.int64],
) -> int:
    """Forget each hash that still has the number given; gives how many had."""
    mask, gone = len(keys) - 1, 0
    for at in range(len(hashes)):
        place = np.int64(hashes[at] & np.uint64(mask))
        while values[place] != FREE and keys[place] != hashes[at]:
            place = (place + 1) & mask
        if values[place] == FREE or values[place] != numbers[at]:
            continue
        gone += 1
        later = place
        while True:
            later = (later + 1) & mask
            if values[later] == FREE:
                break
            home = np.int64(keys[later] & np.uint64(mask))
            if (later - home) & mask >= (later - place) & mask:
                keys[place], values[place] = keys[later], values[later]
                place = later
        values[place] = FREE
    return gone
