"""Counts on the reference's bins equal numpy's, with one bin more for what is not a number."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.sketches import binned

wide = st.one_of(st.floats(-100, 100, width=32), st.integers(-5, 5).map(float))
gaps = st.sampled_from([np.nan, np.inf, -np.inf])
rows = st.lists(st.one_of(wide, gaps), max_size=60)
edges = st.lists(wide, max_size=8, unique=True).map(sorted)


def count(grid, *blocks):
    counts = binned.empty(grid)
    for block in blocks:
        binned.update(counts, grid, np.array(block, np.float64))
    return counts


@given(rows, edges)
def test_counts_are_those_between_the_edges(values, drawn):
    """Bin i holds edge i−1 < x ≤ edge i, open at both ends; the last what is not finite."""
    grid = binned.make_grid([np.array(drawn)])
    counts = count(grid, [values])
    finite = [value for value in values if np.isfinite(value)]
    fences = [-np.inf, *drawn, np.inf]
    expected = [sum(low < value <= high for value in finite) for low, high in pairwise(fences)]
    assert counts.tolist() == [*expected, len(values) - len(finite)]


@given(rows, rows, edges, edges)
def test_columns_lie_end_to_end_without_touching(first, second, left, right):
    """Two columns of other edges: each gets the counts that it has alone."""
    n = min(len(first), len(second))
    grid = binned.make_grid([np.array(left), np.array(right)])
    counts = count(grid, [first[:n], second[:n]])
    for at, (values, drawn) in enumerate(((first, left), (second, right))):
        alone = count(binned.make_grid([np.array(drawn)]), [values[:n]])
        assert np.array_equal(binned.feature_counts(counts, grid, at), alone)


@given(rows, edges, st.data())
def test_counts_of_batches_add_up(values, drawn, data):
    """Cut anywhere, updated or added: the counts of all rows."""
    cut = data.draw(st.integers(0, len(values)))
    grid = binned.make_grid([np.array(drawn)])
    parts = [[values[:cut]], [values[cut:]]]
    whole = count(grid, [values])
    assert np.array_equal(count(grid, *parts), whole)
    assert np.array_equal(count(grid, parts[0]) + count(grid, parts[1]), whole)


def test_a_value_beyond_float32_lies_beyond_the_last_edge():
    """1e200 is a number, so it is not missing."""
    grid = binned.make_grid([np.array([0.0])])
    assert count(grid, [[1e200, -1e200, np.inf]]).tolist() == [1, 1, 1]


def test_a_grid_without_columns_counts_nothing():
    """A model without numeric features has no bins."""
    grid = binned.make_grid([])
    assert count(grid, np.empty((0, 5))).tolist() == []


@pytest.mark.parametrize("bins", [2, 10, 128])
def test_quantile_edges_hold_equal_shares(bins):
    """Continuous values: every bin of the reference itself has its share, to two rows."""
    values = np.random.default_rng(1).normal(size=12_800).astype(np.float32)
    grid = binned.make_grid([binned.quantile_edges(values, bins)])
    counts = count(grid, [values])
    assert len(counts) == bins + 1 and counts[-1] == 0
    assert np.abs(counts[:-1] - 12_800 / bins).max() <= 2


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.integers(2, 20))
def test_equal_edges_are_merged(values, bins):
    """A column of few values has few bins, ascending, each edge one of numpy's quantiles."""
    found = binned.quantile_edges(np.array(values, np.float64), bins)
    expected = np.quantile(np.array(values, np.float64), np.arange(1, bins) / bins)
    assert (np.diff(found) > 0).all() and found.dtype == np.float32
    assert set(found.tolist()) == set(expected.astype(np.float32).tolist())
