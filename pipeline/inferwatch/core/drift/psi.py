"""Population stability index: Σ (q − p)·ln(q / p) over bins fixed by the reference.

Ten reference quantiles, shares floored at 1e-4 and not renormalised; without drift its mean is
about (B − 1)(1/n + 1/m), so a cut of 0.1 needs 500 rows on both sides. Source: methods in use since
N. Siddiqi, "Credit Risk Scorecards" (2006), ch. 10; the null in B. Yurdakul, thesis, WMU (2018).
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure

FLOOR = 1e-4


def psi(reference: NDArray[np.int64], current: NDArray[np.int64]) -> Figure:
    """PSI of two rows of counts on the same bins; the last, of missing rows, counts like any other.

    A bin that is empty on both sides adds nothing.
    """
    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return Figure(None, m, unknown="no rows" if n else "no reference")
    used = (reference > 0) | (current > 0)
    p = np.maximum(reference[used] / n, FLOOR)
    q = np.maximum(current[used] / m, FLOOR)
    return Figure(float(((q - p) * np.log(q / p)).sum()), m)
