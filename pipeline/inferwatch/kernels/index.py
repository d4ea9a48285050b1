"""A hash table from 64-bit hashes to ascending numbers that forgets its oldest for nothing: chains.

D. E. Knuth, "The Art of Computer Programming" vol. 3 (2nd ed.), section 6.4, algorithm C, with
chains from the newest entry to the oldest, as deflate keeps its window (P. Deutsch, RFC 1951,
section 4): a chain is at its end where entries are forgotten.

Entries are counted as they come. Entry e is row e mod P of `entries` int64[P, 3], P a power of two:
the bits of its hash, its number, and the entry before it in its chain. `heads` int64[P] are the
newest entries of the chains. Entries below `first` are forgotten.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels.jit import jit

NONE = -1
_HASH, _NUMBER, _BEFORE = range(3)
WIDTH = 3
Table = NDArray[np.int64]


@jit
def put(
    heads: Table, entries: Table, hashes: NDArray[np.int64], number: int, first: int, next_: int
) -> NDArray[np.bool_]:
    """Set the hashes to `number`, `number` + 1… as entries `next_`, `next_` + 1…; gives which of
    them had a number already. There is room for them.
    """
    mask, again = len(heads) - 1, np.empty(len(hashes), np.bool_)
    for at in range(len(hashes)):
        chain = hashes[at] & mask
        again[at] = _find(heads[chain], entries, hashes[at], first) >= 0
        place = (next_ + at) & mask
        entries[place, _HASH], entries[place, _NUMBER] = hashes[at], number + at
        entries[place, _BEFORE] = heads[chain]
        heads[chain] = next_ + at
    return again


@jit
def get(heads: Table, entries: Table, hashes: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """The newest number of each hash, -1 where there is none."""
    mask = len(heads) - 1
    found = np.empty(len(hashes), np.int64)
    for at in range(len(hashes)):
        entry = _find(heads[hashes[at] & mask], entries, hashes[at], first)
        found[at] = entries[entry & mask, _NUMBER] if entry >= 0 else NONE
    return found


@jit
def _find(entry: int, entries: Table, hash_: int, first: int) -> int:
    """The newest entry of the hash in the chain from `entry` on, -1 without."""
    mask = len(entries) - 1
    while entry >= first and entries[entry & mask, _HASH] != hash_:
        entry = entries[entry & mask, _BEFORE]
    return entry if entry >= first else NONE


@jit
def move(entries: Table, first: int, next_: int, into_heads: Table, into: Table) -> None:
    """Put the entries from `first` up to `next_` into an empty table, under the same count."""
    mask, wide = len(entries) - 1, len(into) - 1
    for entry in range(first, next_):
        hash_ = entries[entry & mask, _HASH]
        chain, place = hash_ & wide, entry & wide
        into[place, _HASH], into[place, _NUMBER] = hash_, entries[entry & mask, _NUMBER]
        into[place, _BEFORE] = into_heads[chain]
        into_heads[chain] = entry


@jit
def first_from(entries: Table, first: int, next_: int, number: int) -> int:
    """The first entry from `first` on, of those up to `next_`, with that number or a higher one."""
    mask = len(entries) - 1
    while first < next_:
        middle = (first + next_) // 2
        if entries[middle & mask, _NUMBER] < number:
            first = middle + 1
        else:
            next_ = middle
    return first
