"""Samples of rows: which rows are kept depends on the rows alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.sketches import row_sample


def rows(n, seed=0, width=3):
    """Hashes of which some are equal, numbers, values."""
    draw = np.random.default_rng(seed)
    hashes = draw.integers(0, max(1, n // 2), n).astype(np.uint64) * np.uint64(1 << 40)
    return hashes, np.arange(n), draw.normal(size=(width, n)).astype(np.float32)


def fed(parts, width=3):
    """What batches have left to choose from; never many rows more than are kept."""
    sample = row_sample.empty(width)
    for hashes, row, values in parts:
        row_sample.update(sample, hashes, row, values)
        assert len(sample.row) <= 12
    return sample


def cut(whole, places):
    """The rows in batches that end at `places`."""
    hashes, row, values = whole
    edges = [0, *sorted(places), len(row)]
    return [(hashes[a:b], row[a:b], values[:, a:b]) for a, b in itertools.pairwise(edges)]


def same(one, other):
    """Whether two samples are the same rows in the same order."""
    row_sample.cut(one), row_sample.cut(other)
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "values")
        for name in ("hashes", "row", "values")
    )


@pytest.fixture
def small(monkeypatch):
    """Samples of ten rows."""
    monkeypatch.setattr(row_sample, "ROWS_MAX", 10)


def test_the_smallest_hashes_are_kept(small):
    """As sorting all rows by hash and number would."""
    hashes, row, values = rows(200)
    order = sorted(range(200), key=lambda at: (hashes[at], row[at]))[:10]
    sample = fed([(hashes, row, values)])
    row_sample.cut(sample)
    assert sample.row.tolist() == order
    np.testing.assert_array_equal(sample.values, values[:, order])


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 60), st.booleans())
def test_batches_and_merges_do_not_show(places, at, turned):
    """However rows are cut and in whatever order their parts are merged, the same are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_sample, "ROWS_MAX", 10)
        whole = rows(60)
        wanted = fed([whole])
        assert same(fed(cut(whole, places)), wanted)
        one, other = (fed([part]) for part in cut(whole, [at]))
        into, added = (other, one) if turned else (one, other)
        row_sample.merge(into, added)
        assert same(into, wanted)


def test_a_column_that_comes_later_is_missing_before(small):
    """Rows before it have NaN, and the sample shrinks where so many columns leave less room."""
    hashes, row, values = rows(20)
    sample = fed([(hashes, row, values[:2])], width=2)
    row_sample.update(sample, hashes, row + 20, values)
    assert np.isnan(sample.values[2][sample.row < 20]).all()
    assert np.isfinite(sample.values[2][sample.row >= 20]).all()
    assert row_sample.size(10_000) == 10 and row_sample.size(50_000) == 5
    row_sample.update(sample, hashes[:1], row[:1] + 40, np.zeros((50_000, 1), np.float32))
    assert row_sample.cut(sample).shape == (50_000, 5)


def test_a_sample_is_bounded():
    """A thousand rows of a few columns, 2^18 values of many."""
    assert [row_sample.size(width) for width in (0, 20, 262, 5_000)] == [1_000, 1_000, 1_000, 52]
