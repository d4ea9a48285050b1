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
    at = 0
    for text in range(len(sizes)):
        value = BASIS
        for _ in range(sizes[text]):
            value = (value ^ np.uint64(data[at])) * PRIME
            at += 1
        value = (value ^ (value >> np.uint64(30))) * FIRST
        value = (value ^ (value >> np.uint64(27))) * SECOND
        found[text] = value ^ (value >> np.uint64(31))
    return found
