"""Page–Hinkley: a lasting shift of the mean, in constant memory, in both directions.

Misses changes of shape, short spikes, slow swing. Inputs are standardised by the reference, because
at river's defaults 10⁶ rows of N(0, 1) alarm 609 times, and clipped to its range, because else one
value of 40 sd is a shift. Here δ is 0.2 sd, and the threshold follows from the run length:
excursions of a normal walk with drift −δ pass λ about once in e^{2δλ}/(2δ²) rows, which for λ = 40
is 10⁸. Decisions are those of river's `PageHinkley` with `alpha` 1: its fading sum forgets the
drift −δ and with these parameters alarms 45 times in 10⁶ such rows. Cost: 7 ns a value.

Reference: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.drift.checksum import check, checksum
from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.scale import Scale
from inferwatch.kernels import page_hinkley as kernel

ROWS_MIN = 30


class PageHinkleyState(msgspec.Struct, tag="page_hinkley"):
    """Scale and parameters; `sums` is the kernel's array of little-endian float64."""

    low: float
    high: float
    mean: float
    sd: float
    delta: float
    threshold: float
    sums: bytes
    block: float = 1.0
    checksum: bytes = b""


class PageHinkley:
    """Detector of one stream; values outside the reference's range are clipped, NaN is passed over.

    :param delta: change of level that is none, in standard deviations of the reference.
    :param threshold: what the deviations beyond `delta` must add up to.
    :param block: rows whose mean is one step of the sums; 100 is a third of the cost.
    """

    PARAMS = {"delta": 0.2, "threshold": 40.0, "block": 1.0}
    update_columns = staticmethod(kernel.update_columns)

    def __init__(self, scale: Scale, delta: float, threshold: float, block: float = 1.0) -> None:
        self.scale, self.delta, self.threshold, self.block = scale, delta, threshold, block
        self.params = kernel.params(
            delta,
            threshold,
            rows_min=ROWS_MIN,
            low=scale.low,
            high=scale.high,
            centre=scale.mean,
            scale=scale.sd,
            block=int(block),
        )
        self.state = kernel.empty()

    @classmethod
    def make(cls, scale: Scale, params: Mapping[str, float]) -> "PageHinkley":
        """A detector of values standardised by the reference."""
        return cls(scale, params["delta"], params["threshold"], params["block"])

    def update_many(self, values: NDArray[np.floating]) -> list[Finding]:
        """Feed the values in order; one finding for each change, after which all starts anew."""
        if self.blind():
            return []
        values = np.ascontiguousarray(values)
        return self.findings(values, kernel.update(values, 0, self.params, self.state))

    def blind(self) -> bool:
        """Whether the reference has no spread, so that nothing can be told."""
        return self.scale.sd <= 0

    def findings(self, values: NDArray[np.floating], row: int) -> list[Finding]:
        """What was just found at `row` of `values`, -1 for nothing, and in the rows after it."""
        mean, sd, found = self.scale.mean, self.scale.sd, []
        while row >= 0:
            before, after = kernel.levels(self.state)
            found.append(Finding(row, mean + before * sd, mean + after * sd))
            row = kernel.update(values, row + 1, self.params, self.state)
        return found

    def dump(self) -> PageHinkleyState:
        """The whole state, free of pickle."""
        scale, sums = self.scale, self.state.astype("<f8").tobytes()
        state = PageHinkleyState(
            *(scale.low, scale.high, scale.mean, scale.sd),
            *(self.delta, self.threshold, sums, self.block),
        )
        state.checksum = checksum(state)
        return state

    @classmethod
    def load(cls, state: PageHinkleyState) -> "PageHinkley":
        """The detector as it was dumped.

        :raises ValueError: the state is damaged.
        """
        check(state)
        scale = Scale(state.low, state.high, state.mean, state.sd)
        detector = cls(scale, state.delta, state.threshold, state.block)
        detector.state = kernel.load(state.sums)
        return detector
