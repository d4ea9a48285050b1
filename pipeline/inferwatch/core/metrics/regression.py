"""Errors of a regression: bias is mean(ŷ − y), MAPE leaves out |y| under a floor and says how many.

State: compensated sums of twelve columns. R² of a constant truth is unknown, and so is what
overflows: values beyond 1e154, whose squares are no floats; from 1e77 on RMSE and R² lose their
interval. Intervals are the delta method's: of R² by its influence function,
−(e² − (1 − R²)·(y − ȳ)²) / var y.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import NONE, Ends, normal
from inferwatch.core.sketches.moments import running

FLOOR = 1e-9
SPREAD_MIN = 1e-12  # of the sum of squares about `origin`: less is its rounding
ERROR, ABSOLUTE, SQUARED, RELATIVE, TRUTH, TRUTH_SQUARED = range(6)
RELATIVE_SQUARED, FOURTH, TRUTH_CUBED, TRUTH_FOURTH, CROSS, CROSS_SQUARED = range(6, 12)
COLUMNS = 12


class Residuals(msgspec.Struct):
    """Compensated sums `high` and `low`, float64[12]; the truth is shifted by `origin`.

    `CROSS` is Σ e²·y, `CROSS_SQUARED` Σ e²·y².
    """

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    origin: float = math.nan
    n: int = 0
    relative_n: int = 0

    def __post_init__(self) -> None:
        """Of a checkpoint from before there were intervals, what they need is not known."""
        lacking = np.full(COLUMNS - len(self.high), np.nan)
        if len(lacking):
            self.high, self.low = np.append(self.high, lacking), np.append(self.low, lacking)


def empty() -> Residuals:
    """Sums over no rows."""
    return Residuals(np.zeros(COLUMNS), np.zeros(COLUMNS))


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
        relative = np.where(large, np.abs(forecast - y) / np.where(large, np.abs(y), 1.0), 0.0)
        error, y = forecast - y, y - state.origin
        squared, y_squared = error**2, y**2
        added = np.stack(
            [
                *(error, np.abs(error), squared, relative, y, y_squared),
                *(relative**2, squared**2, y * y_squared, y_squared**2),
                *(squared * y, squared * y_squared),
            ]
        )
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
        sums = _shifted(other.high + other.low, other.n, np.float64(other.origin) - into.origin)
        into.high, into.low = running(into.high, into.low, sums[:, np.newaxis])
    into.n += other.n
    into.relative_n += other.relative_n


def _shifted(sums: NDArray[np.float64], n: int, by: np.float64) -> NDArray[np.float64]:
    """The sums of `n` rows whose truths are all larger by `by`."""
    moved = sums.copy()
    first, second, third, fourth = sums[[TRUTH, TRUTH_SQUARED, TRUTH_CUBED, TRUTH_FOURTH]]
    moved[TRUTH] = first + n * by
    moved[TRUTH_SQUARED] = second + 2 * by * first + n * by**2
    moved[TRUTH_CUBED] = third + 3 * by * second + 3 * by**2 * first + n * by**3
    moved[TRUTH_FOURTH] = (
        fourth + 4 * by * third + 6 * by**2 * second + 4 * by**3 * first + n * by**4
    )
    moved[CROSS] += by * sums[SQUARED]
    moved[CROSS_SQUARED] += 2 * by * sums[CROSS] + by**2 * sums[SQUARED]
    return moved


def figures(state: Residuals) -> dict[str, Figure]:
    """MAE, RMSE, bias, MAPE and R²."""
    n, sums = state.n, state.high + state.low
    if not n:
        return {
            name: Figure(None, unknown="no labels")
            for name in ("mae", "rmse", "bias", "mape", "r2")
        }
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return {
            "mae": _mean(sums[ABSOLUTE], sums[SQUARED], n, least=0.0),
            "rmse": _rmse(sums, n),
            "bias": _mean(sums[ERROR], sums[SQUARED], n),
            "mape": _mean(sums[RELATIVE], sums[RELATIVE_SQUARED], state.relative_n, least=0.0)
            if state.relative_n
            else Figure(None, n, unknown="every truth is 0"),
            "r2": _r2(sums, n),
        }


def _mean(total: float, squares: float, n: int, least: float = -math.inf) -> Figure:
    value = max(float(total / n), least)
    return _figure(value, n, normal(value, _variance(total, squares, n), least))


def _variance(total: float, squares: float, n: int) -> float:
    """Variance of the mean of `n` rows with these sums of values and of their squares."""
    return float((squares - total * (total / n)) / (n - 1) / n) if n > 1 else 0.0


def _rmse(sums: NDArray[np.float64], n: int) -> Figure:
    mean = max(float(sums[SQUARED] / n), 0.0)
    if not mean:
        return _figure(mean, n, NONE)
    variance = _variance(sums[SQUARED], sums[FOURTH], n) / (4 * mean)
    return _figure(math.sqrt(mean), n, normal(math.sqrt(mean), variance, least=0.0))


def _r2(sums: NDArray[np.float64], n: int) -> Figure:
    truth, truth_squared = sums[TRUTH], sums[TRUTH_SQUARED]
    spread = truth_squared - truth * (truth / n)
    if spread <= SPREAD_MIN * truth_squared:
        return Figure(None, n, unknown="constant truth")
    squared = max(sums[SQUARED], 0.0)
    rest = squared / spread
    centred = _shifted(sums, n, -truth / n)
    influence = sums[FOURTH] - 2 * rest * centred[CROSS_SQUARED] + rest**2 * centred[TRUTH_FOURTH]
    value = float(1 - rest)
    return _figure(value, n, normal(value, float(influence / spread**2), most=1.0))


def _figure(value: float, n: int, ends: Ends) -> Figure:
    return Figure(value, n, *ends) if math.isfinite(value) else Figure(None, n, unknown="overflow")
