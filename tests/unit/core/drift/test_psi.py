"""PSI: the figure worked out by hand, the formula term by term, and what follows from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.drift.psi import FLOOR, psi

counts = st.lists(st.integers(0, 1_000), min_size=1, max_size=12)


def two(size=12):
    """Two rows of counts on the same bins, neither empty."""
    rows = st.lists(
        st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), min_size=1, max_size=size
    )
    return rows.filter(lambda drawn: all(map(any, zip(*drawn, strict=True)))).map(
        lambda drawn: tuple(np.array(row, np.int64) for row in zip(*drawn, strict=True))
    )


def by_hand(reference, current):
    """Σ (q − p)·ln(q / p), bin after bin in plain Python."""
    n, m = sum(reference), sum(current)
    total = 0.0
    for before, now in zip(reference, current, strict=True):
        p, q = max(before / n, 1e-4), max(now / m, 1e-4)
        total += (q - p) * math.log(q / p)
    return total


def test_the_figure_worked_out_on_paper():
    """(50, 30, 20) → (40, 35, 25) is .041179."""
    found = psi(np.array([50, 30, 20]), np.array([40, 35, 25]))
    assert found.value == pytest.approx(0.041179, abs=5e-7)
    assert found.n == 100


@given(two())
def test_it_is_the_sum_over_bins(rows):
    """Any counts: what plain Python adds up, empty bins at the floor."""
    reference, current = rows
    expected = by_hand(reference.tolist(), current.tolist())
    assert psi(reference, current).value == pytest.approx(expected, abs=1e-12)


@given(two())
def test_it_is_a_distance_of_shares(rows):
    """Never negative, 0 for equal shares, the same in both directions."""
    reference, current = rows
    assert psi(reference, current).value >= 0
    assert psi(reference, 3 * reference).value == pytest.approx(0, abs=1e-15)
    back = psi(current, reference).value
    assert psi(reference, current).value == pytest.approx(back, abs=1e-12)


def test_an_empty_bin_costs_what_the_floor_says():
    """A bin that the current rows left: finite, and larger the lower the floor."""
    found = psi(np.array([50, 50]), np.array([0, 100])).value
    expected = (FLOOR - 0.5) * math.log(FLOOR / 0.5) + 0.5 * math.log(2)
    assert found == pytest.approx(expected) == pytest.approx(4.6043, abs=1e-4)


def test_missing_rows_are_a_bin_of_their_own():
    """Shares that shift to missing, the last bin, are seen although all other shares are equal."""
    reference, current = np.array([50, 50, 0]), np.array([25, 25, 50])
    assert psi(reference, current).value > 3
    assert psi(reference[:-1], current[:-1]).value == 0


@given(two(), st.integers(0, 12))
def test_a_bin_that_nobody_uses_adds_nothing(rows, at):
    """An empty bin on both sides, anywhere, leaves the figure as it is."""
    reference, current = rows
    wider = (np.insert(row, min(at, len(row)), 0) for row in rows)
    expected = psi(reference, current).value
    assert psi(*wider).value == pytest.approx(expected, abs=1e-12)


@given(counts)
def test_without_rows_it_is_unknown(drawn):
    """No current rows, or no reference: unknown, and says which."""
    some, none = np.array(drawn) + 1, np.zeros(len(drawn), np.int64)
    assert (psi(some, none).value, psi(some, none).unknown) == (None, "no rows")
    assert (psi(none, some).value, psi(none, some).unknown) == (None, "no reference")
