"""Parts of a feature that a check can name: what its values were like, whatever their drift.

A part is a figure of the window, unknown with its reason where it means nothing, and the figure
that the reference had, None where it keeps none. Its line in `PARTS` makes it known to monitor
files. Cost: under a microsecond, the bins are counted anyway.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from inferwatch.core.columns import OTHER
from inferwatch.core.figure import Figure
from inferwatch.records.definition import CategoryProfile, NumericProfile
from inferwatch.records.outputs import FeatureFigures

STUCK_ROWS_MIN = 50
STUCK_CHANCE_MAX = 1e-3
Column = NumericProfile | CategoryProfile | None
NUMBERS = "only numbers have it"
WORDS = "only words have it"
NO_REFERENCE = "not in the reference"
Read = Callable[[FeatureFigures, Column], tuple[Figure, float | None]]


class Part(NamedTuple):
    """How a part is read, whether it is a share, and whether it needs a reference."""

    read: Read
    share: bool = True
    compares: bool = False


def _share(part: int, whole: int) -> Figure:
    return Figure(part / whole, whole) if whole else Figure(None, unknown="no rows")


def _total(seen: FeatureFigures) -> int:
    return seen.rows + seen.missing + seen.non_finite


def _missing(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Rows without a usable value: absent, NaN, ±Inf."""
    before = None
    if isinstance(column, NumericProfile):
        before = column.counts[-1] / max(sum(column.counts), 1)
    elif column is not None:
        before = column.missing / max(sum(column.counts) + column.missing, 1)
    return _share(seen.missing + seen.non_finite, _total(seen)), before


def _non_finite(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Rows with ±Inf alone."""
    if _is_words(seen, column):
        return Figure(None, unknown=NUMBERS), None
    return _share(seen.non_finite, _total(seen)), None


def _is_words(seen: FeatureFigures, column: Column) -> bool:
    return isinstance(column, CategoryProfile) or seen.distinct > 0


def _empty(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Rows whose word is nothing but spaces."""
    if not _is_words(seen, column):
        return Figure(None, unknown=WORDS), None
    before = None
    if isinstance(column, CategoryProfile):
        blank = sum(
            count
            for word, count in zip(column.words, column.counts, strict=True)
            if not word.strip()
        )
        before = blank / max(sum(column.counts) + column.missing, 1)
    return _share(seen.empty, _total(seen)), before


def _unseen(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Values that the reference does not have; none among numbers."""
    return _share(seen.unseen, seen.rows), 0.0


def _distinct(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """How many words there are; above 1,000 an estimate."""
    if not _is_words(seen, column):
        return Figure(None, unknown=WORDS), None
    before = None
    if isinstance(column, CategoryProfile) and OTHER not in column.words:
        before = float(len(column.words))
    return Figure(float(seen.distinct), seen.rows), before


def _out_of_range(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Values below the reference's least or above its most."""
    if _is_words(seen, column):
        return Figure(None, unknown=NUMBERS), None
    if column is None:
        return Figure(None, unknown=NO_REFERENCE), None
    if seen.out_of_range is None:
        return Figure(None, unknown="the reference has no bins beyond its range"), 0.0
    return _share(seen.out_of_range, seen.rows), 0.0


def _constant(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """1 for a column that is stuck: one value only where the reference varied; else 0.

    Unknown while rows like the reference's would be all equal with a chance above 0.001, and under
    50 rows.
    """
    if column is None:
        return Figure(None, unknown=NO_REFERENCE), None
    counts = column.counts[:-1] if isinstance(column, NumericProfile) else column.counts
    whole = sum(counts)
    fixed = max(counts, default=0) == whole
    if isinstance(column, NumericProfile):
        fixed = not whole or column.least == column.most
    if fixed:
        return Figure(None, seen.rows, unknown="constant in the reference"), 1.0
    varies = seen.distinct > 1
    if isinstance(column, NumericProfile):
        varies = seen.least is not None and seen.least != seen.most
    if varies:
        return Figure(0.0, seen.rows), 0.0
    needed = rows_to_tell(max(counts) / whole)
    if seen.rows < needed:
        return Figure(None, seen.rows, unknown=f"{seen.rows} values of {needed}"), 0.0
    return Figure(1.0, seen.rows), 0.0


def rows_to_tell(largest: float) -> int:
    """Rows that hold one value only with a chance of at most 0.001, but no fewer than 50.

    :param largest: share of the reference's most frequent value, or of its fullest bin.
    """
    if largest >= 1.0:
        return STUCK_ROWS_MIN
    return max(STUCK_ROWS_MIN, math.ceil(math.log(STUCK_CHANCE_MAX) / math.log(largest)))


def _moment(value: float | None, seen: FeatureFigures, column: Column) -> Figure:
    if value is not None:
        return Figure(value, seen.rows)
    if _is_words(seen, column):
        return Figure(None, unknown=NUMBERS)
    return Figure(None, seen.rows, unknown="one value" if seen.rows else "no rows")


def _mean(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Mean of the finite values."""
    before = column.mean if isinstance(column, NumericProfile) else None
    return _moment(seen.mean, seen, column), before


def _sd(seen: FeatureFigures, column: Column) -> tuple[Figure, float | None]:
    """Sample standard deviation of the finite values."""
    before = column.sd if isinstance(column, NumericProfile) else None
    return _moment(seen.sd, seen, column), before


PARTS = {
    "missing": Part(_missing),
    "non_finite": Part(_non_finite),
    "empty": Part(_empty),
    "unseen": Part(_unseen, compares=True),
    "distinct": Part(_distinct, share=False),
    "out_of_range": Part(_out_of_range, compares=True),
    "constant": Part(_constant, compares=True),
    "mean": Part(_mean, share=False),
    "sd": Part(_sd, share=False),
}
