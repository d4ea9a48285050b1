"""Which values of a segment column have places: the heaviest, and they do not take turns."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import places
from inferwatch.core.places import WEEK_MS, Places

PLACES = 5
STRETCH = places.STRETCH_ROWS * PLACES


def begun(most=PLACES):
    """Places that other values have taken, which come no more."""
    return Places(taken={f"first-{code}": code for code in range(most)})


def feed(column, words, most=PLACES, now_ms=0):
    """Count words stretch by stretch, deciding after each; gives the changes.

    Nothing that has lost its place is remembered, so none has to wait for that.
    """
    changes = []
    for start in range(0, len(words), places.STRETCH_ROWS * most):
        stretch = words[start : start + places.STRETCH_ROWS * most]
        places.count(column, stretch, len(stretch), most)
        column.rows = 0
        places.age(column, now_ms)
        found = places.risen(column, most)
        for gone, value in found:
            if gone is not None:
                del column.taken[gone]
            column.taken[value] = 0
        changes += found
    return changes


def zipf(values, rows, seed, exponent=1.1):
    """Words of which the k-th has a share in proportion to k^-exponent."""
    share = np.arange(1, values + 1) ** -float(exponent)
    ranks = np.random.default_rng(seed).choice(values, size=rows, p=share / share.sum())
    return [f"v{rank}" for rank in ranks.tolist()]


@settings(max_examples=60)
@given(st.integers(1, 7), st.integers(2, 400), st.floats(0.0, 2.0), st.integers(0, 1_000))
def test_every_value_above_its_share_has_a_place(most, values, exponent, seed):
    """Of m places, after any stream: whatever more than 1/m of the counted rows have."""
    column, words = begun(most), zipf(values, 30 * places.STRETCH_ROWS * most, seed, exponent)
    feed(column, words, most)
    exact = Counter(words)
    assert len(column.taken) == most
    assert all(word in column.taken for word, rows in exact.items() if rows > len(words) / most)


def test_a_value_above_its_share_displaces_even_one_of_half_of_it():
    """Four places hold a fifth of the rows each and one a tenth: the value of a fifth and more."""
    column = Places(taken={name: code for code, name in enumerate("abcde")})
    words = list("abcdabcdxx" * 100 + "abcdabcdxe" * 100 + "abcdxabcdx" * 100)
    assert feed(column, words) == [("e", "x")]


def test_the_heavy_values_of_a_long_tail_get_the_places():
    """Of 10,000 values the ten heaviest, and nine tenths of the rows that 50 places could hold."""
    column, words = begun(50), zipf(10_000, 100_000, 3)
    feed(column, words, 50)
    exact = Counter(words)
    ranked = [word for word, _ in exact.most_common(50)]
    assert all(word in column.taken for word in ranked[:10])
    held = sum(exact[word] for word in column.taken)
    assert held >= 0.9 * sum(exact[word] for word in ranked)


def test_equal_values_do_not_take_turns():
    """Twice as many values as places, all of one weight: after the first, hardly a change."""
    column = begun()
    words = [f"v{one}" for one in np.random.default_rng(5).integers(0, 10, 50_000).tolist()]
    changes = feed(column, words)
    assert len(changes) <= 2 * PLACES


def test_a_flood_of_values_that_come_once_takes_no_place():
    """Nor does it drive out those of which there are some rows."""
    column = Places(taken={"a": 0, "b": 1, "c": 2, "d": 3, "e": 4})
    rows = range(50_000)
    words = [("abcde"[row % 5] if row % 10 == 0 else f"flood-{row}") for row in rows]
    assert feed(column, words) == []
    alone = begun()
    assert feed(alone, [f"flood-{row}" for row in rows]) == []


def test_what_was_heavy_long_ago_makes_way():
    """A value of today takes the place of one that had ten times its rows two months ago."""
    column = Places(taken={"old": 0, "more": 1})
    assert feed(column, ["old", "more"] * 5_000, 2) == []
    assert feed(column, ["new", "more"] * 500, 2) == []
    assert feed(column, ["new", "more"] * 500, 2, now_ms=8 * WEEK_MS) == [("old", "new")]


def test_places_that_are_free_are_given_without_a_contest():
    """A raised cap has room."""
    column = Places(taken={"a": 0, "b": 1})
    assert feed(column, list("aabbcd" * 20), 2) == []
    assert sorted(feed(column, list("aabbcd" * 20), 4)) == [(None, "c"), (None, "d")]


def test_only_so_many_former_values_are_remembered():
    """No more changes than there are places, until those that lost theirs are forgotten."""
    column = begun()
    column.former = {f"before-{code}": 0 for code in range(PLACES - 1)}
    words = [f"v{row % PLACES}" for row in range(STRETCH)]
    places.count(column, words, STRETCH, PLACES)
    assert len(places.risen(column, PLACES)) == 1
    column.former = {}
    assert len(places.risen(column, PLACES)) == PLACES
