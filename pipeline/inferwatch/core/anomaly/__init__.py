"""Is a figure of this window out of line with the windows before it? One file a method."""

from collections.abc import Callable, Sequence

from inferwatch.core.anomaly import iqr, zscore
from inferwatch.core.figure import Figure

SERIES_METHODS: dict[str, Callable[[Sequence[float], float], Figure]] = {
    "zscore": zscore.score,
    "iqr": iqr.score,
}
