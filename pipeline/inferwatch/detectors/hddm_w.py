"""HDDM_W: two exponentially weighted means, before and after the best cut, by McDiarmid's bound.

Decisions are those of `river.drift.binary.HDDMW` 0.26; its warnings are left out. Values lie in
[0, 1], errors or losses; what lies outside is clipped, for the bound holds there only. It forgets
what is old and is quick after large changes; small ones, as from errors of 10 % to 15 %, it hardly
ever sees at the default `lambda_val`, whose memory is some 40 values. An average that begins with
one value is restless: errors of 30 % without a change alarm 400 times in 10⁶ values, those of 10 %
never.

**One-sided by default, as river's, and so half blind**: where an old concept comes back the error
falls again, and about half of such changes are missed. `two_sided_test=True` sees both, at a
quarter more false alarms.

Reference: I. Frías-Blanco et al., "Online and Non-Parametric Drift Detection Methods Based on
Hoeffding's Bounds", IEEE TKDE 27 (2015).
"""

from typing import ClassVar

from inferwatch.detectors import Method
from inferwatch.detectors.limits import switch, within
from inferwatch.detectors.run import Run
from inferwatch.kernels import hddm_w as kernel


class HDDMW(Run):
    """Detector of one stream.

    :param drift_confidence: chance of a false alarm at one test, in (0, 1).
    :param lambda_val: weight of the newest value, in (0, 1).
    :param two_sided_test: whether a falling rate is a drift too.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="hddm_w",
        kind="drift",
        purpose="a changed error rate, slow changes first",
        source="Frías-Blanco et al. 2014, W-test",
        rows_min=41,
        cost_ns=9,
        state_bytes=225,
        values="losses",
    )

    def __init__(
        self,
        *,
        drift_confidence: float = 0.001,
        lambda_val: float = 0.05,
        two_sided_test: bool = False,
    ) -> None:
        within("drift_confidence", drift_confidence, 0.0, 1.0, open_ends=True)
        within("lambda_val", lambda_val, 0.0, 1.0, open_ends=True)
        two_sided_test = switch("two_sided_test", two_sided_test)
        named = {
            "drift_confidence": float(drift_confidence),
            "lambda_val": float(lambda_val),
            "two_sided_test": two_sided_test,
        }
        params = kernel.params(drift_confidence, lambda_val, two_sided=two_sided_test)
        super().__init__("hddm_w", named, kernel.update, params, kernel.empty())
