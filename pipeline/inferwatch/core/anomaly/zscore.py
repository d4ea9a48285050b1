"""z-score of a figure against past windows, the point itself left out.

Inside its own sample z cannot pass √(n − 1), so "z > 3" would never fire for ten windows or fewer.
The scale has a floor, a share of the past mean size, because flat stretches have no spread at all.
"""

import math
from collections.abc import Sequence

import numpy as np

from inferwatch.core.figure import Figure

SAMPLES_MIN = 12
FLOOR_SHARE = 0.01


def score(past: Sequence[float], value: float) -> Figure:
    """Signed number of standard deviations (ddof 1) from the mean of `past`."""
    n = len(past)
    if n < SAMPLES_MIN:
        return Figure(None, n, unknown=f"{n} of {SAMPLES_MIN} windows")
    known = np.asarray(past, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = max(float(known.std(ddof=1)), FLOOR_SHARE * float(np.abs(known).mean()))
        distance = value - float(known.mean())
    if scale == 0.0:
        return Figure(0.0, n) if distance == 0.0 else Figure(None, n, unknown="no spread yet")
    if not (math.isfinite(scale) and math.isfinite(distance / scale)):
        return Figure(None, n, unknown="not finite")
    return Figure(distance / scale, n)
