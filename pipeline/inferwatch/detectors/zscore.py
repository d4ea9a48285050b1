"""Running z: distance from the mean of the values before, in their standard deviations (ddof 1).

The value itself is left out: inside its own sample z cannot pass √(n − 1). A wild value widens the
deviation for as long as it is in the window, and hides others: `mad` does not mind.

Reference: B. P. Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products",
Technometrics 4 (1962).
"""

from typing import ClassVar

import numpy as np

from inferwatch.detectors import Method
from inferwatch.detectors.scoring import Floats, Scoring, sliding
from inferwatch.kernels import sliding_moments as kernel


class ZScore(Scoring):
    """Detector of one stream.

    :param window: values before it that a value is compared with, 3 to 100,000.
    :param past_min: how many of them there must be, 3 to `window`.
    :param threshold: score above which a value stands out, at least 0.
    :param floor: least scale as a share of the window's range, 0 to 1: a flat stretch has no scale
        of its own.
    :param level_floor: least scale as a share of the size of the mean, 0 to 1; for durations,
        shares and others with a zero of their own, whose flat stretches have no range either.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="zscore",
        kind="anomaly",
        purpose="a value far from the mean before it",
        source="Welford 1962",
        rows_min=31,
        cost_ns=50,
        state_bytes=9_200,
    )

    def __init__(
        self,
        *,
        window: int = 1_000,
        past_min: int = 30,
        threshold: float = 5.0,
        floor: float = 0.01,
        level_floor: float = 0.0,
        debounce: int = 100,
    ) -> None:
        named = sliding(window, past_min, threshold, floor, level_floor, debounce)
        window, past_min = int(named["window"]), int(named["past_min"])
        ring, newer, counts = np.zeros(window), np.zeros(4), np.zeros(2, np.int64)
        older = np.zeros((window, 4))  # follows from the ring

        def score(values: Floats, scores: Floats) -> None:
            kernel.score(values, past_min, floor, level_floor, ring, older, newer, counts, scores)

        def restored() -> None:
            older[...] = 0.0
            if counts[kernel.FULL]:
                kernel.total(ring, int(counts[kernel.PLACE]), older)

        arrays = {"ring": ring, "newer": newer, "counts": counts}
        super().__init__("zscore", named, score, arrays, restored)
