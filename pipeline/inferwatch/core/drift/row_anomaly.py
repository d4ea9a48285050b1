"""Rows that stand alone: half-space trees over all numeric features, judged by their share.

What score is high depends on the number and the shape of the columns: with twenty normal ones the
median row scores 0.86, with twenty uniform ones 0.98. So no fixed score is an alarm. The model's
own first thousand scores say which one row in twenty passes, and ADWIN watches the share of
rows that pass it: an alarm is a share that rises. It names the share before and after.

Misses a single odd row, which is no change, anomalies of which there were as many from the start,
and what is odd in one of many columns only: of twenty, a tree looks at eight on a row's way. A
crowd of equal anomalies is known to the trees after one window: what is found is its beginning.
Values are clipped to the reference's range and a quarter of it on each side, and scaled by that;
one that is missing counts as the reference's mean. Cost:
that of `inferwatch.detectors.hst`; state 45 KB.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch import detectors
from inferwatch.core.drift.adwin import Adwin, AdwinState
from inferwatch.core.drift.checksum import check, checksum
from inferwatch.core.drift.finding import Finding
from inferwatch.errors import ConfigError
from inferwatch.records.definition import NumericProfile

LEARNT_ROWS = 1_000
PASSING = 50
"""Of the learnt scores, those that pass: one in twenty."""
MARGIN = 0.25
"""Of the reference's range, on each side: what lies beyond it stands alone, not at its edge."""
LEAVES_MAX = 1 << 14
WINDOW_MAX = 10_000


class Column(msgspec.Struct, frozen=True, array_like=True):
    """A feature's name, range and mean in the reference."""

    name: str
    low: float
    high: float
    mean: float


class RowAnomalyState(msgspec.Struct, tag="row_anomaly"):
    """`scores` are those learnt so far, little-endian float64, empty once `edge` is known."""

    columns: list[Column]
    params: dict[str, float]
    scores: bytes
    edge: float | None
    trees: bytes
    share: AdwinState
    checksum: bytes = b""


class RowAnomaly:
    """Detector of rows.

    :param columns: the features that are looked at, in this order.
    :raises ConfigError: a parameter out of its range, or trees that would need megabytes.
    """

    PARAMS = {"n_trees": 10.0, "height": 8.0, "window_size": 250.0, "delta": 0.002}

    def __init__(self, columns: Sequence[Column], params: Mapping[str, float]) -> None:
        self.params = {name: float(value) for name, value in params.items()}
        shape = {name: self.params[name] for name in ("n_trees", "height", "window_size")}
        if shape["height"] > 15 or shape["n_trees"] * 2 ** shape["height"] > LEAVES_MAX:
            fix = f"n_trees · 2^height of at most {LEAVES_MAX:,}"
            raise ConfigError("hst: the trees are too large for a check", key="height", fix=fix)
        if shape["window_size"] > WINDOW_MAX:
            raise ConfigError(
                "hst: the window is too long", key="window_size", fix=f"at most {WINDOW_MAX:,}"
            )
        detectors.make("adwin", delta=self.params["delta"])
        self.columns = list(columns)
        low, high = (np.array([getattr(one, end) for one in columns]) for end in ("low", "high"))
        self._low, self._range = low - MARGIN * (high - low), (1 + 2 * MARGIN) * (high - low)
        self._mean = np.array([one.mean for one in columns])
        self._trees = detectors.make("hst", **shape)
        self._scores: list[float] = []
        self._edge: float | None = None
        self._share = Adwin(0.0, 1.0, self.params["delta"])

    @classmethod
    def of(
        cls, features: Mapping[str, NumericProfile], params: Mapping[str, float]
    ) -> "RowAnomaly | None":
        """A detector of the features that vary in the reference; None where none does."""
        columns = [
            Column(name, one.low, one.high, one.mean)
            for name, one in features.items()
            if one.high > one.low
        ]
        return cls(columns, params) if columns else None

    def update_many(self, rows: NDArray[np.floating]) -> list[Finding]:
        """Feed rows float[n, F], a column for each of `columns`; one finding for each rise."""
        scores = self._scored(rows)
        first, flags = 0, np.full(len(scores), np.nan)
        if self._edge is None:
            first = self._learn(scores)
        if self._edge is not None:
            flags[first:] = scores[first:] > self._edge
        return [found for found in self._share.update_many(flags) if found.direction == "up"]

    def _scored(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        values = np.array(rows, np.float64)
        values = np.where(np.isfinite(values), values, self._mean)
        scaled = np.clip((values - self._low) / self._range, 0.0, 1.0)
        # `make` promises what every detector has; half-space trees have scores beside it
        return self._trees.score_many(scaled)  # type: ignore[attr-defined, no-any-return]

    def _learn(self, scores: NDArray[np.float64]) -> int:
        """Take scores in until there are enough; how many rows that were."""
        missing = LEARNT_ROWS - len(self._scores)
        known = np.flatnonzero(~np.isnan(scores))[:missing]
        self._scores += scores[known].tolist()
        if len(self._scores) < LEARNT_ROWS:
            return len(scores)
        self._edge = sorted(self._scores)[-PASSING]
        self._scores = []
        return int(known[-1]) + 1

    def dump(self) -> RowAnomalyState:
        """The whole state, free of pickle."""
        state = RowAnomalyState(
            columns=self.columns,
            params=self.params,
            scores=np.array(self._scores, "<f8").tobytes(),
            edge=self._edge,
            trees=self._trees.snapshot(),
            share=self._share.dump(),
        )
        state.checksum = checksum(state)
        return state

    @classmethod
    def load(cls, state: RowAnomalyState) -> "RowAnomaly":
        """The detector as it was dumped.

        :raises ValueError: the state is damaged, or of another build's detector.
        """
        check(state)
        found = cls(state.columns, state.params)
        found._scores = np.frombuffer(state.scores, "<f8").tolist()
        found._edge = state.edge
        found._trees.restore(state.trees)
        found._share = Adwin.load(state.share)
        return found
