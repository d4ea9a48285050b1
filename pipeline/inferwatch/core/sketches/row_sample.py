"""A sample of whole rows: those with the smallest hashes of their ids, ties by row number.

Which rows it keeps depends on the rows alone, not on how they were batched or merged; whatever
their order, each is as likely as any other. Source: the bottom-k sample of E. Cohen, H. Kaplan,
"Summarizing data using bottom-k sketches", PODC 2007. State: 4 bytes a value and 16 a row, of a
quarter more rows than the sample has, so that few batches sort. Cost: 0.1 µs a row of 20.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

ROWS_MAX = 1_000
VALUES_MAX = 1 << 18
SPARE = 4
HIGHEST = (1 << 64) - 1
Hashes = NDArray[np.uint64]
Values = NDArray[np.float32]


class RowSample(msgspec.Struct):
    """Rows among which the sample is; `values` is float32[F, n].

    No row whose hash is above `limit` is in it.
    """

    hashes: Hashes
    row: NDArray[np.int64]
    values: Values
    limit: int = HIGHEST


def size(features: int) -> int:
    """Rows of a sample of so many columns: 1,000, fewer beyond 262 columns."""
    return min(ROWS_MAX, VALUES_MAX // max(1, features))


def empty(features: int) -> RowSample:
    """A sample of `features` columns without a row."""
    return RowSample(
        np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((features, 0), np.float32)
    )


def update(sample: RowSample, hashes: Hashes, row: NDArray[np.int64], values: Values) -> None:
    """Add rows: their hashes, their numbers and float32[F, n]; a column more is missing before."""
    width = max(len(sample.values), len(values))
    sample.values = _wide(sample.values, width)
    near = hashes <= np.uint64(sample.limit)
    if not near.any():
        return
    sample.hashes = np.concatenate([sample.hashes, hashes[near]])
    sample.row = np.concatenate([sample.row, row[near]])
    sample.values = np.concatenate([sample.values, _wide(values[:, near], width)], axis=1)
    if len(sample.row) > size(width) + size(width) // SPARE:
        cut(sample)


def merge(into: RowSample, other: RowSample) -> None:
    """Add the rows of `other`, none of which `into` has seen."""
    update(into, other.hashes, other.row, other.values)


def cut(sample: RowSample) -> Values:
    """Drop what is not in the sample; gives its rows, float32[F, n], in the order of hashes."""
    most = size(len(sample.values))
    kept = np.lexsort((sample.row, sample.hashes))[:most]
    sample.hashes, sample.row = sample.hashes[kept], sample.row[kept]
    sample.values = sample.values[:, kept]
    if len(kept) == most:
        sample.limit = int(sample.hashes[-1])
    return sample.values


def _wide(values: Values, width: int) -> Values:
    if len(values) == width:
        return values
    missing = np.full((width - len(values), values.shape[1]), np.nan, np.float32)
    return np.concatenate([values, missing])
