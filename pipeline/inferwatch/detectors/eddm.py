"""EDDM: errors that come closer together than they ever did.

Decisions are those of `river.drift.binary.EDDM` 0.26; its warnings are left out. Values are errors:
1 wrong, anything else right, a loss of 0.5 too.

Finds slow rises of a low error rate, and much that is none: the highest mean distance is noted from
`warm_start` *values* on, when it rests on few errors, and 90 % of it is soon passed. On errors of
10 % without a change it alarms 400 times in 10⁶ values, with `beta` 0.75 some 20 times.

Reference: M. Baena-García et al., "Early Drift Detection Method", IWKDDS 2006.
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.limits import whole, within
from inferwatch.detectors.run import Run
from inferwatch.kernels import eddm as kernel


class EDDM(Run):
    """Detector of one stream.

    :param warm_start: errors before the first drift, values before the first distance, at least 1.
    :param beta: share of the highest mean distance (plus two deviations) below which there is a
        drift, in (0, 1).
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="eddm",
        kind="drift",
        purpose="errors that come closer together",
        source="Baena-García et al. 2006",
        rows_min=39,
        cost_ns=6,
        state_bytes=115,
        values="errors",
    )

    def __init__(
        self,
        *,
        warm_start: int = 30,
        beta: float = 0.9,
    ) -> None:
        warm_start = whole("warm_start", warm_start, 1, 10**9)
        within("beta", beta, 0.0, 1.0, open_ends=True)
        named = {"warm_start": warm_start, "beta": float(beta)}
        params = kernel.params(warm_start, beta)
        super().__init__("eddm", named, kernel.update, params, kernel.empty())
