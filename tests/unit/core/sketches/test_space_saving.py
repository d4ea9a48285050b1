"""SpaceSaving keeps the promises of its paper against exact counts, for any stream."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.sketches import space_saving
from inferwatch.core.sketches.space_saving import Counters

SIZE = 5
streams = st.lists(st.sampled_from("aaaaabbbcdefghijklmno"), max_size=300)


def counted(words, size=SIZE):
    """The sketch of a stream."""
    counters = Counters()
    space_saving.update(counters, words, size)
    return counters


def plain(words, size):
    """The algorithm of the paper as it is written, a search for the smallest counter a row."""
    most, error = {}, {}
    for word in words:
        if word not in most and len(most) < size:
            most[word], error[word] = 0, 0
        elif word not in most:
            gone = min(most, key=most.__getitem__)
            most[word] = error[word] = most.pop(gone)
            del error[gone]
        most[word] += 1
    return most, error


@given(streams, st.integers(1, 8))
def test_it_is_the_algorithm_of_the_paper(words, size):
    """The same counters with the same counts and errors, in the same order."""
    found = counted(words, size)
    most, error = plain(words, size)
    assert list(found.most.items()) == list(most.items())
    assert list(found.error.items()) == list(error.items())


@given(streams)
def test_bounds_hold_the_exact_counts(words):
    """Every word between its bounds, none off by more than n/k, every word above n/k counted."""
    found, exact = counted(words), Counter(words)
    assert sum(found.most.values()) == len(words)
    for word in "abcdefghijklmno":
        assert found.at_least(word) <= exact[word] <= found.at_most(word)
        assert found.at_most(word) - found.at_least(word) <= len(words) / SIZE
    assert all(word in found.most for word, rows in exact.items() if rows > len(words) / SIZE)


@given(streams, st.integers(0, 300))
def test_cut_anywhere_and_read_again_it_goes_on_the_same(words, cut):
    """Nothing but its state decides which counter is taken over."""
    written = msgspec.msgpack.encode(counted(words[:cut]))
    again = msgspec.msgpack.decode(written, type=Counters)
    space_saving.update(again, words[cut:], SIZE)
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(counted(words))


@given(streams, streams, st.integers(1, 3))
def test_bounds_hold_when_what_is_old_weighs_less(old, new, times):
    """A row before the halving counts 2^-times."""
    found = counted(old)
    space_saving.halve(found, times)
    space_saving.update(found, new, SIZE)
    before, after = Counter(old), Counter(new)
    for word in "abcdefghijklmno":
        exact = before[word] / 2**times + after[word]
        assert found.at_least(word) <= exact <= found.at_most(word)


@given(streams, streams)
def test_bounds_hold_with_more_counters_than_before(old, new):
    """A word that finds a free counter may have had rows when there was none."""
    found, exact = counted(old, 2), Counter(old + new)
    space_saving.update(found, new, SIZE)
    for word in "abcdefghijklmno":
        assert found.at_least(word) <= exact[word] <= found.at_most(word)
