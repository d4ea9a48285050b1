"""HyperLogLog: sets are what it knows, counts come out within its error, merging is union."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import sample
from inferwatch.core.sketches import hyperloglog
from inferwatch.records.ids import pack

words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), max_size=40)


def sketch(*parts):
    """The sketch of these words, part by part."""
    found = hyperloglog.empty()
    for part in parts:
        hyperloglog.add(found, part)
    return found


@given(words, words)
def test_order_repeats_and_parts_do_not_show(left, right):
    """The registers are those of the set, and merging is the union."""
    whole = sketch(left + right)
    assert (sketch([*reversed(right), *left, *left]) == whole).all()
    merged = sketch(left)
    hyperloglog.merge(merged, sketch(right))
    assert (merged == whole).all()


@given(words)
def test_registers_are_the_papers(given_):
    """Each holds the most leading zeros, plus one, among the hashes of its group, bit by bit."""
    expected = [0] * hyperloglog.SIZE
    for value in map(int, sample.hashes(pack(given_))):
        bits = f"{value:064b}"
        place, rest = int(bits[: hyperloglog.PRECISION], 2), bits[hyperloglog.PRECISION :]
        rank = len(rest) - len(rest.lstrip("0")) + 1
        expected[place] = max(expected[place], rank)
    assert sketch(given_).tolist() == expected


@pytest.mark.parametrize("n", [1, 10, 1_000, 3_000, 6_000, 20_000, 200_000])
def test_counts_are_within_the_papers_error(n):
    """Of 20 sets of n words the errors have no bias and the spread that the paper promises."""
    draw = Random(n)
    errors = []
    for _ in range(20):
        start = draw.randrange(1 << 60)
        found = sketch([f"w{start + at}" for at in range(n)])
        errors.append(hyperloglog.estimate(found) / n - 1)
    sd = 1.04 / np.sqrt(hyperloglog.SIZE)
    assert abs(np.mean(errors)) < 4 * sd / np.sqrt(len(errors))
    assert np.std(errors) < 1.6 * sd


def test_the_ends_are_numbers():
    """No word is 0; registers that are as good as full are a number."""
    assert hyperloglog.estimate(hyperloglog.empty()) == 0
    full = np.full(hyperloglog.SIZE, hyperloglog.REST, np.uint8)
    assert hyperloglog.estimate(full) > 1e15
