"""Fixed directions, and where embeddings lie along them.

A direction is d odd numbers, each the count of ones less that of zeros among 15 bits: nearly
normal, so that directions are nearly uniform on the sphere, and never zero. The bits are those of
SHAKE-256 (NIST, FIPS 202), the same on every machine and in every release; a reference stores its
directions nevertheless. Cost: 3 µs a row of 768 numbers, in proportion to them.
"""

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import projections as kernel

DIRECTIONS = 16
BITS = 15
SEED = b"inferwatch directions"


class Directions(msgspec.Struct, frozen=True):
    """`weights` float64[d, k] has a direction in each column, `norms` float64[k] their lengths."""

    weights: NDArray[np.float64]
    norms: NDArray[np.float64]

    @property
    def dim(self) -> int:
        """Numbers of an embedding."""
        return len(self.weights)


class Along(msgspec.Struct, frozen=True):
    """Embeddings of n rows: `given` bool[n] are those that have one, `lie` float32[k, n] is how far
    along each direction it lies, NaN without; None where there are no directions of their size.
    """

    dim: int
    given: NDArray[np.bool_]
    lie: NDArray[np.float32] | None

    def take(self, keep: NDArray[np.bool_] | slice) -> "Along":
        """The rows that `keep` picks."""
        return Along(self.dim, self.given[keep], None if self.lie is None else self.lie[:, keep])


def make(dim: int) -> bytes:
    """Directions of `dim` numbers each as they are stored, int8[k, dim]. Cost: 1 µs a number."""
    drawn = hashlib.shake_256(SEED).digest(2 * DIRECTIONS * dim)
    bits = np.unpackbits(np.frombuffer(drawn, np.uint8)).reshape(-1, BITS + 1)[:, :BITS]
    return bytes((2 * bits.sum(axis=1, dtype=np.int8) - BITS).astype(np.int8))


def read(stored: bytes, dim: int) -> Directions:
    """Stored directions, ready for use."""
    weights = np.frombuffer(stored, np.int8).reshape(-1, dim).T.astype(np.float64)
    return Directions(np.ascontiguousarray(weights), np.sqrt((weights**2).sum(axis=0)))


def along(directions: Directions | None, vectors: NDArray[np.float32]) -> Along:
    """Where the rows of `vectors` float32[n, d] lie; one that has none is all NaN."""
    dim, given = vectors.shape[1], np.isfinite(vectors[:, 0])
    if directions is None or directions.dim != dim:
        return Along(dim, given, None)
    vectors = np.ascontiguousarray(vectors)
    return Along(dim, given, kernel.project(vectors, directions.weights, directions.norms))
