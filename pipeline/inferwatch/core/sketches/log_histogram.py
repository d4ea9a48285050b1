"""Counts on log-spaced bins, for quantiles of latencies and the like.

The bin is the upper bits of the value's own float32, 32 bins an octave, so equal values share a bin
on every machine and two histograms add exactly. A quantile is the nearest rank's bin middle: at
most 1.6 % off for sizes from 1.2e-38, float32's smallest normal number, to its largest, which
stands for all beyond. State: 12 bytes a bin in use.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.kernels.histograms import SHIFT, count_logs


class LogHistogram(msgspec.Struct):
    """`keys` int32[k] ascending in the order of the values, `counts` int64[k]."""

    keys: NDArray[np.int32]
    counts: NDArray[np.int64]
    missing: int = 0


def empty() -> LogHistogram:
    """A histogram without a row."""
    return LogHistogram(np.empty(0, np.int32), np.empty(0, np.int64))


def update(state: LogHistogram, values: NDArray[np.floating]) -> None:
    """Count `values`; what is not finite is missing. Cost: 10 ns a value."""
    state.keys, state.counts, missing = count_logs(
        np.ascontiguousarray(values), state.keys, state.counts
    )
    state.missing += missing


def take_out(state: LogHistogram, values: NDArray[np.floating]) -> None:
    """Take `values` out again, from a histogram that need not hold them: as `merge` adds."""
    found = empty()
    update(found, values)
    state.missing -= found.missing
    _add(state, found.keys, -found.counts)


def _add(state: LogHistogram, keys: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    whole = np.union1d(state.keys, keys).astype(np.int32)
    summed = np.zeros(len(whole), np.int64)
    summed[np.searchsorted(whole, state.keys)] += state.counts
    summed[np.searchsorted(whole, keys)] += counts
    state.keys, state.counts = whole, summed


def merge(into: LogHistogram, other: LogHistogram) -> None:
    """Add the rows of `other`; exact."""
    into.missing += other.missing
    _add(into, other.keys, other.counts)


def count(state: LogHistogram) -> int:
    """Rows that are not missing."""
    return int(state.counts.sum())


def quantile(state: LogHistogram, q: float) -> Figure:
    """The value of nearest rank ⌈q·n⌉, for q in (0, 1]."""
    n = count(state)
    if not n:
        return Figure(None, unknown="no rows")
    rank = max(1, math.ceil(q * n))
    key = int(state.keys[int(np.searchsorted(np.cumsum(state.counts), rank))])
    return Figure(_middle(key), n)


def share_up_to(state: LogHistogram, value: float) -> float:
    """Share of the rows that are at most `value`, to its bin; there must be a row."""
    alone = empty()
    update(alone, np.array([value], np.float64))
    below = int(np.searchsorted(state.keys, alone.keys[0], side="right"))
    return float(state.counts[:below].sum() / state.counts.sum())


def _middle(key: int) -> float:
    size = -key - 1 if key < 0 else key
    if size == 0:
        return 0.0
    ends = np.array([size << SHIFT, ((size + 1) << SHIFT) - 1], np.int32).view(np.float32)
    middle = float(ends.astype(np.float64).mean())
    return -middle if key < 0 else middle
