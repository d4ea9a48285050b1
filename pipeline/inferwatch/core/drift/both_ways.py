"""A detector that finds errors which rise alone, run on right answers too: their rise is a fall.

After a finding both begin anew, for what came before is another level. Cost: twice the detector's.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import Detector


class BothWays:
    """Two detectors of one stream of values in [0, 1], `rises` and `falls`.

    :param make: gives a fresh detector; it counts what it is fed from 0.
    """

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make = make
        self._begin()

    def _begin(self) -> None:
        self.rises, self.falls = self._make(), self._make()
        self.rises_rows = self.falls_rows = 0

    def update_many(self, values: NDArray[np.float64]) -> list[tuple[int, bool]]:
        """Feed the next values; the places among them of changes, and whether they are rises."""
        found: list[tuple[int, bool]] = []
        first = 0
        while hits := self._hits(values[first:]):
            row, rise = min(hits, key=lambda hit: hit[0])
            found.append((first + row, rise))
            first += row + 1
            self._begin()
        return found

    def _hits(self, values: NDArray[np.float64]) -> list[tuple[int, bool]]:
        rises = [(row - self.rises_rows, True) for row in self.rises.update_many(values)]
        falls = [(row - self.falls_rows, False) for row in self.falls.update_many(1.0 - values)]
        self.rises_rows += len(values)
        self.falls_rows += len(values)
        return rises + falls

    def restore(self, rises: bytes, rises_rows: int, falls: bytes, falls_rows: int) -> None:
        """Go on from snapshots of both, after so many rows each; falls may begin with "".

        :raises ValueError: one is damaged, or of other parameters.
        """
        self.rises.restore(rises)
        if falls:
            self.falls.restore(falls)
        self.rises_rows, self.falls_rows = rises_rows, falls_rows
