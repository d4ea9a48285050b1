"""Intervals equal scipy's and hold what they promise at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.special import logit as log_odds
from scipy.stats import binom, binomtest, norm

from inferwatch.core.intervals import NONE, logit, normal, wilson


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


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e9))
def test_the_normal_interval_is_scipys(value, variance):
    """95 % of the normal distribution about the value; a bound cuts it."""
    expected = norm(value, np.sqrt(variance)).interval(0.95)
    assert normal(value, variance) == pytest.approx(expected, rel=1e-9)
    assert normal(value, variance, least=value, most=value) == (value, value)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(1e-12, 1e6))
def test_the_interval_on_log_odds_is_the_mapped_one(share, variance):
    """By scipy's own functions, and the same with the range moved to −1…1; always inside."""
    half = norm.isf(0.025) * np.sqrt(variance) / (share * (1 - share))
    expected = expit(log_odds(share) - half), expit(log_odds(share) + half)
    found = logit(share, variance)
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0 <= found[0] <= share + 1e-15 and share - 1e-15 <= found[1] <= 1
    moved = logit(2 * share - 1, 4 * variance, least=-1.0)
    assert moved == pytest.approx([2 * end - 1 for end in found], abs=1e-6)


@pytest.mark.parametrize("variance", [0.0, -1e-20, np.nan, np.inf])
def test_a_variance_that_says_nothing_gives_no_interval(variance):
    """0, below 0 by rounding, overflown: none; nor at the ends of the range."""
    assert normal(0.5, variance) == logit(0.5, variance) == NONE
    assert logit(1.0, 0.1) == logit(0.0, 0.1) == logit(-1.0, 0.1, least=-1.0) == NONE
