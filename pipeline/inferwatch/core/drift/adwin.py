"""ADWIN: an adaptive window that drops its older part when two parts differ in mean.

Detects any change of level of a bounded stream, in both directions, in memory logarithmic in the
window. Inputs are scaled to [0, 1] by the reference: unscaled heavy tails alarm without a cause.
Decisions are those of `river.drift.ADWIN` 0.26 on the scaled values. Cost: 6 ns a value where
several columns are fed together, 15 ns alone; 2 ns with `block` 100, which finds changes at most
about that many rows later.

Reference: A. Bifet, R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM
2007.
"""

import math
import sys
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.drift.checksum import check, checksum
from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.scale import Scale
from inferwatch.kernels import adwin as kernel
from inferwatch.kernels import adwin_lanes


class AdwinState(msgspec.Struct, tag="adwin"):
    """`window` is the kernel's array of little-endian float64."""

    low: float
    high: float
    delta: float
    block: float
    window: bytes
    checksum: bytes = b""


class Adwin:
    """Detector of one stream; values outside `[low, high]` are clipped, NaN is passed over.

    :param delta: bound on the false alarm rate of one comparison.
    :param block: rows that share a bucket from the start: 1 decides as river, 100 is a third of the
        cost.
    """

    PARAMS = {"delta": 0.002, "block": 1.0}
    update_columns = staticmethod(adwin_lanes.update_columns)

    def __init__(self, low: float, high: float, delta: float, block: float = 1.0) -> None:
        self.low, self.high, self.delta, self.block = low, high, delta, block
        self.params = kernel.params(delta, low=low, range_=high - low, block=int(block))
        self.state = kernel.empty()

    @classmethod
    def make(cls, scale: Scale, params: Mapping[str, float]) -> "Adwin":
        """A detector of values within the reference's range."""
        return cls(scale.low, scale.high, params["delta"], params["block"])

    def update_many(self, values: NDArray[np.floating]) -> list[Finding]:
        """Feed the values in order; one finding for each change."""
        if self.blind():
            return []
        values = np.ascontiguousarray(values)
        return self.findings(values, kernel.update(values, 0, self.params, self.state))

    def blind(self) -> bool:
        """Whether the reference has no range to scale by, so that nothing can be told."""
        return not sys.float_info.min <= self.high - self.low < math.inf

    def findings(self, values: NDArray[np.floating], row: int) -> list[Finding]:
        """What was just found at `row` of `values`, -1 for nothing, and in the rows after it."""
        spread, found = self.high - self.low, []
        while row >= 0:
            before, after = self.state[[kernel.BEFORE, kernel.AFTER]].tolist()
            found.append(Finding(row, self.low + before * spread, self.low + after * spread))
            row = kernel.update(values, row + 1, self.params, self.state)
        return found

    def dump(self) -> AdwinState:
        """The whole state, free of pickle."""
        window = kernel.dump(self.state)
        state = AdwinState(self.low, self.high, self.delta, self.block, window)
        state.checksum = checksum(state)
        return state

    @classmethod
    def load(cls, state: AdwinState) -> "Adwin":
        """The detector as it was dumped.

        :raises ValueError: the state is damaged.
        """
        check(state)
        detector = cls(state.low, state.high, state.delta, state.block)
        detector.state = kernel.load(state.window)
        return detector
