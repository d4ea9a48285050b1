"""Words counted in a bounded dictionary: the first 1,000 find room, all others count as one.

Which are the first follows the rows, not the order of a batch's own dictionary nor how rows were
batched.
"""

import numpy as np

from inferwatch.core.columns import OTHER
from inferwatch.records.rows import Words

WORDS_MAX = 1_000
Seen = list[tuple[str, int]]


def counted(column: Words) -> tuple[int, Seen]:
    """Rows without a word, and rows by word."""
    counts = np.bincount(column.codes + 1, minlength=len(column.words) + 1)
    places = np.flatnonzero(counts[1:]).tolist()
    return int(counts[0]), [(column.words[place], int(counts[place + 1])) for place in places]


def add(words: dict[str, int], column: Words, seen: Seen) -> None:
    """Add what `counted` gives of a column, new words in the order of its rows."""
    if any(word not in words for word, _ in seen):
        seen = _by_appearance(column, seen)
    for word, rows in seen:
        count(words, word, rows)


def _by_appearance(column: Words, seen: Seen) -> Seen:
    """What was seen of a column, in the order of its rows."""
    codes, first = np.unique(column.codes, return_index=True)
    found = zip(codes.tolist(), first.tolist(), strict=True)
    rows = {column.words[code]: row for code, row in found if code >= 0}
    return sorted(seen, key=lambda one: rows[one[0]])


def count(words: dict[str, int], word: str, rows: int) -> None:
    """Add the rows of one word; where it finds no room they count as `__other__`."""
    if word not in words and len(words) >= WORDS_MAX:
        word = OTHER
    words[word] = words.get(word, 0) + rows
