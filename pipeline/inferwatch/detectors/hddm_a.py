"""HDDM_A: the mean of all values against the mean up to the best cut, by Hoeffding's bound.

Decisions are those of `river.drift.binary.HDDMA` 0.26; its warnings are left out. Values lie in
[0, 1], errors or losses; what lies outside is clipped, for the bound holds there only. It is for
sudden changes; its mean is that of all values since the last alarm, so a long calm slows it down.

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
from inferwatch.kernels import hddm_a as kernel


class HDDMA(Run):
    """Detector of one stream.

    :param drift_confidence: chance of a false alarm at one test, in (0, 1).
    :param two_sided_test: whether a falling rate is a drift too.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="hddm_a",
        kind="drift",
        purpose="a changed error rate, sudden changes first",
        source="Frías-Blanco et al. 2014, A-test",
        rows_min=16,
        cost_ns=13,
        state_bytes=150,
        values="losses",
    )

    def __init__(
        self,
        *,
        drift_confidence: float = 0.001,
        two_sided_test: bool = False,
    ) -> None:
        within("drift_confidence", drift_confidence, 0.0, 1.0, open_ends=True)
        two_sided_test = switch("two_sided_test", two_sided_test)
        named = {"drift_confidence": float(drift_confidence), "two_sided_test": two_sided_test}
        params = kernel.params(drift_confidence, two_sided=two_sided_test)
        super().__init__("hddm_a", named, kernel.update, params, kernel.empty())
