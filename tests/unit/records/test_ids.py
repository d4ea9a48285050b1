"""A packed column of ids is the list of its texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.records.ids import concat, is_text, pack

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=20)


@given(TEXTS, TEXTS, st.randoms(use_true_random=False))
def test_it_is_the_list(texts, more, draw):
    """Length, order, each text, its bytes, any part of them, and two lists in one."""
    ids = pack(texts)
    assert ids == texts and len(ids) == len(texts)
    assert [ids[at] for at in range(len(ids))] == texts
    assert [ids.raw(at) for at in range(len(ids))] == [text.encode() for text in texts]
    assert ids.sizes().tolist() == [len(text.encode()) for text in texts]
    keep = [draw.random() < 0.5 for _ in texts]
    mask = np.array(keep, np.bool_)
    assert ids.take(mask) == [text for text, kept in zip(texts, keep, strict=True) if kept]
    first, last = sorted((draw.randint(0, len(texts)), draw.randint(0, len(texts))))
    assert ids.take(slice(first, last)) == texts[first:last]
    assert concat([ids, pack(more)]) == texts + more


@pytest.mark.parametrize(
    ("data", "ends", "expected"),
    [
        (b"abc", [1, 3], True),
        (b"", [0], True),
        ("äb".encode(), [2, 3], True),
        ("äb".encode(), [1, 3], False),
        (b"a\xff", [2], False),
    ],
)
def test_only_whole_letters_are_text(data, ends, expected):
    """UTF-8 as a whole, and no text that ends inside a letter."""
    assert is_text(data, np.array(ends)) is expected
