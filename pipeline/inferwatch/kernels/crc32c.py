"""CRC-32C, the checksum of Kafka's record batches, of three parts of the bytes side by side.

Eight bytes a step by tables (slicing by 8: M. Kounavis and F. Berry, "A Systematic Approach to
Building High Performance Software-Based CRC Generators", ISCC 2005). A step waits for what the
tables gave to the one before; three parts wait together, and are put together by a product of
polynomials, as in zlib's `crc32_combine`. Cost: 1 µs, and 0.25 ns a byte, half of what one part
takes; Python runs meanwhile. For machines whose words begin with their lowest byte.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

POLYNOMIAL = 0x82F63B78  # Castagnoli's, the highest power in the lowest bit
WORD_BYTES = 8
BYTE, SHIFT, ONE, ALL = np.uint64(0xFF), np.uint64(8), np.uint64(1), np.uint64(0xFFFFFFFF)


def _tables() -> NDArray[np.uint32]:
    """uint32[8 × 256]: what each byte gives when 0, 1, … 7 bytes follow it in its word."""
    found = np.zeros((WORD_BYTES, 256), np.uint32)
    found[0] = np.arange(256)
    for _ in range(8):
        found[0] = found[0] >> 1 ^ np.where(found[0] & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    for behind in range(1, WORD_BYTES):
        found[behind] = found[0][found[behind - 1] & 0xFF] ^ found[behind - 1] >> 8
    return found.ravel()


TABLES = _tables()


@jit
def checksum(data: NDArray[np.uint8], tables: NDArray[np.uint32]) -> int:
    """CRC-32C of `data`. `tables` are `TABLES`."""
    size = len(data) // (3 * WORD_BYTES)
    words = data[: 3 * size * WORD_BYTES].view(np.uint64)
    one, two, three = words[:size], words[size : 2 * size], words[2 * size :]
    a, b, c = ALL, np.uint64(0), np.uint64(0)
    for at in range(size):
        a = _step(a ^ one[at], tables)
        b = _step(b ^ two[at], tables)
        c = _step(c ^ three[at], tables)
    moved = _power(8 * WORD_BYTES * size)
    found = _product(moved, _product(moved, a) ^ b) ^ c
    for at in range(3 * size * WORD_BYTES, len(data)):
        found = np.uint64(tables[(found ^ np.uint64(data[at])) & BYTE]) ^ found >> SHIFT
    return int(found ^ ALL)


@jit
def _step(word: np.uint64, t: NDArray[np.uint32]) -> np.uint64:
    """What eight bytes give, the checksum so far in the first four of them."""
    return np.uint64(
        t[np.uint64(1792) + (word & BYTE)]
        ^ t[np.uint64(1536) + (word >> np.uint64(8) & BYTE)]
        ^ t[np.uint64(1280) + (word >> np.uint64(16) & BYTE)]
        ^ t[np.uint64(1024) + (word >> np.uint64(24) & BYTE)]
        ^ t[np.uint64(768) + (word >> np.uint64(32) & BYTE)]
        ^ t[np.uint64(512) + (word >> np.uint64(40) & BYTE)]
        ^ t[np.uint64(256) + (word >> np.uint64(48) & BYTE)]
        ^ t[word >> np.uint64(56)]
    )


@jit
def _product(one: np.uint64, other: np.uint64) -> np.uint64:
    """Of two polynomials, modulo Castagnoli's."""
    found = np.uint64(0)
    for power in range(31, -1, -1):
        if one >> np.uint64(power) & ONE:
            found ^= other
        other = other >> ONE ^ (np.uint64(POLYNOMIAL) if other & ONE else np.uint64(0))
    return found


@jit
def _power(bits: int) -> np.uint64:
    """x to that power: what `bits` more bits do to a checksum."""
    found, square = np.uint64(1 << 31), np.uint64(1 << 30)
    while bits:
        if bits & 1:
            found = _product(found, square)
        square = _product(square, square)
        bits >>= 1
    return found
