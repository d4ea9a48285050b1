"""Distances of shares: worked out by hand, equal to scipy's, and in their range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import chebyshev, cityblock, euclidean, jensenshannon

from inferwatch.core.drift import distances
from inferwatch.core.drift.psi import psi

ALL = (
    distances.jensen_shannon,
    distances.hellinger,
    distances.total_variation,
    distances.l_infinity,
)
tables = (
    st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), min_size=1, max_size=12)
    .filter(lambda drawn: all(map(any, zip(*drawn, strict=True))))
    .map(lambda drawn: tuple(np.array(side, np.int64) for side in zip(*drawn, strict=True)))
)


def test_the_figures_worked_out_on_paper():
    """(50, 30, 20) → (40, 35, 25): base 2 distance .086094, Hellinger .071712, both others .1."""
    found = [each(np.array([50, 30, 20]), np.array([40, 35, 25])).value for each in ALL]
    assert found == pytest.approx([0.086094, 0.071712, 0.1, 0.1], abs=5e-7)
    nats = found[0] ** 2 * math.log(2)
    assert (nats, math.sqrt(nats)) == pytest.approx((0.005138, 0.071678), abs=5e-7)


@given(tables)
def test_they_are_scipys(table):
    """Any counts, empty bins among them: scipy on the shares, to 1e-9."""
    reference, current = table
    p, q = reference / reference.sum(), current / current.sum()
    expected = [
        jensenshannon(p, q, base=2),
        euclidean(np.sqrt(p), np.sqrt(q)) / math.sqrt(2),
        cityblock(p, q) / 2,
        chebyshev(p, q),
    ]
    found = [each(reference, current).value for each in ALL]
    # scipy's Jensen–Shannon cancels where the two are close: its square is right to 1e-15
    assert found[0] ** 2 == pytest.approx(expected[0] ** 2, rel=1e-9, abs=1e-14)
    assert found[1:] == pytest.approx(expected[1:], abs=1e-9)


@given(tables)
def test_they_are_distances(table):
    """In [0, 1], 0 for equal shares, the same in both directions; 1 for what has nothing in common
    but for L∞, which then is the largest share.
    """
    reference, current = table
    apart = np.append(reference, 0 * current), np.append(0 * reference, current)
    for each in ALL:
        found = each(reference, current).value
        assert 0 <= found <= 1
        assert each(reference, 3 * reference).value == 0
        assert each(current, reference).value == pytest.approx(found, abs=1e-15)
    ends = [each(*apart).value for each in ALL]
    largest = max(reference.max() / reference.sum(), current.max() / current.sum())
    assert ends == pytest.approx([1, 1, 1, largest])


@given(tables)
def test_they_keep_to_each_other(table):
    """H² ≤ TV ≤ √2·H, JSD ≤ TV, L∞ ≤ TV: what the definitions imply."""
    js, hellinger, total, most = (each(*table).value for each in ALL)
    assert hellinger**2 - 1e-12 <= total <= math.sqrt(2) * hellinger + 1e-12
    assert js**2 <= total + 1e-12 and most <= total + 1e-12


def test_small_drift_keeps_its_digits():
    """Shares that differ by a billionth: Jensen–Shannon is √(PSI / (8 ln 2)), not noise."""
    reference, current = np.array([10**9, 10**9]), np.array([10**9 + 1, 10**9 - 1])
    expected = math.sqrt(psi(reference, current).value / (8 * math.log(2)))
    assert distances.jensen_shannon(reference, current).value == pytest.approx(expected, rel=1e-6)
    assert 0 < expected < 1e-8


@pytest.mark.parametrize("each", ALL)
def test_without_rows_they_are_unknown(each):
    """No current rows, or no reference: unknown, and says which."""
    some, none = np.array([3, 4]), np.zeros(2, np.int64)
    assert (each(some, none).value, each(some, none).unknown) == (None, "no rows")
    assert (each(none, some).value, each(none, some).unknown) == (None, "no reference")
