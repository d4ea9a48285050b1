"""Where the prediction of an id is: hashes to slots, 16 to 48 bytes an id, for a batch at once."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import index as kernel

Hashes = NDArray[np.uint64]
Slots = NDArray[np.int64]
LEAST = 64


class IdIndex:
    """One version's ids. A hash that comes again takes the place of the one before."""

    def __init__(self) -> None:
        self._keys, self._values = np.zeros(LEAST, np.uint64), np.full(LEAST, kernel.FREE)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def put(self, hashes: Hashes, first: int) -> NDArray[np.bool_]:
        """Set the hashes to `first`, `first` + 1…; gives which of them were here already."""
        self._room(len(hashes))
        slots = np.arange(first, first + len(hashes), dtype=np.int64)
        again = np.asarray(kernel.put(self._keys, self._values, hashes, slots))
        self._used += len(hashes) - int(np.count_nonzero(again))
        return again

    def get(self, hashes: Hashes) -> Slots:
        """Slot of each hash, -1 for none."""
        return np.asarray(kernel.get(self._keys, self._values, hashes))

    def remove(self, hashes: Hashes, slots: Slots) -> None:
        """Forget the hashes that are still at these slots."""
        self._used -= kernel.remove(self._keys, self._values, hashes, slots)

    def items(self) -> tuple[Hashes, Slots]:
        """All hashes and their slots, by slot."""
        used = np.flatnonzero(self._values != kernel.FREE)
        order = used[np.argsort(self._values[used])]
        return self._keys[order], self._values[order]

    def _room(self, more: int) -> None:
        """Grow before two thirds of the places are taken: probes stay short."""
        size = len(self._keys)
        while 3 * (self._used + more) > 2 * size:
            size *= 2
        if size > len(self._keys):
            keys, values = self._keys, self._values
            self._keys, self._values = np.zeros(size, np.uint64), np.full(size, kernel.FREE)
            kernel.move(keys, values, self._keys, self._values)
