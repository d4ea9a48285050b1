"""Correlations that changed: scipy's, with limits that hold for any number and kind of columns."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm, rankdata, spearmanr

from inferwatch import inspect
from inferwatch.inspect import correlation


def tied(n, seed, r=0.0, width=4):
    """n rows of normal columns of which the first two have this correlation."""
    rows = np.random.default_rng(seed).normal(size=(n, width))
    rows[:, 1] = r * rows[:, 0] + np.sqrt(1 - r * r) * rows[:, 1]
    return rows


def told(reference, found):
    """The answer about such rows."""
    return inspect.rows("correlation", reference, found)


def test_the_value_is_the_difference_of_scipys_correlations():
    """Of the pair that was planted, which is named, and of no other."""
    reference, found = tied(800, 1, 0.8), tied(600, 2, 0.1)
    before, now = (spearmanr(rows[:, 0], rows[:, 1]).statistic for rows in (reference, found))
    answer = told(reference, found)
    assert answer.value == pytest.approx(before - now, abs=1e-12)
    ((columns, *figures),) = [(one.columns, one.before, one.now) for one in answer.changes]
    assert columns == (0, 1) and figures == pytest.approx([before, now], abs=1e-12)
    assert (answer.n, answer.reference_n) == (600, 800)


def by_hand(rows, left, right):
    """Correlation of two columns' ranks over the rows with both, and the variance of Fisher's z, by
    its definition, row by row.
    """
    u, v = (rankdata(rows[:, at], nan_policy="omit") for at in (left, right))
    u, v = u - np.nanmean(u), v - np.nanmean(v)
    both = ~np.isnan(u) & ~np.isnan(v)
    u, v = (one[both] / np.sqrt((one[both] ** 2).mean()) for one in (u, v))
    r = (u * v).mean()
    spread = ((u * v - r * (u * u + v * v) / 2) ** 2).mean() / both.sum()
    return r, spread / (1 - r * r) ** 2


def test_the_p_value_is_that_of_the_surest_of_all_pairs():
    """With columns of few values, and some that are missing: Šidák's, of every pair by hand."""
    reference, found = tied(500, 1, 0.5), tied(400, 2, 0.3)
    for rows in (reference, found):
        rows[:, 2] = np.round(rows[:, 2])
        rows[::3, 3] = np.nan
    chances = []
    for left, right in itertools.combinations(range(4), 2):
        (before, first), (now, second) = (by_hand(rows, left, right) for rows in (reference, found))
        distance = abs(np.arctanh(before) - np.arctanh(now)) / np.sqrt(first + second)
        chances.append(2 * norm.sf(distance))
    assert told(reference, found).p_value == pytest.approx(1 - (1 - min(chances)) ** 6, rel=1e-9)


def test_what_each_column_does_by_itself_does_not_show():
    """Columns that move, are stretched or bent upwards give the same answer to the last bit."""
    reference, found = tied(500, 1, 0.8), tied(500, 2, 0.1)
    moved = np.exp(found) * [1, 1e9, 1e-9, 5] + [7, 0, 1, -3]
    assert told(reference, moved) == told(reference, found)
    assert told(reference, np.exp(tied(500, 3, 0.8)) + 9).value == 0.0


def test_the_largest_three_changes_are_told():
    """A column that is shuffled by itself has lost its tie with all the others."""
    draw = np.random.default_rng(1)
    reference, found = (draw.normal(size=(800, 1)) + draw.normal(size=(800, 5)) for _ in "ab")
    found[:, 2] = draw.permutation(found[:, 2])
    answer = told(reference, found)
    changes = [one.before - one.now for one in answer.changes]
    assert len(changes) == 3 and changes == sorted(changes, reverse=True)
    assert all(2 in one.columns for one in answer.changes) and answer.value == changes[0]


def test_columns_with_hardly_a_second_value_are_left_out():
    """Two rare words that meet once are no tie, nor is a constant or a column that is missing."""
    reference, found = tied(400, 1), tied(400, 2)
    for rows in (reference, found):
        rows[:, 2:] = 0.0
    found[:3, 2:] = 1.0
    assert told(reference, found).value == 0.0
    assert told(reference[:, 2:], found[:, 2:]).unknown == "no two columns to compare"
    found[:, 0] = np.nan
    assert told(reference, found).unknown == "no two columns to compare"


def test_columns_that_are_equal_stay_so_or_do_not():
    """A correlation of 1 on both sides is no change; one that becomes −1 is the largest."""
    reference, found = tied(300, 1), tied(300, 2)
    reference[:, 1], found[:, 1] = reference[:, 0], found[:, 0]
    assert told(reference, found).value == 0.0
    found[:, 1] *= -1
    assert told(reference, found).value == pytest.approx(2.0) and not told(reference, found).p_value


def test_a_tie_that_is_no_trend_is_not_seen():
    """x and x² have no correlation: docs/methods.md says so."""
    found = tied(1_000, 2)
    found[:, 1] = found[:, 0] ** 2
    assert told(tied(1_000, 1), found).value == 0.0


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1.7e308, 5.0])
def test_odd_columns_have_an_answer(value):
    """Half of a column infinite, beyond all others or one value: a figure, never NaN."""
    reference, found = tied(300, 1), tied(300, 2)
    found[::2, 3] = value
    answer = told(reference, found)
    assert answer.value == 0.0 and 0 <= answer.p_value <= 1


def test_too_few_rows_are_unknown():
    """Under 200 rows of a side the standard error is not to be trusted."""
    assert told(tied(300, 1), tied(199, 2)).unknown == "199 rows of 200"
    assert told(tied(199, 1), tied(300, 2)).unknown == "199 rows of the reference of 200"
    assert correlation.PAIR_MIN == 200
