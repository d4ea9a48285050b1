"""Detectors of one check that read the columns of a block in one call."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.drift import Detector
from inferwatch.core.drift.adwin import Adwin
from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.page_hinkley import PageHinkley

BANKED = frozenset({"adwin", "page_hinkley"})
"""Methods whose kernel feeds many columns."""


class Bank:
    """Detectors of one method by the column of a block that each reads.

    Their states lie in one array of which each detector keeps its row, so that fed alone or dumped
    it is what it was. Decisions are those of `update_many` on each column.

    :param detectors: None for a column that has none.
    :param width: how many columns there were when it was made.
    """

    def __init__(self, detectors: Mapping[int, Detector | None], width: int) -> None:
        self.width = width
        self._detectors = {
            column: detector
            for column, detector in detectors.items()
            if isinstance(detector, Adwin | PageHinkley) and not detector.blind()
        }
        self._columns = np.array([*self._detectors], np.int64)
        self._found = np.full(len(self._detectors), -1, np.int64)
        if self._detectors:
            members = [*self._detectors.values()]
            self._feed = members[0].update_columns
            self._params = np.stack([detector.params for detector in members])
            self._states = np.stack([detector.state for detector in members])
            for detector, state in zip(members, self._states, strict=True):
                detector.state = state

    def update(self, block: NDArray[np.float32]) -> list[tuple[int, list[Finding]]]:
        """Feed the rows of `block` float32[F, n]: by column that changed, what was found there."""
        if not self._detectors:
            return []
        block = np.ascontiguousarray(block)
        if not self._feed(block, self._columns, self._params, self._states, self._found):
            return []
        return [
            (column, detector.findings(block[column], row))
            for (column, detector), row in zip(
                self._detectors.items(), self._found.tolist(), strict=True
            )
            if row >= 0
        ]
