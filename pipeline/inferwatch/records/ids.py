"""A column of ids as it travels: texts end to end, never an object each until somebody asks."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

CONTINUES = np.uint8(0b1000_0000)


class Ids(msgspec.Struct, frozen=True, eq=False):
    """n texts: text i is `data[ends[i-1]:ends[i]]` in UTF-8.

    `data` uint8, `ends` int32[n] ascending.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, at: int) -> str:
        return self.raw(at).decode()

    def __iter__(self) -> Iterator[str]:
        whole, start = self.data.tobytes(), 0
        for end in self.ends.tolist():
            yield whole[start:end].decode()
            start = end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids | list) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def is_sound(self) -> bool:
        """Whether the texts lie behind each other in `data`, and both arrays are of their kind."""
        kinds = self.data.dtype == np.uint8 and self.ends.dtype == np.int32
        if not kinds or not len(self.ends):
            return kinds
        ascending = self.ends[0] >= 0 and bool((self.ends[1:] >= self.ends[:-1]).all())
        return ascending and int(self.ends[-1]) <= len(self.data)

    def raw(self, at: int) -> bytes:
        """The bytes of one text."""
        start = int(self.ends[at - 1]) if at else 0
        return self.data[start : int(self.ends[at])].tobytes()

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each text."""
        sizes = self.ends.astype(np.int64)
        sizes[1:] -= self.ends[:-1]
        return sizes

    def take(self, keep: NDArray[np.bool_] | slice) -> "Ids":
        """The texts that `keep` picks."""
        if isinstance(keep, slice):
            first, last, step = keep.indices(len(self))
            if step != 1:
                mask = np.zeros(len(self), np.bool_)
                mask[keep] = True
                return self.take(mask)
            start = self.ends[first - 1] if first else np.int32(0)
            end = self.ends[last - 1] if last > first else start
            return Ids(self.data[start:end], self.ends[first:last] - start)
        sizes = self.sizes()
        return Ids(self.data[np.repeat(keep, sizes)], np.cumsum(sizes[keep]).astype(np.int32))


def pack(texts: Iterable[str]) -> Ids:
    """The column of these texts.

    :raises UnicodeEncodeError: one holds half of a surrogate pair.
    """
    encoded = [text.encode() for text in texts]
    ends = np.cumsum(np.fromiter(map(len, encoded), np.int32, len(encoded)), dtype=np.int32)
    return Ids(np.frombuffer(bytearray(b"".join(encoded) + b"\0"), np.uint8)[:-1], ends)


def concat(columns: Sequence[Ids]) -> Ids:
    """The texts of all, in order."""
    ends, offset = [], 0
    for column in columns:
        ends.append(column.ends + np.int32(offset))
        offset += len(column.data)
    return Ids(np.concatenate([column.data for column in columns]), np.concatenate(ends))


def is_text(data: bytes, ends: NDArray[np.integer]) -> bool:
    """Whether `data` is UTF-8 and no end lies inside a letter."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    inside = ends[(ends > 0) & (ends < len(data))]
    starts = np.frombuffer(data, np.uint8)[inside]
    return not bool((starts & np.uint8(0b1100_0000) == CONTINUES).any())
