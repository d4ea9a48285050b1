"""Any detector of one stream, by its name in `inferwatch.detectors`, as a check on rows.

The detector decides; here its stream is scaled by the reference, as ADWIN's and Page–Hinkley's are,
its parameters are calmed (`WAYS`: what pages may not cry wolf), and the levels before and at a
finding are kept, which detectors do not tell. Values outside the reference's range are clipped, for
one wild value is no change of level. Cost and papers: the detector's own file.
"""

from collections.abc import Mapping
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch import detectors
from inferwatch.core.drift.both_ways import BothWays
from inferwatch.core.drift.checksum import check, checksum
from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.scale import ERRORS, Scale
from inferwatch.kernels import levels

Floats = NDArray[np.float64]
Params = Mapping[str, float]


ERRORS_SD_MIN = 0.2
"""Rates under 4 % are charted as if they were 4 %: to an alarm it takes several errors."""


class NamedState(msgspec.Struct, tag="named"):
    """`sealed` is the detector's own snapshot after `rows`, `levels` the kernel's little-endian
    float64. `falls` is that of right answers, after `falls_rows`, where rises alone are found.
    """

    method: str
    low: float
    high: float
    mean: float
    sd: float
    logarithms: bool
    learns: bool
    params: dict[str, float]
    rows: int
    sealed: bytes
    levels: bytes
    checksum: bytes = b""
    falls: bytes = b""
    falls_rows: int = 0


class Way(msgspec.Struct, frozen=True):
    """How a detector reads rows.

    :param PARAMS: what a check may set, with the defaults of checks.
    :param fixed: parameters that are not those of the detector's own default.
    :param unit: whether values are scaled to [0, 1] by the reference's range.
    :param standard: whether the reference's level and deviation are given to the detector, where
        there are any.
    :param rises: whether the detector finds rises alone, and is run both ways.
    """

    name: str
    PARAMS: dict[str, float]
    fixed: dict[str, float] = {}
    unit: bool = False
    standard: bool = False
    rises: bool = False

    def make(self, scale: Scale, params: Params) -> "Named":
        """A detector of values that `scale` describes."""
        return Named(self, scale, params)

    def detector(self, scale: Scale, params: Params) -> detectors.Detector:
        """The detector itself.

        :raises ConfigError: a parameter out of its range.
        """
        given: dict[str, float] = {}
        if self.standard:
            learnt = {"sd_min": ERRORS_SD_MIN} if scale == ERRORS else {}
            given = learnt if scale.learns else {"target": scale.mean, "sd": scale.sd}
        return detectors.make(self.name, **params, **self.fixed, **given)


WAYS = {
    way.name: way
    for way in (
        Way(
            "ddm",
            {"warm_start": 1_000.0, "errors_min": 30.0, "drift_threshold": 4.0},
            unit=True,
            rises=True,
        ),
        Way("eddm", {"warm_start": 100.0, "beta": 0.75}, unit=True, rises=True),
        Way("hddm_a", {"drift_confidence": 1e-4}, {"two_sided_test": True}, unit=True),
        Way(
            "hddm_w",
            {"drift_confidence": 1e-5, "lambda_val": 0.002},
            {"two_sided_test": True},
            unit=True,
        ),
        Way("kswin", {"alpha": 1e-6, "window_size": 500.0, "stat_size": 100.0, "clock": 10.0}),
        Way("cusum", {"k": 0.5, "h": 25.0, "min_instances": 1_000.0}, standard=True),
        Way("ewma", {"lambda_val": 0.02, "limit": 6.0, "min_instances": 1_000.0}, standard=True),
    )
}


class Named:
    """Detector of one stream; NaN and ±Inf are passed over."""

    def __init__(self, way: Way, scale: Scale, params: Params) -> None:
        self.way, self.params = way, {name: float(value) for name, value in params.items()}
        self.scale = scale
        self._given = way.standard and not scale.learns
        blind = scale.high <= scale.low or (way.standard and scale.sd <= 0)
        self._detector = None if blind else self._made()
        self._levels, self._rows = levels.empty(), 0

    def _made(self) -> detectors.Detector | BothWays:
        make = partial(self.way.detector, self.scale, self.params)
        return BothWays(make) if self.way.rises else make()

    def update_many(self, values: NDArray[np.floating]) -> list[Finding]:
        """Feed the values in order; one finding for each change.

        Nothing is found where the reference has no spread.
        """
        if self._detector is None:
            return []
        natural, found, first = self._natural(values), [], 0
        for row, rise in self._changes(self._scaled(natural)):
            levels.follow(natural, first, row + 1, self._levels)
            before, after = levels.levels(self._levels)
            before = self.scale.mean if self._given else before
            found.append(Finding(row, self._told(before), self._told(after), rise))
            self._levels, first = levels.empty(), row + 1
        levels.follow(natural, first, len(natural), self._levels)
        self._rows += len(natural)
        return found

    def _changes(self, scaled: Floats) -> list[tuple[int, bool | None]]:
        """Rows of changes, and whether they are rises, where the detector knows."""
        if isinstance(self._detector, BothWays):
            return [*self._detector.update_many(scaled)]
        if self._detector is None:
            return []
        return [(index - self._rows, None) for index in self._detector.update_many(scaled)]

    def _natural(self, values: NDArray[np.floating]) -> Floats:
        natural = np.array(values, np.float64)
        natural[~np.isfinite(natural)] = np.nan
        if self.scale.logarithms:
            natural[natural <= 0.0] = np.nan
            natural = np.log(natural)
        return np.clip(natural, self.scale.low, self.scale.high)

    def _scaled(self, natural: Floats) -> Floats:
        low, high = self.scale.low, self.scale.high
        return (natural - low) / (high - low) if self.way.unit else natural

    def _told(self, level: float) -> float:
        return float(np.exp(level)) if self.scale.logarithms else level

    def dump(self) -> NamedState:
        """The whole state, free of pickle."""
        scale, made = self.scale, self._detector
        state = NamedState(
            method=self.way.name,
            low=float(scale.low),
            high=float(scale.high),
            mean=float(scale.mean),
            sd=float(scale.sd),
            logarithms=scale.logarithms,
            learns=scale.learns,
            params=self.params,
            rows=made.rises_rows if isinstance(made, BothWays) else self._rows,
            sealed=b"" if made is None else _first(made).snapshot(),
            levels=self._levels.astype("<f8").tobytes(),
        )
        if isinstance(made, BothWays):
            state.falls, state.falls_rows = made.falls.snapshot(), made.falls_rows
        state.checksum = checksum(state)
        return state

    @classmethod
    def load(cls, state: NamedState) -> "Named":
        """The detector as it was dumped.

        :raises ValueError: the state is damaged, or of another build's detector.
        """
        check(state)
        scale = Scale(state.low, state.high, state.mean, state.sd, state.logarithms, state.learns)
        found = cls(WAYS[state.method], scale, state.params)
        found._rows = state.rows
        found._levels = np.frombuffer(state.levels, "<f8").astype(np.float64)
        made = found._detector
        if isinstance(made, BothWays):
            made.restore(state.sealed, state.rows, state.falls, state.falls_rows)
        elif made is not None:
            made.restore(state.sealed)
        return found


def _first(made: detectors.Detector | BothWays) -> detectors.Detector:
    return made.rises if isinstance(made, BothWays) else made
