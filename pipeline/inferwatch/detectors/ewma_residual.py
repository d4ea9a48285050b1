"""Residual of a moving level: distance from the exponentially weighted mean of the values before.

The score is |x − m| / √q, m the weighted mean of the values before x and q that of their squared
distances from it, each one value ahead: what a value adds to what those before it foretold. The
level follows, so a trend or a slow wave is none, and a lasting shift is told once, while it is new.
A wild value widens the scale for some 1/`alpha` values, and hides others: `mad` does not mind.

On streams with waves it alarms often: on the open files of the Numenta Anomaly Benchmark it is
worth less than `mad` (docs/methods.md).

Reference: D. C. Montgomery, C. M. Mastrangelo, "Some Statistical Process Control Methods for
Autocorrelated Data", Journal of Quality Technology 23 (1991): the moving centreline chart.
"""

from typing import ClassVar

import numpy as np

from inferwatch.detectors import Method
from inferwatch.detectors.limits import whole, within
from inferwatch.detectors.scoring import Floats, Scoring
from inferwatch.kernels import ewma_residual as kernel


class EWMAResidual(Scoring):
    """Detector of one stream.

    :param lambda_val: weight of the newest value in the level, in (0, 1].
    :param alpha: weight of its squared distance in the scale, in (0, 1].
    :param past_min: how many values there must be before it, at least 3.
    :param threshold: score above which a value stands out, at least 0.
    :param level_floor: least scale as a share of the size of the level, 0 to 1; for durations,
        shares and others with a zero of their own.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="ewma_residual",
        kind="anomaly",
        purpose="a value far from a level that moves",
        source="Montgomery and Mastrangelo 1991",
        rows_min=31,
        cost_ns=15,
        state_bytes=1_000,
    )

    def __init__(
        self,
        *,
        lambda_val: float = 0.2,
        alpha: float = 0.005,
        past_min: int = 30,
        threshold: float = 10.0,
        level_floor: float = 0.0,
        debounce: int = 100,
    ) -> None:
        within("lambda_val", lambda_val, 5e-324, 1.0)
        within("alpha", alpha, 5e-324, 1.0)
        past_min = whole("past_min", past_min, 3, 10**9)
        within("threshold", threshold, 0.0)
        within("level_floor", level_floor, 0.0, 1.0)
        debounce = whole("debounce", debounce, 1, 100_000)
        named = {
            "lambda_val": float(lambda_val),
            "alpha": float(alpha),
            "past_min": past_min,
            "threshold": float(threshold),
            "level_floor": float(level_floor),
            "debounce": debounce,
        }
        weights = float(lambda_val), float(alpha), float(level_floor)
        state = np.zeros(kernel.SIZE)

        def score(values: Floats, scores: Floats) -> None:
            kernel.score(values, past_min, *weights, state, scores)

        super().__init__("ewma_residual", named, score, {"state": state})
