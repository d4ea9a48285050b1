"""What the join gives: predictions beside what turned out to be true of them."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.records.rows import Codes, Floats


class Joined(msgspec.Struct):
    """Predictions with their labels: to add (`sign` 1) or to take back (-1), as they came.

    `delay_ms` is how long after its prediction a row's first label was; NaN for any other label.
    `scores` are as in `Block`. With `queries` the rows are queries, each at its first row, and what
    each is worth as in `metrics.ranking`.
    """

    version: str
    sign: int
    time_ms: NDArray[np.int64]
    row: NDArray[np.int64]
    predicted: Codes
    value: Floats
    score: Floats
    late: NDArray[np.uint16]
    segments: dict[str, Codes]
    label: Codes
    truth: Floats
    delay_ms: Floats
    scores: NDArray[np.float32] | None = None
    queries: Floats | None = None

    def take(self, keep: NDArray[np.bool_]) -> "Joined":
        """The rows that `keep` picks."""
        return Joined(
            version=self.version,
            sign=self.sign,
            time_ms=self.time_ms[keep],
            row=self.row[keep],
            predicted=self.predicted[keep],
            value=self.value[keep],
            score=self.score[keep],
            late=self.late[keep],
            segments={name: codes[keep] for name, codes in self.segments.items()},
            label=self.label[keep],
            truth=self.truth[keep],
            delay_ms=self.delay_ms[keep],
            scores=None if self.scores is None else self.scores[:, keep],
            queries=None if self.queries is None else self.queries[:, keep],
        )
