"""Texts that lie end to end, taken apart: the kernel beside Python's own strings."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import sample
from inferwatch.records.ids import pack


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.booleans()),
        max_size=30,
    )
)
def test_the_texts_that_are_kept_are_there_in_their_order(given_texts):
    """Whatever letters they have, empty ones too, and those of a part of a longer column."""
    texts = [text for text, _ in given_texts]
    keep = np.array([kept for _, kept in given_texts], np.bool_)
    wanted = [text for text, kept in zip(texts, keep, strict=True) if kept]
    assert list(sample.pick(pack(texts), keep)) == wanted
    part = pack(["before", *texts, "after"]).take(slice(1, 1 + len(texts)))
    assert list(sample.pick(part, keep)) == wanted
