"""Tukey's fences: distance outside the quartiles of the values before, in interquartile ranges.

1.5 is the fence of box plots, which 7 in 1,000 values of a normal stream pass; the default of 3 is
Tukey's "far out", which 2 in 10⁶ pass. A quarter of the window may be wild without a change.

Reference: J. W. Tukey, "Exploratory Data Analysis" (1977), ch. 2.
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.scoring import Scoring, sliding
from inferwatch.detectors.sorted_window import SortedWindow


class IQR(Scoring):
    """Detector of one stream.

    :param window: values before it that a value is compared with, 3 to 100,000.
    :param past_min: how many of them there must be, 3 to `window`.
    :param threshold: score above which a value stands out, at least 0.
    :param floor: least scale as a share of the window's range, 0 to 1: a flat stretch has no scale
        of its own.
    :param level_floor: least scale as a share of the size of the median, 0 to 1; for durations,
        shares and others with a zero of their own, whose flat stretches have no range either.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="iqr",
        kind="anomaly",
        purpose="a value far outside the quartiles before it",
        source="Tukey 1977",
        rows_min=31,
        cost_ns=400,
        state_bytes=16500,
    )

    def __init__(
        self,
        *,
        window: int = 1_000,
        past_min: int = 30,
        threshold: float = 3.0,
        floor: float = 0.01,
        level_floor: float = 0.0,
        debounce: int = 100,
    ) -> None:
        named = sliding(window, past_min, threshold, floor, level_floor, debounce)
        last = SortedWindow(
            int(named["window"]), int(named["past_min"]), floor, level_floor, fences=True
        )
        super().__init__("iqr", named, last.score, last.arrays())
