"""A column of vectors of a table: lists of numbers, as Parquet and JSON lines have them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inferwatch.errors import UsageError
from inferwatch.records import arrays
from inferwatch.records.raw import EMBEDDING_DIM_MAX


def sizes(path: Path, block: Any, name: str) -> NDArray[np.int64]:
    """How many numbers each row's vector has, 0 where a row has none.

    :raises UsageError: the column holds no lists, or one that is too long.
    """
    column = block.column(name)
    if pa.types.is_null(column.type):  # no row has one
        return np.zeros(len(column), np.int64)
    if not _holds_lists(column.type):
        raise UsageError(
            f"{path}: column '{name}' holds {column.type}, no vectors; "
            "an embedding is a column of lists of numbers, in Parquet or JSON lines"
        )
    found = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    longest = int(found.max(initial=0))
    if longest > EMBEDDING_DIM_MAX:
        raise UsageError(
            f"{path}: column '{name}' has a vector of {longest} numbers, "
            f"at most {EMBEDDING_DIM_MAX}"
        )
    return np.asarray(found, np.int64)


def _holds_lists(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def read(path: Path, block: Any, name: str) -> NDArray[np.float32] | None:
    """The vectors of a block, all of one size, as rows hold them; None where no row has one.

    :raises UsageError: they are not of numbers.
    """
    dims = sizes(path, block, name)
    dim = int(dims.max(initial=0))
    if not dim:
        return None
    column = block.column(name)
    try:
        flat = pc.cast(pc.list_flatten(column), pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # lists of words; lists of lists
        raise UsageError(f"{path}: column '{name}' holds {column.type}, no numbers") from None
    found = np.full((len(dims), dim), np.nan)
    found[dims > 0] = flat.reshape(-1, dim)
    return arrays.whole(found)
