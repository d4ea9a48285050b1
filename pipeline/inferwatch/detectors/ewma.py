"""EWMA: the control chart of an exponentially weighted mean, a shift of the level both ways.

e = λz + (1 − λ)e from 0, z = (x − target) / sd; an alarm is |e| above the exact limit
L·√(λ/(2 − λ)·(1 − (1 − λ)^2t)) at the t-th value, which is narrow at first and so quick at once.

Run lengths of independent normal values, target and sd given: λ 0.2 with L 2.962, the default: 500
values between false alarms, 9.6 to find one standard deviation; λ 0.1 with L 2.814: 490 and 8.1;
**for a long stream λ 0.1 with L 4.5: about 300,000 and 25**. A level learnt from 100 values is off
by a tenth of a deviation: half of the runs end within 260 values instead of 345. Heavy tails and
neighbours that correlate shorten them more. Learning goes on while all values are
equal, unless there is an `sd_min`.

What was given stays; what was learnt is learnt anew after an alarm, so each lasting shift is one
alarm. With a given target a shift that stays alarms again and again, as charts do.

References: S. W. Roberts, "Control Chart Tests Based on Geometric Moving Averages", Technometrics 1
(1959); J. M. Lucas, M. S. Saccucci, Technometrics 32 (1990), for the run lengths.
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.limits import chart, within
from inferwatch.detectors.run import Run
from inferwatch.kernels import ewma as kernel


class EWMA(Run):
    """Detector of one stream.

    :param target: the level in control; the mean of the first `min_instances` values if left out.
    :param sd: standard deviation in control, above 0; that of the same values if left out.
    :param sd_min: least deviation that is learnt, at least 0; 0.2 for errors of 0 and 1, of which
        rare ones would each be many deviations.
    :param min_instances: values to learn from, at least 2.
    :param lambda_val: weight of the newest value, in (0, 1]; small for small shifts.
    :param limit: L, the width of the limits in standard deviations of the mean, above 0.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="ewma",
        kind="drift",
        purpose="a small lasting shift of the level",
        source="Roberts 1959, exact limits",
        rows_min=101,
        cost_ns=11,
        state_bytes=140,
    )

    def __init__(
        self,
        *,
        target: float | None = None,
        sd: float | None = None,
        sd_min: float = 0.0,
        min_instances: int = 100,
        lambda_val: float = 0.2,
        limit: float = 2.962,
    ) -> None:
        baseline, given = chart(min_instances, target, sd, sd_min)
        within("lambda_val", lambda_val, 5e-324, 1.0)
        within("limit", limit, 0.0, open_ends=True)
        named = {
            "min_instances": baseline[0],
            "lambda_val": float(lambda_val),
            "limit": float(limit),
        }
        params = kernel.params(*baseline, lambda_val, limit)
        super().__init__("ewma", named | given, kernel.update, params, kernel.empty(params))
