"""A sample of whole rows: those with the smallest hashes of their ids, ties by row number.

Which rows it keeps depends on the rows alone, not on how they were batched or merged; whatever
their order, each is as likely as any other. Source: the bottom-k sample of E. Cohen, H. Kaplan,
"Summarizing data using bottom-k sketches", PODC 2007. State: 4 bytes a value, 16 a row. Cost: a
comparison a row once it is full, a sort of the sample for batches that have a smaller hash.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

ROWS_MAX = 1_000
VALUES_MAX = 1 << 18
Hashes = NDArray[np.uint64]
Values = NDArray[np.float32]


class RowSample(msgspec.Struct):
    """Ascending by hash, then by row; `values` is float32[F, n]."""

    hashes: Hashes
    row: NDArray[np.int64]
    values: Values


def size(features: int) -> int:
    """Rows that are kept of so many columns: 1,000, fewer beyond 262 columns."""
    return min(ROWS_MAX, VALUES_MAX // max(1, features))


def empty(features: int) -> RowSample:
    """A sample of `features` columns without a row."""
    return RowSample(
        np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((features, 0), np.float32)
    )


def update(sample: RowSample, hashes: Hashes, row: NDArray[np.int64], values: Values) -> None:
    """Add rows: their hashes, their numbers and float32[F, n]; a column more is missing before."""
    width = max(len(sample.values), len(values))
    full = len(sample.hashes) - size(width)
    near = hashes <= sample.hashes[-1] if full >= 0 else np.ones(len(hashes), np.bool_)
    if full <= 0 and width == len(sample.values) and not near.any():
        return
    found = np.concatenate([sample.hashes, hashes[near]])
    rows = np.concatenate([sample.row, row[near]])
    kept = np.lexsort((rows, found))[: size(width)]
    both = [_wide(sample.values, width), _wide(values[:, near], width)]
    sample.hashes, sample.row = found[kept], rows[kept]
    sample.values = np.concatenate(both, axis=1)[:, kept]


def merge(into: RowSample, other: RowSample) -> None:
    """Add the rows of `other`, none of which `into` has seen."""
    update(into, other.hashes, other.row, other.values)


def _wide(values: Values, width: int) -> Values:
    missing = np.full((width - len(values), values.shape[1]), np.nan, np.float32)
    return np.concatenate([values, missing])
