"""The shipped default for a metric series: robust z of each value, and of the mean of the last few.

The score is the larger of two: that of `mad` on the values, which sees a far one, and that of `mad`
on their moving average, which sees a shift too small for a single value. Nothing is to be tuned:
the parameters were chosen once, on the open files of the Numenta Anomaly Benchmark, and
`benchmarks/nab.py` prints what they score there, and how much less such a choice is worth on files
that it has not seen.

The scale is at least a tenth of the range of the last 1,000 values, so one within that range scores
6.745 at most, and above that threshold it is found only if it leaves the range, or its moving
average leaves that of the averages. It knows no seasons: for those there is `seasonal`.

Reference: B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers" (1993), for the score.
"""

from typing import ClassVar

import numpy as np

from inferwatch.detectors import Method
from inferwatch.detectors.limits import whole, within
from inferwatch.detectors.scoring import Floats, Scoring
from inferwatch.detectors.sorted_window import SortedWindow

WINDOW = 1_000
FLOOR = 0.1


class Auto(Scoring):
    """Detector of one stream.

    :param threshold: score above which a value stands out, at least 0.
    :param smooth: values that are averaged, 2 to 1,000.
    :param past_min: how many values there must be before it, 3 to 1,000.
    :param level_floor: least scale as a share of the size of the median, 0 to 1; for durations,
        shares and others with a zero of their own, whose flat stretches have no range either.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="auto",
        kind="anomaly",
        purpose="whatever stands out in a metric series: the default",
        source="Iglewicz and Hoaglin 1993, on values and their moving average",
        rows_min=31,
        cost_ns=900,
        state_bytes=33_000,
    )

    def __init__(
        self,
        *,
        threshold: float = 7.5,
        smooth: int = 5,
        past_min: int = 30,
        level_floor: float = 0.0,
        debounce: int = 100,
    ) -> None:
        within("threshold", threshold, 0.0)
        smooth = whole("smooth", smooth, 2, 1_000)
        past_min = whole("past_min", past_min, 3, WINDOW)
        within("level_floor", level_floor, 0.0, 1.0)
        debounce = whole("debounce", debounce, 1, 100_000)
        named = {
            "threshold": float(threshold),
            "smooth": smooth,
            "past_min": past_min,
            "level_floor": float(level_floor),
            "debounce": debounce,
        }
        self._values, self._means = (
            SortedWindow(WINDOW, past_min, FLOOR, level_floor) for _ in range(2)
        )
        self._last, self._known = np.zeros(smooth - 1), np.zeros(1, np.int64)
        arrays = {
            "last": self._last,
            "known": self._known,
            **self._values.arrays("values."),
            **self._means.arrays("means."),
        }
        super().__init__("auto", named, self._scores, arrays)

    def _scores(self, values: Floats, scores: Floats) -> None:
        finite = np.isfinite(values)
        kept = values[finite]
        far, moved = np.empty(len(kept)), np.empty(len(kept))
        self._values.score(kept, far)
        self._means.score(self._smoothed(kept), moved)
        scores[:] = np.nan
        scores[finite] = np.fmax(far, moved)

    def _smoothed(self, values: Floats) -> Floats:
        """The mean of each value and those before it, added in one order wherever calls are cut."""
        known, most = int(self._known[0]), len(self._last)
        joined = np.concatenate([self._last[most - known :], values])
        total, count = np.zeros(len(values)), np.zeros(len(values))
        place = np.arange(known, known + len(values))
        with np.errstate(over="ignore", invalid="ignore"):
            for back in range(most + 1):
                there = place >= back
                total[there] += joined[place[there] - back]
                count += there
            means = total / count
        known = min(len(joined), most)
        self._last[most - known :] = joined[len(joined) - known :]
        self._known[0] = known
        return means
