"""χ² of homogeneity equals scipy's contingency test; rare words are pooled, not divided by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from inferwatch.core.drift.chi_square import EXPECTED_MIN, chi_square

rows = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=2, max_size=10
).filter(lambda drawn: all(map(any, zip(*drawn, strict=True))))


def counts(drawn):
    reference, current = np.array(drawn, np.int64).T
    return reference, current


def pooled(reference, current):
    """The table after the two rarest columns are added together while one expects under five."""
    share = min(reference.sum(), current.sum()) / (reference.sum() + current.sum())
    columns = [[a, b] for a, b in zip(reference.tolist(), current.tolist(), strict=True) if a + b]
    while len(columns) > 1:
        columns.sort(key=sum)
        if sum(columns[0]) * share >= 5:
            break
        first, second, *rest = columns
        columns = [[first[0] + second[0], first[1] + second[1]], *rest]
    return np.array(columns).T


def test_the_figures_worked_out_on_paper():
    """(50, 30, 20) → (40, 35, 25): χ² 2.051282, p .3586, V .1013."""
    statistic, p_value, effect = chi_square(np.array([50, 30, 20]), np.array([40, 35, 25]))
    assert statistic.value == pytest.approx(2.051282, abs=5e-7)
    assert p_value == pytest.approx(0.3586, abs=5e-5)
    assert effect.value == pytest.approx(0.1013, abs=5e-5)


@settings(deadline=None)
@given(rows)
def test_it_is_scipys_contingency_test(drawn):
    """Any table without pooling: statistic, p-value and Cramér's V, 2×2 without Yates."""
    reference, current = counts(drawn)
    table = np.array(drawn).T
    table = table[:, table.sum(axis=0) > 0]
    statistic, p_value, effect = chi_square(reference, current, pool=False)
    if table.shape[1] == 1:
        assert (statistic.value, p_value, effect.value) == (0.0, 1.0, 0.0)
        return
    expected = chi2_contingency(table, correction=False)
    assert statistic.value == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)
    cramer = association(table, method="cramer", correction=False)
    assert effect.value == pytest.approx(cramer, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(rows)
def test_pooled_it_is_scipys_test_of_the_pooled_table(drawn):
    """Rare columns go together, rarest first, until each expects five rows on both sides."""
    reference, current = counts(drawn)
    table = pooled(reference, current)
    statistic, p_value, _ = chi_square(reference, current)
    if table.shape[1] == 1:
        assert (statistic.value, p_value) == (0.0, 1.0)
        return
    expected = chi2_contingency(table, correction=False)
    assert expected.expected_freq.min() >= EXPECTED_MIN
    assert statistic.value == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)


@given(rows)
def test_effect_and_p_value_stay_in_their_range(drawn):
    """V and p lie in [0, 1]; pooling never adds to the statistic."""
    reference, current = counts(drawn)
    statistic, p_value, effect = chi_square(reference, current)
    assert 0 <= p_value <= 1 and 0 <= effect.value <= 1
    assert statistic.value <= chi_square(reference, current, pool=False)[0].value + 1e-9


def test_a_word_that_the_reference_never_saw_is_finite():
    """Goodness of fit would divide by zero; homogeneity gives a number, and V is 1 at the end."""
    statistic, p_value, effect = chi_square(np.array([100, 0]), np.array([50, 50]))
    assert statistic.value == pytest.approx(200 / 3) and 0 < p_value < 1e-9
    assert chi_square(np.array([100, 0]), np.array([0, 100]))[2].value == 1.0
    assert effect.value == pytest.approx((200 / 3 / 200) ** 0.5)


def test_one_word_is_no_drift():
    """A column of one word, and one that pooling leaves alone: 0 and p = 1."""
    for reference, current in (([100], [7]), ([100, 0], [50, 1]), ([3, 1], [1, 2])):
        statistic, p_value, effect = chi_square(np.array(reference), np.array(current))
        assert (statistic.value, p_value, effect.value) == (0.0, 1.0, 0.0)


def test_without_rows_it_is_unknown():
    """No current rows, or no reference: unknown, without a p-value, and says which."""
    some, none = np.array([3, 4]), np.zeros(2, np.int64)
    for pair, why in (((some, none), "no rows"), ((none, some), "no reference")):
        statistic, p_value, effect = chi_square(*pair)
        assert (statistic.value, statistic.unknown, p_value) == (None, why, None)
        assert (effect.value, effect.unknown) == (None, why)
