"""DDM: an error rate that rises above its lowest so far by several of its standard deviations.

With `errors_min=0` decisions are those of `river.drift.binary.DDM` 0.26; its warnings are left out.
Values are errors: 1 wrong, 0 right, or a loss in [0, 1]; what lies outside is clipped.

By default it looks once there were 30 errors, as EDDM's authors ask: with river's parameters a
model without an error in the first `warm_start` values has a lowest rate and deviation of 0, and
its first error alarms, one in 31 or one in a million. Finds rises only: a rate that falls is the
new lowest. The rate is that since the last alarm, so the longer a stream was calm, the later a
change is found. Cost: the class's METHOD.

References: J. Gama, P. Medas, G. Castillo, P. Rodrigues, "Learning with Drift Detection", SBIA
2004; M. Baena-García et al., "Early Drift Detection Method", IWKDDS 2006, for the 30 errors.
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.limits import whole, within
from inferwatch.detectors.run import Run
from inferwatch.kernels import ddm as kernel


class DDM(Run):
    """Detector of one stream.

    :param warm_start: values before the first look, at least 1.
    :param errors_min: errors before the first look, at least 0.
    :param drift_threshold: distance from the lowest rate, in its standard deviations, above 0.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="ddm",
        kind="drift",
        purpose="a rising error rate",
        source="Gama et al. 2004",
        rows_min=32,
        cost_ns=9,
        state_bytes=110,
        values="losses",
    )

    def __init__(
        self,
        *,
        warm_start: int = 30,
        errors_min: int = 30,
        drift_threshold: float = 3.0,
    ) -> None:
        warm_start = whole("warm_start", warm_start, 1, 10**9)
        errors_min = whole("errors_min", errors_min, 0, 10**9)
        within("drift_threshold", drift_threshold, 0.0, open_ends=True)
        named = {
            "warm_start": warm_start,
            "errors_min": errors_min,
            "drift_threshold": float(drift_threshold),
        }
        params = kernel.params(warm_start, drift_threshold, errors_min)
        super().__init__("ddm", named, kernel.update, params, kernel.empty())
