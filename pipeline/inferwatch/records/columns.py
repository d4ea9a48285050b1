"""Columns of a batch as they travel: little-endian arrays and dictionary-coded words.

The one place that knows how values become bytes. Standard library only, because the SDK runs this
inside model servers and must not import numpy for it. `schemas/batch.md` is the written form.
"""

import array
import sys
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    Data = bytes
else:
    Data = bytearray  # is read as one: numpy's array over it is as kernels take it, without a copy

MISSING_CODE = -1


class Texts(msgspec.Struct, frozen=True):
    """Strings end to end: UTF-8 `data` and, for each row, the byte at which it ends (uint32)."""

    data: Data
    ends: Data


class Numbers(msgspec.Struct, frozen=True, tag="numbers", tag_field="kind"):
    """One float64 a row; NaN is missing."""

    data: Data


class Categories(msgspec.Struct, frozen=True, tag="categories", tag_field="kind"):
    """A dictionary and, for each row, the int32 position in it; -1 is missing."""

    words: list[str]
    codes: Data


class Float32Block(msgspec.Struct, frozen=True):
    """Several float32 columns, one whole column after the other, in the order of `names`."""

    names: list[str]
    data: Data


class Float64Block(msgspec.Struct, frozen=True):
    """Several float64 columns, one whole column after the other, in the order of `names`."""

    names: list[str]
    data: Data


class Vectors(msgspec.Struct, frozen=True):
    """A vector of `dim` float32 a row, one whole row after the other; NaN where a row has none."""

    dim: int
    data: Data


def pack(typecode: str, values: Iterable[float]) -> bytes:
    """Little-endian bytes of `values`; `typecode` as in `array` (f, d, q, i, I)."""
    column = array.array(typecode, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def pack_texts(values: Sequence[str]) -> Texts:
    """Strings as one block; lone surrogates become `?` rather than an error in the caller."""
    whole = "".join(values)
    if whole.isascii():  # one byte a letter
        return Texts(whole.encode(), pack("I", list(accumulate(map(len, values)))))
    encoded = [value.encode("utf-8", "replace") for value in values]
    return Texts(b"".join(encoded), pack("I", list(accumulate(map(len, encoded)))))


def pack_categories(values: Iterable[str | None]) -> Categories:
    """Words in order of first appearance, `None` as missing."""
    positions: dict[str, int] = {}
    codes = [
        MISSING_CODE if value is None else positions.setdefault(value, len(positions))
        for value in values
    ]
    return Categories(list(positions), pack("i", codes))
