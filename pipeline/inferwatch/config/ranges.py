"""Between what a figure always lies, where that is known: a limit beyond never fires, or always."""

import math

from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.core.inspectors import INSPECTORS

SHARE = (0.0, 1.0)
DISTANCE = (0.0, math.inf)
UNBOUNDED = (-math.inf, math.inf)
OPEN_DISTANCES = ("psi", "wasserstein")
BY_NAME = {"mcc": (-1.0, 1.0), "calibration_bias": (-1.0, 1.0), "brier": (0.0, 2.0)}
"""Shares but for these: a correlation, a difference of shares, a sum over several classes."""


def of(metric: str, method: str, *, share: bool) -> tuple[float, float]:
    """The ends of what a check compares; `share` says whether its metric is one."""
    if method in INSPECTORS:
        return SHARE
    if method in WINDOW_METHODS and metric != "drift_share":
        return DISTANCE if method in OPEN_DISTANCES else SHARE
    if method in WINDOW_METHODS or (method == "value" and share):
        return BY_NAME.get(metric, SHARE)
    return UNBOUNDED


def effect(direction: str, value: float, ends: tuple[float, float], *, relative: bool) -> str:
    """ "never" or "always" for a limit that no figure within `ends` reaches or misses, else ""."""
    low, high = ends
    if direction == "above":
        return "never" if value >= high else "always" if value < low else ""
    if direction == "below":
        return "never" if value <= low else "always" if value > high else ""
    if relative:
        return "never" if direction == "drop" and low == 0 and value >= 1 else ""
    return "never" if value >= high - low else ""


def told(ends: tuple[float, float]) -> str:
    """The ends in words."""
    low, high = ends
    return f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
