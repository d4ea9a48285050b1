"""Page–Hinkley: a lasting shift of the mean, in constant memory, in both directions.

Misses changes of shape, short spikes, slow swing. Inputs are standardised by the reference, because
at river's defaults 10⁶ rows of N(0, 1) alarm 609 times. Here δ is 0.2 sd, and the threshold follows
from the run length: excursions of a normal walk with drift −δ pass λ about once in e^{2δλ}/(2δ²)
rows, which for λ = 40 is 10⁸. Decisions are river's (`river.drift.PageHinkley` 0.26). Cost: 430 ns
a value.

Reference: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from river.drift import PageHinkley as RiverPageHinkley

from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.scale import Scale


class PageHinkleyState(msgspec.Struct, tag="page_hinkley"):
    """Parameters, and the seven numbers that river keeps."""

    mean: float
    sd: float
    delta: float
    threshold: float
    n: float
    running: float
    increase: float
    decrease: float
    least_increase: float | None
    most_decrease: float


class PageHinkley:
    """Detector of one stream, standardised by `mean` and `sd`; NaN is passed over."""

    PARAMS = {"delta": 0.2, "threshold": 40.0}

    def __init__(self, mean: float, sd: float, delta: float, threshold: float) -> None:
        self.mean, self.sd, self.delta, self.threshold = mean, sd, delta, threshold
        self._river = self._fresh()

    @classmethod
    def make(cls, scale: Scale, params: Mapping[str, float]) -> "PageHinkley":
        """A detector of values standardised by the reference."""
        return cls(scale.mean, scale.sd, params["delta"], params["threshold"])

    def _fresh(self) -> RiverPageHinkley:
        return RiverPageHinkley(min_instances=30, delta=self.delta, threshold=self.threshold)

    def update_many(self, values: NDArray[np.floating]) -> list[Finding]:
        """Feed the values in order; one finding for each change."""
        if self.sd <= 0:
            return []
        rows = np.flatnonzero(np.isfinite(values)).tolist()
        standard = ((values[rows].astype(np.float64) - self.mean) / self.sd).tolist()
        found = []
        for row, value in zip(rows, standard, strict=True):
            before = self._river._x_mean.get()
            self._river.update(value)
            if self._river.drift_detected:
                found.append(Finding(row, self._unscaled(before), self._unscaled(value)))
                self._river = self._fresh()
        return found

    def _unscaled(self, value: float) -> float:
        return self.mean + value * self.sd

    def dump(self) -> PageHinkleyState:
        """The whole state, free of pickle."""
        state = self._river
        least = state._min_increase
        return PageHinkleyState(
            self.mean,
            self.sd,
            self.delta,
            self.threshold,
            float(state._x_mean.n),
            float(state._x_mean._mean),
            float(state._sum_increase),
            float(state._sum_decrease),
            None if least == float("inf") else float(least),
            float(state._max_decrease),
        )

    @classmethod
    def load(cls, state: PageHinkleyState) -> "PageHinkley":
        """The detector as it was dumped."""
        detector = cls(state.mean, state.sd, state.delta, state.threshold)
        inner = cast(Any, detector._river)
        inner._x_mean.n, inner._x_mean._mean = int(state.n), state.running
        inner._sum_increase, inner._sum_decrease = state.increase, state.decrease
        least = state.least_increase
        inner._min_increase = float("inf") if least is None else least
        inner._max_decrease = state.most_decrease
        return detector
