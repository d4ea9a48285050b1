"""Kolmogorov–Smirnov from rows is scipy's; from bins it is a lower bound that is never far off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwobign

from inferwatch.core.drift.ks import ks_bins, ks_rows
from inferwatch.core.sketches import binned

numbers = st.one_of(st.floats(-1e6, 1e6, width=32), st.integers(-3, 3).map(float))
samples = st.lists(numbers, min_size=2, max_size=80).map(np.array)


@settings(deadline=None)
@given(samples, samples)
def test_from_rows_it_is_scipys(reference, current):
    """Any two samples with any ties: the statistic, and the p-value of Kolmogorov's limit."""
    expected = ks_2samp(reference, current, method="asymp").statistic
    found, p_value = ks_rows(np.sort(reference), current)
    assert found.value == pytest.approx(expected, abs=1e-12)
    n, m = len(reference), len(current)
    limit = kstwobign.sf(np.sqrt(n * m / (n + m)) * expected)
    assert p_value == pytest.approx(limit, abs=1e-9)
    assert found.n == m


@pytest.mark.parametrize(
    ("n", "m", "off"),
    [(20, 20, 0.002), (20, 31, 0.02), (50, 50, 0.001), (100, 100, 0.0003), (200, 999, 0.005)],
)
def test_small_p_values_err_to_the_quiet_side(n, m, off):
    """Shifts whose exact p is at most .05: ours is no smaller, and larger by `off` at most."""
    reference, current = np.arange(float(n)), np.arange(float(m)) * (n / m) + 0.5 / m
    judged = 0
    for shift in np.linspace(0, 0.6 * n, 60):
        exact = ks_2samp(reference, current + shift, method="exact").pvalue
        if exact > 0.05:
            continue
        if exact < 1e-12:
            break
        judged += 1
        over = ks_rows(reference, current + shift)[1] - exact
        assert -1e-12 <= over <= off
    assert judged > 5


def test_the_figure_worked_out_on_paper():
    """1…10 → 3…12 is .2; samples that do not overlap are 1 apart."""
    assert ks_rows(np.arange(1.0, 11), np.arange(3.0, 13))[0].value == pytest.approx(0.2)
    assert ks_rows(np.arange(10.0), np.arange(20.0, 25))[0].value == 1.0


@settings(deadline=None)
@given(samples, samples, st.integers(2, 128))
def test_bins_lose_at_most_the_fullest_one(reference, current, bins):
    """Rows and bins of the same samples: 0 ≤ D − D_bins ≤ the reference's share of one bin."""
    grid = binned.make_grid([binned.quantile_edges(reference, bins)])
    before, now = binned.empty(grid), binned.empty(grid)
    binned.update(before, grid, reference[np.newaxis])
    binned.update(now, grid, current[np.newaxis])
    exact = ks_rows(np.sort(reference.astype(np.float32)), current.astype(np.float32))[0].value
    loss = exact - ks_bins(before[:-1], now[:-1])[0].value
    assert -1e-12 <= loss <= before.max() / len(reference) + 1e-12


def test_128_bins_of_a_smooth_column_lose_little():
    """On 300 shifted and stretched columns: 0.001 on average, under 1/128 at worst."""
    generator, losses = np.random.default_rng(2), []
    for _ in range(300):
        reference = generator.lognormal(size=3_000).astype(np.float32)
        current = generator.lognormal(*generator.uniform(0, 0.3, 2), size=1_000).astype(np.float32)
        grid = binned.make_grid([binned.quantile_edges(reference, 128)])
        before, now = binned.empty(grid), binned.empty(grid)
        binned.update(before, grid, reference[np.newaxis])
        binned.update(now, grid, current[np.newaxis])
        exact = ks_rows(np.sort(reference), current)[0].value
        losses.append(exact - ks_bins(before[:-1], now[:-1])[0].value)
    assert np.mean(losses) < 0.002
    assert max(losses) <= 0.0080


@pytest.mark.parametrize(
    ("n", "m", "mean", "most"),
    [(3_000, 1_000, 0.002, 0.006), (10_000, 5_000, 0.001, 0.003), (100_000, 100_000, 3e-4, 8e-4)],
)
@pytest.mark.parametrize("shift", [0.0, 0.25, 1.0])
def test_with_more_rows_128_bins_lose_less(n, m, mean, most, shift):
    """Of normal columns, shifted or not: what docs/methods.md says of so many rows."""
    generator, losses = np.random.default_rng(4), []
    for _ in range(20 if n > 10_000 else 60):
        reference = generator.normal(size=n).astype(np.float32)
        current = generator.normal(shift, size=m).astype(np.float32)
        grid = binned.make_grid([binned.quantile_edges(reference, 128)])
        before, now = binned.empty(grid), binned.empty(grid)
        binned.update(before, grid, reference[np.newaxis])
        binned.update(now, grid, current[np.newaxis])
        exact = ks_rows(np.sort(reference), current)[0].value
        losses.append(exact - ks_bins(before[:-1], now[:-1])[0].value)
    assert np.mean(losses) < mean
    assert max(losses) < most


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_counts_say_what_their_rows_say(pairs):
    """Rows of whole numbers and their counts: the same D and the same p-value."""
    before, now = np.array(pairs).T
    if before.any() and now.any():
        rows = [np.repeat(np.arange(len(pairs)), side).astype(np.float64) for side in (before, now)]
        exact, p_exact = ks_rows(*rows)
        found, p_value = ks_bins(before, now)
        assert found.value == pytest.approx(exact.value, abs=1e-12)
        assert p_value == pytest.approx(p_exact, abs=1e-9)


def test_without_rows_it_is_unknown():
    """No current rows, or no reference: unknown, without a p-value, and says which."""
    some, none = np.arange(5.0), np.empty(0)
    for found, p_value in (ks_rows(some, none), ks_bins(np.array([2, 3]), np.array([0, 0]))):
        assert (found.value, found.unknown, p_value) == (None, "no rows", None)
    for found, p_value in (ks_rows(none, some), ks_bins(np.array([0, 0]), np.array([2, 3]))):
        assert (found.value, found.unknown, p_value) == (None, "no reference", None)


def test_the_p_value_holds_for_many_rows():
    """10⁶ rows on each side, no drift in D terms: a probability, neither NaN nor above 1."""
    counts = np.full(128, 10_000)
    found, p_value = ks_bins(counts, counts)
    assert (found.value, p_value) == (0.0, 1.0)
