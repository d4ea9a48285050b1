"""64-bit hashes of many texts at once: FNV-1a, then the finaliser of SplitMix64 to mix its bits.

References: G. Fowler, L. Noll, K.-P. Vo, "The FNV Non-Cryptographic Hash Algorithm", RFC 9923; G.
Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, section 5.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

BASIS = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x00000100000001B3)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)


@jit
def hashes(data: NDArray[np.uint8], sizes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One hash a text; the texts lie end to end in `data`, `sizes` are their bytes."""
    found = np.empty(len(sizes), np.uint64)
    first, text = 0, 0
    while text < len(sizes):
        if text + 4 > len(sizes):
            end = first + sizes[text]
            found[text] = _mixed(_fed(BASIS, data[first:end]))
            first, text = end, text + 1
            continue
        # each byte waits for the one before: four texts at a time wait together
        second = first + sizes[text]
        third = second + sizes[text + 1]
        fourth = third + sizes[text + 2]
        end = fourth + sizes[text + 3]
        one, two = data[first:second], data[second:third]
        three, four = data[third:fourth], data[fourth:end]
        same = min(len(one), len(two), len(three), len(four))
        a, b, c, d = BASIS, BASIS, BASIS, BASIS
        for at in range(same):
            a = (a ^ np.uint64(one[at])) * PRIME
            b = (b ^ np.uint64(two[at])) * PRIME
            c = (c ^ np.uint64(three[at])) * PRIME
            d = (d ^ np.uint64(four[at])) * PRIME
        found[text], found[text + 1] = _mixed(_fed(a, one[same:])), _mixed(_fed(b, two[same:]))
        found[text + 2], found[text + 3] = (
            _mixed(_fed(c, three[same:])),
            _mixed(_fed(d, four[same:])),
        )
        first, text = end, text + 4
    return found


@jit
def _fed(value: np.uint64, data: NDArray[np.uint8]) -> np.uint64:
    for at in range(len(data)):
        value = (value ^ np.uint64(data[at])) * PRIME
    return value


@jit
def _mixed(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> np.uint64(30))) * FIRST
    value = (value ^ (value >> np.uint64(27))) * SECOND
    return value ^ (value >> np.uint64(31))
