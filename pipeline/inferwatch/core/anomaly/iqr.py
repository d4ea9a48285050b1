"""Tukey's fences: how many interquartile ranges a figure lies outside the middle half of the past.

Zero between the quartiles; 1.5 is the usual fence. The range has a floor, a share of the past mean
size, because flat stretches have none. Reference: J. W. Tukey, "Exploratory Data Analysis" (1977),
ch. 2.
"""

import math
from collections.abc import Sequence

import numpy as np

from inferwatch.core.figure import Figure

SAMPLES_MIN = 12
FLOOR_SHARE = 0.01


def score(past: Sequence[float], value: float) -> Figure:
    """Signed distance from the nearer quartile of `past` in interquartile ranges."""
    n = len(past)
    if n < SAMPLES_MIN:
        return Figure(None, n, unknown=f"{n} of {SAMPLES_MIN} windows")
    known = np.asarray(past, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.quantile(known, [0.25, 0.75]).tolist()
        scale = max(high - low, FLOOR_SHARE * float(np.abs(known).mean()))
    distance = value - high if value > high else min(value - low, 0.0)
    if scale == 0.0:
        return Figure(0.0, n) if distance == 0.0 else Figure(None, n, unknown="no spread yet")
    if not (math.isfinite(scale) and math.isfinite(distance / scale)):
        return Figure(None, n, unknown="not finite")
    return Figure(distance / scale, n)
