"""Wilson's interval equals scipy's and holds what it promises at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from inferwatch.core.metrics.intervals import wilson


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys(counts):
    """Any count of any number: both ends to 1e-12."""
    successes, n = counts
    found = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((found.low, found.high), abs=1e-12)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_share_lies_inside(counts):
    """0 ≤ low ≤ share ≤ high ≤ 1, and never of no width."""
    successes, n = counts
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


def test_without_rows_everything_is_possible():
    """No rows: the whole range."""
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_it_covers_as_often_as_it_says(share):
    """Exactly summed over all outcomes of 200 rows, 95 % intervals hold the truth 93–98 times."""
    outcomes = np.arange(201)
    inside = [low <= share <= high for low, high in (wilson(int(k), 200) for k in outcomes)]
    assert 0.93 < binom.pmf(outcomes, 200, share)[inside].sum() < 0.98
