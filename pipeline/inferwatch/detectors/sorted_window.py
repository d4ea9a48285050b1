"""The last values of one stream, in the order of coming and sorted: what a value is held against by
its distance from their median, or outside their quartiles.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors.scoring import Floats
from inferwatch.kernels import sliding_order as kernel


class SortedWindow:
    """Up to `window` values; they score from `past_min` on.

    :param floor: least scale as a share of the range of the window.
    :param level_floor: least scale as a share of the size of the median.
    :param fences: score by the quartiles, else by the median.
    """

    def __init__(
        self,
        window: int,
        past_min: int,
        floor: float,
        level_floor: float,
        *,
        fences: bool = False,
    ) -> None:
        self._params = past_min, float(floor), float(level_floor), fences
        self._ring, self._ordered = np.zeros(window), np.zeros(window)
        self._counts = np.zeros(2, np.int64)

    def score(self, values: Floats, scores: Floats) -> None:
        """Write the scores of the next values, and feed them."""
        kernel.score(values, *self._params, self._ring, self._ordered, self._counts, scores)

    def arrays(self, prefix: str = "") -> dict[str, NDArray[np.generic]]:
        """All that is remembered, by name."""
        return {
            f"{prefix}ring": self._ring,
            f"{prefix}ordered": self._ordered,
            f"{prefix}counts": self._counts,
        }
