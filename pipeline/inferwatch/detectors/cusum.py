"""CUSUM: the tabular cumulative-sum chart, a lasting shift of the level in both directions.

C⁺ = max(0, C⁺ + z − k), C⁻ = max(0, C⁻ − z − k), z = (x − target) / sd; an alarm is a sum above h.
Best for a shift of 2k standard deviations.

Run lengths of independent normal values, target and sd given: k 0.5, h 4: 168 values between false
alarms, 8.4 to find one standard deviation; h 5, the default and the textbook's: 465 and 10.4; h 8:
9,500 and 16; **h 10: 70,000 and 20, the least for a long stream**. A level learnt from 100 values
is off by a tenth of a deviation: half of the runs end within 240 values instead of 320. Heavy tails
and neighbours that correlate shorten them more. Learning goes on while all values are
equal, unless there is an `sd_min`.

What was given stays; what was learnt is learnt anew after an alarm, so each lasting shift is one
alarm. With a given target a shift that stays alarms again and again, as charts do.

References: E. S. Page, "Continuous Inspection Schemes", Biometrika 41 (1954); D. C. Montgomery,
"Introduction to Statistical Quality Control", chapter 9, for the tabular form.
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.limits import chart, within
from inferwatch.detectors.run import Run
from inferwatch.kernels import cusum as kernel


class CUSUM(Run):
    """Detector of one stream.

    :param target: the level in control; the mean of the first `min_instances` values if left out.
    :param sd: standard deviation in control, above 0; that of the same values if left out.
    :param sd_min: least deviation that is learnt, at least 0; 0.2 for errors of 0 and 1, of which
        rare ones would each be many deviations.
    :param min_instances: values to learn from, at least 2.
    :param k: half the shift to find, in standard deviations, at least 0.
    :param h: the limit of a sum, in standard deviations, above 0.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="cusum",
        kind="drift",
        purpose="a lasting shift of the level, of a size to choose",
        source="Page 1954, tabular form",
        rows_min=101,
        cost_ns=10,
        state_bytes=130,
    )

    def __init__(
        self,
        *,
        target: float | None = None,
        sd: float | None = None,
        sd_min: float = 0.0,
        min_instances: int = 100,
        k: float = 0.5,
        h: float = 5.0,
    ) -> None:
        baseline, given = chart(min_instances, target, sd, sd_min)
        within("k", k, 0.0)
        within("h", h, 0.0, open_ends=True)
        named = {"min_instances": baseline[0], "k": float(k), "h": float(h)}
        params = kernel.params(*baseline, k, h)
        super().__init__("cusum", named | given, kernel.update, params, kernel.empty(params))
