"""Columns in spreads of the reference, without holes, as every inspector reads them."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
NORMAL_IQR = 1.349  # interquartile range of a normal column, in standard deviations
MISSING = -10.0
FAR = 1e6


class Scale(msgspec.Struct, frozen=True):
    """Centre and spread of each column: median, and interquartile range as a standard deviation.

    Where more than half of a column is one value, the spread is its standard deviation; of a
    constant column its own size, or 1.
    """

    centre: Matrix
    spread: Matrix

    def apply(self, rows: NDArray[Any]) -> Matrix:
        """The rows in spreads from the centre, float[n, F], all finite.

        A missing value stands 10 spreads below the centre, a value of its own that a reference
        with gaps knows; nothing is farther than a million spreads, ±Inf is there.
        """
        with np.errstate(all="ignore"):
            scaled = (rows.astype(np.float64) - self.centre) / self.spread
        scaled = np.clip(scaled, -FAR, FAR)
        return np.where(np.isnan(rows), MISSING, np.nan_to_num(scaled))


def learn(rows: NDArray[Any]) -> Scale:
    """The scale of float[n, F], from its finite values alone; of a column without any, 0 and 1."""
    values = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    known = np.isfinite(values).any(axis=0)
    values[:, ~known] = 0.0
    low, centre, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
    with np.errstate(all="ignore"):
        choices = [(high - low) / NORMAL_IQR, np.nanstd(values, axis=0), np.abs(centre)]
    spread = np.ones(len(centre))
    for choice in reversed(choices):
        spread = np.where(np.isfinite(choice) & (choice > 1e-12 * np.abs(centre)), choice, spread)
    return Scale(centre, np.where(spread > 0, spread, 1.0))
