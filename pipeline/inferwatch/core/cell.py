"""What a pane keeps of one segment: counts and sketches that merge.

Rows are kept only by exact windows (`Kept`) and, some of them, for inspectors (`sample`).
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import embeddings, llm, resources, stability, vocabulary
from inferwatch.core.columns import OTHER, Block, Columns, decisions
from inferwatch.core.embeddings import EmbeddingCell
from inferwatch.core.llm import CallCell
from inferwatch.core.reference import VersionReference
from inferwatch.core.resources import Gauge, Lives
from inferwatch.core.sketches import (
    binned,
    hyperloglog,
    log_histogram,
    moments,
    row_sample,
    score_labels,
)
from inferwatch.core.sketches.binned import Grid
from inferwatch.core.sketches.log_histogram import LogHistogram
from inferwatch.core.sketches.moments import Moments
from inferwatch.core.sketches.row_sample import RowSample
from inferwatch.core.sketches.score_labels import ScoreLabels
from inferwatch.core.stability import StabilityCell

LATENCY, SCORE, VALUE = 0, 1, 2


class Kept(msgspec.Struct):
    """Columns of an exact window, one array a batch, joined when it closes."""

    numeric: list[NDArray[np.float32]] = []
    score: list[NDArray[np.float64]] = []
    value: list[NDArray[np.float64]] = []


class Cell(msgspec.Struct):
    """One segment of one pane. `answers` are the moments of latency, score and value, the last a
    regression's prediction; `score_bins` and `value_bins` count the latter two.

    `beyond` sketches the words that found no place in `words`. `again` are rows whose prediction id
    had come before; of all segments together only. Where a window is asked for estimates, `decided`
    are the scores by whether the answer was the positive class; of several classes those of the
    answer, all as positive.
    """

    answers: Moments
    latency: LogHistogram
    rows: int = 0
    failed: int = 0
    timed_out: int = 0
    numeric: Moments | None = None
    bins: NDArray[np.int64] | None = None
    score_bins: NDArray[np.int64] | None = None
    words: dict[str, dict[str, int]] = {}
    wordless: dict[str, int] = {}
    classes: dict[int, int] = {}
    gauges: dict[str, Gauge] = {}
    emitted: int = 0
    dropped: int = 0
    kept: Kept | None = None
    llm: CallCell | None = None
    sample: RowSample | None = None
    beyond: dict[str, hyperloglog.Registers] = {}
    again: int = 0
    stability: StabilityCell | None = None
    lives: Lives | None = None
    decided: ScoreLabels | None = None
    embedding: EmbeddingCell | None = None
    value_bins: NDArray[np.int64] | None = None


def empty(
    reference: VersionReference, *, features: int | None, exact: bool, sampled: bool = False
) -> Cell:
    """A cell without rows, of so many numeric features; None where it keeps no features at all."""
    ready = reference.grid is not None and features is not None
    embedding = reference.embedding if features is not None else None
    return Cell(
        answers=moments.empty(3),
        latency=log_histogram.empty(),
        numeric=None if features is None else moments.empty(features),
        bins=binned.empty(reference.grid) if ready and reference.grid else None,
        score_bins=binned.empty(reference.score_grid) if reference.score_grid else None,
        value_bins=binned.empty(reference.value_grid) if reference.value_grid else None,
        kept=Kept() if exact else None,
        sample=row_sample.empty(features or 0) if sampled else None,
        embedding=embeddings.empty(embedding) if embedding else None,
    )


class Tally(msgspec.Struct):
    """Counts of a block's rows, made once for all the cells that they go to.

    `answers` float64[3, n] are their latencies, scores and values; `classes` rows by class code,
    `words` and `wordless` rows by category and those without one, `along` embeddings on the
    reference's bins.
    """

    rows: int
    failed: int
    timed_out: int
    answers: NDArray[np.float64]
    classes: list[tuple[int, int]]
    score_bins: NDArray[np.int64] | None
    value_bins: NDArray[np.int64] | None
    bins: NDArray[np.int64] | None
    words: list[tuple[str, int, vocabulary.Seen]]
    along: NDArray[np.int64] | None = None


def tally(block: Block, reference: VersionReference, *, features: bool) -> Tally:
    """Count the rows of `block`, and their features where asked for; cost 0.2 µs a row of 20."""
    bins = None
    if features and reference.grid is not None:
        bins = binned.empty(reference.grid)
        binned.update(bins, reference.grid, block.numeric, reference.columns())
    classes = np.bincount(block.predicted + 1)[1:]
    return Tally(
        rows=len(block.time_ms),
        failed=int(np.count_nonzero(block.failed)),
        timed_out=0 if block.timed_out is None else int(np.count_nonzero(block.timed_out)),
        answers=np.stack([block.latency_ms, block.score, block.value]),
        classes=[(code, int(classes[code])) for code in np.flatnonzero(classes).tolist()],
        score_bins=_counted(reference.score_grid, block.score),
        value_bins=_counted(reference.value_grid, block.value),
        bins=bins,
        words=[
            (name, *vocabulary.counted(column))
            for name, column in block.categories.items()
            if features
        ],
        along=embeddings.count(block.along, reference.embedding)
        if block.along and features
        else None,
    )


def _counted(grid: Grid | None, answers: NDArray[np.float64]) -> NDArray[np.int64] | None:
    if grid is None:
        return None
    counts = binned.empty(grid)
    binned.update(counts, grid, answers[np.newaxis])
    return counts


def add(cell: Cell, block: Block, counted: Tally) -> None:
    """Fold the rows of `block` into `cell`; cost 0.1 µs a row of 20 features.

    :param counted: what `tally` gives for them.
    """
    cell.rows += counted.rows
    cell.failed += counted.failed
    cell.timed_out += counted.timed_out
    moments.update(cell.answers, counted.answers)
    log_histogram.update(cell.latency, block.latency_ms)
    known = len(cell.classes)
    for code, count in counted.classes:
        cell.classes[code] = cell.classes.get(code, 0) + count
    if len(cell.classes) > known:
        cell.classes = dict(sorted(cell.classes.items()))
    if cell.score_bins is not None and counted.score_bins is not None:
        cell.score_bins += counted.score_bins
    if cell.value_bins is not None and counted.value_bins is not None:
        cell.value_bins += counted.value_bins
    if block.llm is not None:
        cell.llm = cell.llm or llm.empty()
        llm.add(cell.llm, block.llm, block.latency_ms, block.failed)
    if cell.numeric is not None:
        cell.numeric = moments.grown(cell.numeric, len(block.numeric))
        moments.update(cell.numeric, block.numeric)
        _add_features(cell, block, counted)
        if block.along is not None:
            cell.embedding = cell.embedding or EmbeddingCell()
            embeddings.add(cell.embedding, block.along, counted.along)
    if cell.kept is not None:
        cell.kept.numeric.append(block.numeric)
        cell.kept.score.append(block.score)
        if cell.value_bins is not None:
            cell.kept.value.append(block.value)
    if cell.sample is not None:
        row_sample.update(cell.sample, block.hashes, block.row, block.numeric)


def decide(cell: Cell, block: Block, columns: Columns, positive: str) -> None:
    """Count the rows with a score and an answer, which of several classes counts as positive."""
    score, answer = decisions(columns, positive, block.predicted, block.score, block.scores)
    known = np.isfinite(score)
    cell.decided = cell.decided or score_labels.empty()
    score_labels.add(cell.decided, score[known], answer[known])


def _add_features(cell: Cell, block: Block, counted: Tally) -> None:
    if cell.bins is not None and counted.bins is not None:
        cell.bins += counted.bins
    for name, wordless, seen in counted.words:
        words = cell.words.setdefault(name, {})
        cell.wordless[name] = cell.wordless.get(name, 0) + wordless
        vocabulary.add(words, block.categories[name], seen)
        _note_beyond(cell, name, [word for word, _ in seen])


def _note_beyond(cell: Cell, name: str, seen: Sequence[str]) -> None:
    """Sketch those of the words just counted that the full dictionary could not take."""
    words = cell.words[name]
    if len(words) < vocabulary.WORDS_MAX:
        return
    lost = [word for word in seen if word not in words]
    if lost:
        hyperloglog.add(cell.beyond.setdefault(name, hyperloglog.empty()), lost)


def distinct(cell: Cell, name: str) -> int:
    """How many words a category had: exact up to 1,000, an estimate above."""
    words = cell.words.get(name, {})
    if name not in cell.beyond:
        return len(words)
    whole = cell.beyond[name].copy()
    hyperloglog.add(whole, [word for word in words if word != OTHER])
    return round(hyperloglog.estimate(whole))


def merge(into: Cell, other: Cell) -> None:
    """Add the rows of `other`, a later pane of the same segment."""
    into.rows += other.rows
    into.failed += other.failed
    into.timed_out += other.timed_out
    into.emitted += other.emitted
    into.dropped += other.dropped
    into.again += other.again
    if other.stability is not None:
        into.stability = into.stability or stability.cell()
        stability.merge(into.stability, other.stability)
    if other.decided is not None:
        into.decided = into.decided or score_labels.empty()
        score_labels.merge(into.decided, other.decided)
    moments.merge(into.answers, other.answers)
    log_histogram.merge(into.latency, other.latency)
    if other.llm is not None:
        into.llm = into.llm or llm.empty()
        llm.merge(into.llm, other.llm)
    _merge_features(into, other)
    for code, count in other.classes.items():
        into.classes[code] = into.classes.get(code, 0) + count
    resources.merge(into.gauges, other.gauges)
    into.lives = resources.merge_lives(into.lives, other.lives)
    if into.sample is not None and other.sample is not None:
        row_sample.merge(into.sample, other.sample)


def _merge_features(into: Cell, other: Cell) -> None:
    if into.numeric is not None and other.numeric is not None:
        width = max(len(into.numeric.count), len(other.numeric.count))
        into.numeric = moments.grown(into.numeric, width)
        moments.merge(into.numeric, moments.grown(other.numeric, width))
    into.embedding = embeddings.merge(into.embedding, other.embedding)
    into.bins = _sum(into.bins, other.bins)
    into.score_bins = _sum(into.score_bins, other.score_bins)
    into.value_bins = _sum(into.value_bins, other.value_bins)
    for name, words in other.words.items():
        mine = into.words.setdefault(name, {})
        for word, count in words.items():
            vocabulary.count(mine, word, count)
        _note_beyond(into, name, [word for word in words if word != OTHER])
    for name, registers in other.beyond.items():
        hyperloglog.merge(into.beyond.setdefault(name, hyperloglog.empty()), registers)
    for name, count in other.wordless.items():
        into.wordless[name] = into.wordless.get(name, 0) + count


def _sum(
    left: NDArray[np.int64] | None, right: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """Counts of both; none where one of the panes was folded before the reference was known."""
    if left is None or right is None or len(left) != len(right):
        return None
    return left + right
