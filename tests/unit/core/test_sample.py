"""The sample of prediction ids: by a known hash, nested, about as large as it says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.sample import hashes, kept
from inferwatch.records.ids import pack

MASK = (1 << 64) - 1


def plain(text):
    """FNV-1a and SplitMix64's finaliser in whole numbers, as the papers write them."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def test_the_hash_is_the_published_one():
    """FNV-1a's own test value of "foobar", before it is mixed."""
    value = 0xCBF29CE484222325
    for byte in b"foobar":
        value = (value ^ byte) * 0x100000001B3 & MASK
    assert value == 0x85944171F73967E8


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=20))
def test_any_texts_hash_as_in_plain_arithmetic(texts):
    """Empty, long, of any script, several at once: each its own hash."""
    assert hashes(pack(texts)).tolist() == [plain(text) for text in texts]


def test_samples_are_nested_and_of_their_size():
    """One in 2^s of ids that differ in little, each sample part of the one before."""
    ids = hashes(pack(f"a1b2c3-12345-{row}" for row in range(40_000)))
    before = np.ones(len(ids), np.bool_)
    for shift in range(5):
        mine = kept(ids, shift)
        assert not (mine & ~before).any()
        share, expected = mine.mean(), 2.0**-shift
        assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / len(ids))
        before = mine
