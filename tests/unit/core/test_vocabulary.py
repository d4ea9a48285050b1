"""Words are counted in a dictionary of a bound, and which find room follows the rows."""

import numpy as np
import pytest

from inferwatch.core import vocabulary
from inferwatch.core.columns import OTHER
from inferwatch.core.vocabulary import WORDS_MAX
from inferwatch.records.rows import Words


def column(codes):
    """Rows of a dictionary in alphabetical order, which is not theirs."""
    return Words(("a", "b", "c", "d"), np.array(codes, np.int32))


def test_rows_are_counted_by_word():
    """Those without one by themselves; a word of no rows is not told."""
    assert vocabulary.counted(column([2, -1, 0, 2, -1])) == (2, [("a", 1), ("c", 2)])


def test_words_have_a_bound_and_the_rest_is_other():
    """A column of ids cannot grow a pane, and no row of it is lost."""
    words = {f"w{number}": 1 for number in range(WORDS_MAX)}
    vocabulary.count(words, "new", 3)
    vocabulary.count(words, "w0", 2)
    vocabulary.count(words, "newer", 4)
    assert (words[OTHER], words["w0"], len(words)) == (7, 3, WORDS_MAX + 1)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_first_to_come_find_room(monkeypatch, size):
    """Whatever the order of the dictionary, and however the rows were batched."""
    monkeypatch.setattr(vocabulary, "WORDS_MAX", 2)
    words, codes = {}, [3, 1, 0, 3, 2]
    for at in range(0, 5, size):
        part = column(codes[at : at + size])
        vocabulary.add(words, part, vocabulary.counted(part)[1])
    assert words == {"d": 2, "b": 1, OTHER: 2}
