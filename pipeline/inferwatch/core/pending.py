"""What the join of predictions and labels remembers: its state in a checkpoint.

Predictions lie in slabs, labels in pieces of answers; a full one never changes again, so that a
checkpoint that has it need not look.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import sample
from inferwatch.core.columns import Block
from inferwatch.core.early import Early
from inferwatch.core.watermark import UNSET
from inferwatch.records.ids import Ids, concat
from inferwatch.records.rows import Codes, Floats

SLAB_ROWS = 1_024
ROW_BYTES = 34
ANSWER_BYTES = 20
NONE_MS = -1


class Slab(msgspec.Struct):
    """Predictions of one version, in log order; once it is not open any more it never changes.

    `row` numbers the rows of the version. `late` has bit w set where the row came too late for
    window definition w. `value` is empty unless labels are numbers; `scores` and `query` are as in
    `Block`.
    """

    version: str
    ids: Ids
    row: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    predicted: Codes
    score: Floats
    segments: dict[str, Codes]
    late: NDArray[np.uint16]
    value: Floats
    newest_ms: int
    scores: NDArray[np.float32] | None = None
    query: NDArray[np.int64] | None = None

    def full(self) -> bool:
        """Whether the next rows go to another slab."""
        return len(self.ids) >= SLAB_ROWS


class Answers(msgspec.Struct):
    """Labels in the order they came, each for a slot: a full piece, which never changes.

    `truth` is empty unless it is a regression.
    """

    slot: NDArray[np.int64]
    label: Codes
    at_ms: NDArray[np.int64]
    truth: Floats


class Pending(msgspec.Struct):
    """State of the join. `shift` s keeps one id in 2^s.

    `slabs` and `answers` are numbered as they are made; `open` is each version's slab that still
    takes rows, `answered` the answers since the last full piece. In a ranking queries that began
    before `closed_ms` change no more.
    """

    slabs: dict[int, Slab] = {}
    open: dict[str, int] = {}
    next_slab: int = 0
    answers: dict[int, Answers] = {}
    answered: list[tuple[int, int, int, float]] = []
    next_answers: int = 0
    early: dict[str, Early] = {}
    bytes: int = 0
    shift: int = 0
    repeated: int = 0
    conflicts: int = 0
    collisions: int = 0
    orphans: int = 0
    too_late: int = 0
    closed_ms: int = UNSET


class Known(msgspec.Struct):
    """What is known of a slab's rows by now; follows from the answers. `at_ms` is NONE_MS without.

    `truth` is empty unless it is a regression.
    """

    label: Codes
    at_ms: NDArray[np.int64]
    truth: Floats


def slab_of(
    block: Block,
    late: NDArray[np.uint16],
    span: slice,
    keep: NDArray[np.bool_] | None,
    *,
    values: bool,
) -> Slab:
    """What the join remembers of a block's rows in `span`, of those that `keep` picks."""
    rows = Slab(
        version=block.version,
        ids=block.ids.take(span),
        row=block.row[span],
        time_ms=block.time_ms[span],
        predicted=block.predicted[span],
        score=block.score[span],
        segments={name: codes[span] for name, codes in block.segments.items()},
        late=late[span],
        value=block.value[span] if values else np.empty(0),
        newest_ms=0,
        scores=None if block.scores is None else block.scores[:, span],
        query=None if block.query is None else block.query[:, span],
    )
    if keep is not None:
        rows = taken(rows, keep[span])
    rows.newest_ms = int(rows.time_ms.max(initial=0))
    return rows


def unknown(n: int, values: int) -> Known:
    """n rows without a label; truths are kept where there are `values`."""
    truth = np.full(n if values else 0, np.nan)
    return Known(np.full(n, -1, np.int32), np.full(n, NONE_MS, np.int64), truth)


def together(first: Slab, then: Slab) -> Slab:
    """The rows of both; a segment that one lacks is missing there."""
    segments = {}
    for name in [*first.segments, *(name for name in then.segments if name not in first.segments)]:
        parts = [
            slab.segments.get(name, np.full(len(slab.ids), -1, np.int32)) for slab in (first, then)
        ]
        segments[name] = np.concatenate(parts)
    return Slab(
        version=first.version,
        ids=concat([first.ids, then.ids]),
        row=np.concatenate([first.row, then.row]),
        time_ms=np.concatenate([first.time_ms, then.time_ms]),
        predicted=np.concatenate([first.predicted, then.predicted]),
        score=np.concatenate([first.score, then.score]),
        segments=segments,
        late=np.concatenate([first.late, then.late]),
        value=np.concatenate([first.value, then.value]),
        newest_ms=max(first.newest_ms, then.newest_ms),
        scores=_both_scores(first, then),
        query=_both_queries(first, then),
    )


def _both_scores(first: Slab, then: Slab) -> NDArray[np.float32] | None:
    if first.scores is None and then.scores is None:
        return None
    width = max(0 if one.scores is None else len(one.scores) for one in (first, then))
    parts = [widened(one.scores, width, len(one.ids)) for one in (first, then)]
    return np.concatenate(parts, axis=1)


def _both_queries(first: Slab, then: Slab) -> NDArray[np.int64] | None:
    if first.query is None or then.query is None:
        return None
    return np.concatenate([first.query, then.query], axis=1)


def widened(scores: NDArray[np.float32] | None, classes: int, n: int) -> NDArray[np.float32]:
    """Scores of n rows with room for so many classes, NaN for those that are new."""
    if scores is not None and len(scores) >= classes:
        return scores
    found = np.full((classes, n), np.nan, np.float32)
    if scores is not None:
        found[: len(scores)] = scores
    return found


def taken(slab: Slab, kept: NDArray[np.bool_]) -> Slab:
    """The rows that `kept` picks."""
    return Slab(
        version=slab.version,
        ids=sample.pick(slab.ids, kept),
        row=slab.row[kept],
        time_ms=slab.time_ms[kept],
        predicted=slab.predicted[kept],
        score=slab.score[kept],
        segments={name: codes[kept] for name, codes in slab.segments.items()},
        late=slab.late[kept],
        value=slab.value[kept] if len(slab.value) else slab.value,
        newest_ms=slab.newest_ms,
        scores=None if slab.scores is None else slab.scores[:, kept],
        query=None if slab.query is None else slab.query[:, kept],
    )


def slab_bytes(slab: Slab) -> int:
    """Estimate of what the slab takes in a checkpoint."""
    row = ROW_BYTES + 4 * len(slab.segments) + (8 if len(slab.value) else 0)
    row += 0 if slab.scores is None else 4 * len(slab.scores)
    row += 0 if slab.query is None else 16
    return len(slab.ids.data) + row * len(slab.ids)


def some(values: Sequence[float]) -> Floats:
    """The values, or nothing where none is a number: only a regression has truths."""
    found = np.array(values, np.float64)
    return found if np.isfinite(found).any() else np.empty(0)
