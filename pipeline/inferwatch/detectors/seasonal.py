"""Seasonal robust z: distance from the median of the same slot in the cycles before, in their MAD.

The scale is a tenth of the range of the changes from cycle to cycle at least, for three values have
none of their own.

Values come in slots of equal length, `period` of them a cycle: 24 for hours of a day, 168 for hours
of a week. Nothing is said of a slot before it has been there `past_min` times. A value that is
missing must come as NaN, or all slots after it are off by one; so are they for an hour's change of
summer time.

Reference: B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers" (1993), for the score.
"""

from typing import ClassVar

import numpy as np

from inferwatch.detectors import Method
from inferwatch.detectors.limits import whole, within
from inferwatch.detectors.scoring import Floats, Scoring
from inferwatch.kernels import seasonal as kernel


class Seasonal(Scoring):
    """Detector of one stream.

    :param period: slots of a cycle, 2 to 10,080.
    :param cycles: how many cycles are remembered, 3 to 1,000.
    :param past_min: values that a slot must have, 3 to `cycles`.
    :param threshold: score above which a value stands out, at least 0.
    :param floor: least MAD as a share of the range of the changes from one cycle to the next, over
        √2, 0 to 1.
    :param level_floor: the same as a share of the size of the slot's median, 0 to 1; for durations,
        shares and others with a zero of their own.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="seasonal",
        kind="anomaly",
        purpose="a value that is unusual for its hour of the week, or another slot",
        source="Iglewicz and Hoaglin 1993, by slot",
        rows_min=505,
        cost_ns=120,
        state_bytes=12_300,
        by_place=True,
    )

    def __init__(
        self,
        *,
        period: int = 168,
        cycles: int = 8,
        past_min: int = 3,
        threshold: float = 7.5,
        floor: float = 0.1,
        level_floor: float = 0.0,
        debounce: int = 1,
    ) -> None:
        period = whole("period", period, 2, 10_080)
        cycles = whole("cycles", cycles, 3, 1_000)
        past_min = whole("past_min", past_min, 3, cycles)
        within("threshold", threshold, 0.0)
        within("floor", floor, 0.0, 1.0)
        within("level_floor", level_floor, 0.0, 1.0)
        debounce = whole("debounce", debounce, 1, 100_000)
        named = {
            "period": period,
            "cycles": cycles,
            "past_min": past_min,
            "threshold": float(threshold),
            "floor": float(floor),
            "level_floor": float(level_floor),
            "debounce": debounce,
        }
        kept, seen = np.zeros((period, cycles)), np.zeros(period, np.int64)
        spread, slot = np.zeros(1), np.zeros(1, np.int64)

        def score(values: Floats, scores: Floats) -> None:
            slot[0] = kernel.score(
                values, past_min, floor, level_floor, kept, seen, spread, int(slot[0]), scores
            )

        arrays = {"kept": kept, "seen": seen, "range": spread, "slot": slot}
        super().__init__("seasonal", named, score, arrays)
