"""Errors of a regression: bias is mean(ŷ − y), MAPE leaves out |y| under a floor and says how many.

State: compensated sums of six columns. R² of a constant truth is unknown, and so is what overflows:
values beyond 1e154, whose squares are no floats.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.sketches.moments import running

FLOOR = 1e-9
SPREAD_MIN = 1e-12  # of the sum of squares about `origin`: less is its rounding
ERROR, ABSOLUTE, SQUARED, RELATIVE, TRUTH, TRUTH_SQUARED = range(6)


class Residuals(msgspec.Struct):
    """`high` and `low` are the compensated sums float64[6]; the truth is shifted by `origin`."""

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    origin: float = math.nan
    n: int = 0
    relative_n: int = 0


def empty() -> Residuals:
    """Sums over no rows."""
    return Residuals(np.zeros(6), np.zeros(6))


def add(
    state: Residuals, truth: NDArray[np.float64], predicted: NDArray[np.float64], sign: int = 1
) -> None:
    """Add the rows in which both are finite, or take them back with `sign` -1."""
    both = np.isfinite(truth) & np.isfinite(predicted)
    y, forecast = truth[both], predicted[both]
    if not len(y):
        return
    if math.isnan(state.origin):
        state.origin = float(y[0])
    large = np.abs(y) >= FLOOR
    with np.errstate(over="ignore", invalid="ignore"):
        error, shifted = forecast - y, y - state.origin
        relative = np.where(large, np.abs(error) / np.where(large, np.abs(y), 1.0), 0.0)
        added = np.stack([error, np.abs(error), error**2, relative, shifted, shifted**2])
        state.high, state.low = running(state.high, state.low, sign * added)
    state.n += sign * len(y)
    state.relative_n += sign * int(large.sum())


def merge(into: Residuals, other: Residuals) -> None:
    """Add the rows of `other`."""
    if not other.n:
        return
    if math.isnan(into.origin):
        into.origin = other.origin
    with np.errstate(over="ignore", invalid="ignore"):
        sums = other.high + other.low
        shift = np.float64(other.origin) - into.origin
        sums[TRUTH_SQUARED] += 2 * shift * sums[TRUTH] + other.n * shift**2
        sums[TRUTH] += other.n * shift
        into.high, into.low = running(into.high, into.low, sums[:, np.newaxis])
    into.n += other.n
    into.relative_n += other.relative_n


def figures(state: Residuals) -> dict[str, Figure]:
    """MAE, RMSE, bias, MAPE and R²."""
    n, sums = state.n, (state.high + state.low).tolist()
    if not n:
        return {
            name: Figure(None, unknown="no labels")
            for name in ("mae", "rmse", "bias", "mape", "r2")
        }
    squared = max(sums[SQUARED], 0.0)
    return {
        "mae": _figure(max(sums[ABSOLUTE], 0.0) / n, n),
        "rmse": _figure(math.sqrt(squared / n), n),
        "bias": _figure(sums[ERROR] / n, n),
        "mape": _figure(max(sums[RELATIVE], 0.0) / state.relative_n, state.relative_n)
        if state.relative_n
        else Figure(None, n, unknown="every truth is 0"),
        "r2": _r2(n, squared, sums[TRUTH], sums[TRUTH_SQUARED]),
    }


def _r2(n: int, squared: float, truth: float, truth_squared: float) -> Figure:
    spread = truth_squared - truth * (truth / n)
    if spread <= SPREAD_MIN * truth_squared:
        return Figure(None, n, unknown="constant truth")
    return _figure(1 - squared / spread, n)


def _figure(value: float, n: int) -> Figure:
    return Figure(value, n) if math.isfinite(value) else Figure(None, n, unknown="overflow")
