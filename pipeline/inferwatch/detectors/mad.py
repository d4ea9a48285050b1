"""Robust z: distance from the median of the values before, in median absolute deviations.

The score is 0.6745·|x − median| / MAD, so that of a normal stream it is a z-score. Half of the
window may be wild without a change; a value that is told stays in the window. Where neighbours
correlate, or most values are equal, MAD says little, so the scale is a tenth of the window's range
at least: a value within that range then scores 6.745 at most, and the threshold is above that. With
a floor of 1 % and a threshold of 6 the open files of the Numenta Anomaly Benchmark gave 750 alarms
for 36 windows instead of 25 (docs/methods.md).

Reference: B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers" (1993).
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.scoring import Scoring, sliding
from inferwatch.detectors.sorted_window import SortedWindow


class MAD(Scoring):
    """Detector of one stream.

    :param window: values before it that a value is compared with, 3 to 100,000.
    :param past_min: how many of them there must be, 3 to `window`.
    :param threshold: score above which a value stands out, at least 0.
    :param floor: least scale as a share of the window's range, 0 to 1.
    :param level_floor: least scale as a share of the size of the median, 0 to 1; for durations,
        shares and others with a zero of their own, whose flat stretches have no range either.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="mad",
        kind="anomaly",
        purpose="a value far from the median before it",
        source="Iglewicz and Hoaglin 1993",
        rows_min=31,
        cost_ns=430,
        state_bytes=16500,
    )

    def __init__(
        self,
        *,
        window: int = 1_000,
        past_min: int = 30,
        threshold: float = 7.5,
        floor: float = 0.1,
        level_floor: float = 0.0,
        debounce: int = 100,
    ) -> None:
        named = sliding(window, past_min, threshold, floor, level_floor, debounce)
        last = SortedWindow(int(named["window"]), int(named["past_min"]), floor, level_floor)
        super().__init__("mad", named, last.score, last.arrays())
