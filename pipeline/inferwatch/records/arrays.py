"""Columns of a batch as numpy arrays: each has its size, its codes and ends lie inside of it.

The other end of `records.columns`, which packs them. Every function here raises `DataError`, with
the column's name, for one that is not as `schemas/batch.md` says.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferwatch.errors import DataError, Reason
from inferwatch.records.batch import CALL_NUMBERS, LlmCalls
from inferwatch.records.columns import (
    Categories,
    Float32Block,
    Float64Block,
    Numbers,
    Texts,
    Vectors,
)
from inferwatch.records.ids import Ids, is_text
from inferwatch.records.raw import COLUMNS_MAX, COUNT_END, EMBEDDING_DIM_MAX, TEXT_MAX_BYTES
from inferwatch.records.rows import Calls, Floats, Words

INT32, UINT32, INT64 = np.dtype("<i4"), np.dtype("<u4"), np.dtype("<i8")
FLOAT32, FLOAT64 = np.dtype("<f4"), np.dtype("<f8")


def array(data: bytes, n: int, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    """n numbers, in place."""
    if len(data) != n * dtype.itemsize:
        raise DataError(
            Reason.COLUMN_LENGTH, f"{name} holds {len(data)} bytes, {n * dtype.itemsize} expected"
        )
    return np.frombuffer(data, dtype)


def times(data: bytes, n: int) -> NDArray[np.int64]:
    """Event times, in ms."""
    return array(data, n, INT64, "time_ms").astype(np.int64, copy=False)


def source_offsets(data: bytes | None, n: int) -> NDArray[np.int64] | None:
    """Where rows stood in the topic that they come from, ascending."""
    if data is None:
        return None
    offsets = array(data, n, INT64, "source_offsets").astype(np.int64, copy=False)
    if int(offsets.min()) < 0 or int(offsets.max()) >= COUNT_END:
        raise DataError(Reason.INT_RANGE, "a source offset is not in 0 to 2^62")
    if (np.diff(offsets) <= 0).any():
        raise DataError(Reason.INT_RANGE, "source_offsets do not ascend")
    return offsets


def floats(data: bytes | None, n: int, name: str) -> Floats | None:
    """Numbers that travel as float32."""
    return None if data is None else array(data, n, FLOAT32, name).astype(np.float64)


def calls(told: LlmCalls, n: int) -> Calls:
    """What calls of a language model used; a column that was left out is missing."""
    numbers = np.full((len(CALL_NUMBERS), n), np.nan)
    for row, name in zip(numbers, CALL_NUMBERS, strict=True):
        column = floats(getattr(told, name), n, f"llm.{name}")
        if column is not None:
            row[:] = column
    if told.finish_reason is None:
        return Calls(numbers, Words((), np.full(n, -1, np.int32)))
    return Calls(numbers, words(told.finish_reason, n, "llm.finish_reason"))


def vectors(column: Vectors, n: int) -> NDArray[np.float32]:
    """The vectors, float32[n, dim]; one with a number that is not finite is none."""
    if not 1 <= column.dim <= EMBEDDING_DIM_MAX:
        raise DataError(
            Reason.INT_RANGE, f"embedding.dim is {column.dim}, 1 to {EMBEDDING_DIM_MAX}"
        )
    flat = array(column.data, n * column.dim, FLOAT32, "embedding")
    return whole(flat.reshape(n, column.dim))


def whole(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors [n, d] as rows hold them: all NaN is one with a number that float32 has not."""
    with np.errstate(over="ignore"):
        found = vectors.astype(np.float32)  # a copy: aligned
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found


def block(
    columns: Float32Block | Float64Block | None, n: int, dtype: np.dtype[Any], name: str
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Names of k columns, and the columns [k, n] in place."""
    if columns is None:
        return (), np.empty((0, n), dtype)
    width = len(columns.names)
    if width > COLUMNS_MAX:
        raise DataError(Reason.TOO_MANY_FIELDS, f"{name} has {width} columns")
    if len(dict.fromkeys(columns.names)) != width:
        raise DataError(Reason.DUPLICATE_KEY, f"{name} names a column twice")
    flat = array(columns.data, n * width, dtype, name)
    return tuple(columns.names), flat.reshape(width, n)


def _ends(texts: Texts, n: int, name: str) -> tuple[NDArray[np.int32], int]:
    """Where each text ends, and the bytes of the shortest."""
    ends = array(texts.ends, n, UINT32, f"{name}.ends")
    steps = ends[1:] - ends[:-1]  # unsigned: a step back is a huge one
    longest = int(np.maximum.reduce(steps, initial=ends[0]))
    backwards = longest > TEXT_MAX_BYTES and (ends[1:] < ends[:-1]).any()
    if backwards or int(ends[-1]) != len(texts.data):
        raise DataError(Reason.COLUMN_LENGTH, f"{name}.ends do not fit its data")
    if longest > TEXT_MAX_BYTES:
        raise DataError(Reason.TOO_LARGE, f"{name} holds a text above {TEXT_MAX_BYTES} bytes")
    shortest = int(np.minimum.reduce(steps, initial=ends[0]))
    ends = ends.astype(np.int32)
    if not is_text(texts.data, ends):
        raise DataError(Reason.BAD_UTF8, f"{name} is not UTF-8")
    return ends, shortest


def ids(texts: Texts, n: int, name: str) -> tuple[Ids, int]:
    """The column, and the bytes of its shortest id."""
    ends, shortest = _ends(texts, n, name)
    return Ids(np.frombuffer(texts.data, np.uint8), ends), shortest


def words(column: Categories, n: int, name: str) -> Words:
    """A column of words."""
    codes = array(column.codes, n, INT32, f"{name}.codes").astype(np.int32, copy=False)
    if int(codes.min()) < -1 or int(codes.max()) >= len(column.words):
        raise DataError(Reason.INT_RANGE, f"{name} has a code outside its dictionary")
    check_texts(f"a word of {name}", column.words)
    return Words(tuple(column.words), codes)


def answer(column: Numbers | Categories | None, n: int, name: str) -> Words | Floats | None:
    """Classes or values."""
    if column is None:
        return None
    if isinstance(column, Categories):
        return words(column, n, name)
    return array(column.data, n, FLOAT64, name).astype(np.float64, copy=False)


def check_texts(name: str, texts: tuple[str, ...] | list[str]) -> None:
    """Names and words are no longer than they may be."""
    if 4 * max(map(len, texts), default=0) <= TEXT_MAX_BYTES:
        return  # a letter is four bytes at most
    for text in texts:
        if len(text) > TEXT_MAX_BYTES or (
            not text.isascii() and len(text.encode()) > TEXT_MAX_BYTES
        ):
            raise DataError(Reason.TOO_LARGE, f"{name} above {TEXT_MAX_BYTES} bytes")
