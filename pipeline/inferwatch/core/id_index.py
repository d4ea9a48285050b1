"""Where the prediction of an id is: hashes to slots, 32 to 64 bytes an id, for a batch at once."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import index as kernel

Hashes = NDArray[np.uint64]
Slots = NDArray[np.int64]
LEAST = 64


class IdIndex:
    """One version's ids. A hash that comes again takes the place of the one before.

    Slots are put in ascending order and forgotten in that order.
    """

    def __init__(self) -> None:
        self._heads = np.full(LEAST, kernel.NONE)
        self._entries = np.empty((LEAST, kernel.WIDTH), np.int64)
        self._first, self._next = 0, 0

    def empty(self) -> bool:
        """Whether all is forgotten."""
        return self._first == self._next

    def places(self) -> int:
        """How many ids there is room for."""
        return len(self._heads)

    def put(self, hashes: Hashes, first: int) -> NDArray[np.bool_]:
        """Set the hashes to `first`, `first` + 1…, which come after all slots before; gives which
        of them were here already.
        """
        self._room(len(hashes))
        bits = hashes.view(np.int64)
        again = kernel.put(self._heads, self._entries, bits, first, self._first, self._next)
        self._next += len(hashes)
        return np.asarray(again)

    def get(self, hashes: Hashes) -> Slots:
        """Slot of each hash, -1 for none."""
        bits = hashes.view(np.int64)
        return np.asarray(kernel.get(self._heads, self._entries, bits, self._first))

    def forget(self, oldest: int) -> None:
        """Forget the slots below `oldest`. Cost: a microsecond, however many they are."""
        self._first = kernel.first_from(self._entries, self._first, self._next, oldest)

    def _room(self, more: int) -> None:
        """Grow while there is not a place for each id."""
        size = len(self._heads)
        while self._next - self._first + more > size:
            size *= 2
        if size > len(self._heads):
            before, self._entries = self._entries, np.empty((size, kernel.WIDTH), np.int64)
            self._heads = np.full(size, kernel.NONE)
            kernel.move(before, self._first, self._next, self._heads, self._entries)
