"""Between what a figure always lies, where that is known: a limit beyond never fires, or always."""

import math

from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import EMBEDDING_METHODS, WINDOW_METHODS
from inferwatch.core.inspectors import INSPECTORS
from inferwatch.core.metrics import AMOUNT, ANY, LABEL_METRICS, SHARE

OPEN_DISTANCES = ("psi", "wasserstein", *EMBEDDING_METHODS)
SIGNED = ("score.mean", "prediction.mean")
CORRELATIONS = (0.0, 2.0)
"""How far two correlations may be apart."""
COUNTED = (1.0, math.inf)
"""Rows of a window, which opens with its first one."""


def of(metric: str, method: str, *, share: bool) -> tuple[float, float]:
    """The ends of what a check compares; `share` says whether its metric is one."""
    if method == "correlation":
        return CORRELATIONS
    if method in INSPECTORS or (method in WINDOW_METHODS and metric == "drift_share"):
        return SHARE
    if method in (*WINDOW_METHODS, *EMBEDDING_METHODS):
        return AMOUNT if method in OPEN_DISTANCES else SHARE
    if method in SERIES_METHODS:
        return AMOUNT
    if metric in LABEL_METRICS:
        return LABEL_METRICS[metric].ends
    if method != "value":
        return ANY
    if share:
        return SHARE
    if metric in SIGNED or (metric.startswith("feature.") and metric.endswith(".mean")):
        return ANY
    return COUNTED if metric == "rows" else AMOUNT


def effect(direction: str, value: float, ends: tuple[float, float], *, relative: bool) -> str:
    """ "never" or "always" for a limit that no figure within `ends` reaches or misses, else ""."""
    low, high = ends
    if direction == "above":
        return "never" if value >= high else "always" if value < low else ""
    if direction == "below":
        return "never" if value <= low else "always" if value > high else ""
    if relative:
        return "never" if direction == "drop" and low >= 0 and value >= 1 else ""
    return "never" if value >= high - low else ""


def told(ends: tuple[float, float]) -> str:
    """The ends in words."""
    low, high = ends
    if high == math.inf:
        return f"{low:g} or more"
    return f"{high:g} or less" if low == -math.inf else f"from {low:g} to {high:g}"
