"""Robust z: distance from the median of the values before, in median absolute deviations.

The score is 0.6745·|x − median| / MAD, so that of a normal stream it is a z-score. Half of the
window may be wild without a change; a value that is told stays in the window. Neighbours that
correlate, and cycles, make the scores of an undisturbed stream larger.

Reference: B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers" (1993).
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import Method, Values
from inferwatch.detectors.scoring import Floats, Scoring, sliding
from inferwatch.kernels import sliding_order as kernel


class MAD:
    """Detector of one stream.

    :param window: values before it that a value is compared with, 3 to 100,000.
    :param past_min: how many of them there must be, 3 to `window`.
    :param threshold: score above which a value stands out, at least 0.
    :param floor: least scale as a share of the window's range, 0 to 1: a flat stretch has no scale
        of its own.
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
        threshold: float = 6.0,
        floor: float = 0.01,
        debounce: int = 100,
    ) -> None:
        named = sliding(window, past_min, threshold, floor, debounce)
        window, past_min = int(named["window"]), int(named["past_min"])
        ring, ordered = np.zeros(window), np.zeros(window)
        counts = np.zeros(2, np.int64)

        def score(values: Floats, scores: Floats) -> None:
            kernel.score(values, past_min, floor, False, ring, ordered, counts, scores)

        arrays = {"ring": ring, "ordered": ordered, "counts": counts}
        self._scoring = Scoring("mad", named, score, arrays)

    def update_many(self, values: Values) -> list[int]:
        """Feed the next values; indices of those that stand out."""
        return self._scoring.update_many(values)

    def score_many(self, values: Values) -> NDArray[np.float64]:
        """Feed the next values; the score of each, NaN where there is none."""
        return self._scoring.score_many(values)

    def snapshot(self) -> bytes:
        """The whole state."""
        return self._scoring.snapshot()

    def restore(self, sealed: bytes) -> None:
        """Go on from a snapshot.

        :raises ValueError: it is damaged, of another method, or of other parameters.
        """
        self._scoring.restore(sealed)
