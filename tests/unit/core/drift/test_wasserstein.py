"""Wasserstein from rows is scipy's; from bins it is near, exact for shifts, and never silly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from inferwatch.core.drift.together import population_sd
from inferwatch.core.drift.wasserstein import (
    FLAT,
    Facts,
    wasserstein_bins,
    wasserstein_rows,
)
from inferwatch.core.reference import numeric_profile
from inferwatch.core.sketches import binned

numbers = st.one_of(st.floats(-1e6, 1e6, width=32), st.integers(-3, 3).map(float))
samples = st.lists(numbers, min_size=2, max_size=60).map(np.array)


def from_bins(reference, current):
    """The figure from counts on the bins that a profile of `reference` has."""
    profile, current = numeric_profile(reference), np.float64(np.float32(current))
    grid = binned.make_grid([np.array(profile.edges, np.float32)])
    counts = binned.empty(grid)
    binned.update(counts, grid, current.astype(np.float32)[np.newaxis])
    return wasserstein_bins(
        np.array(profile.counts[:-1]),
        counts[:-1],
        np.array(profile.edges),
        Facts(profile.least, profile.most, profile.mean),
        Facts(float(current.min()), float(current.max()), float(current.mean())),
        population_sd(profile),
    )


@settings(deadline=None)
@given(samples, samples)
def test_from_rows_it_is_scipys(reference, current):
    """Any two samples with any ties, in population deviations of the reference, to 1e-9."""
    sd = float(reference.std())
    found = wasserstein_rows(np.sort(reference), current, sd)
    if sd == 0:
        assert (found.value, found.unknown) == (None, FLAT)
        return
    assert found.value == pytest.approx(wasserstein_distance(reference, current) / sd, rel=1e-9)


def test_the_figure_worked_out_on_paper():
    """1…10 → 3…12: 2, which is .696311 population deviations."""
    reference, current = np.arange(1.0, 11), np.arange(3.0, 13)
    found = wasserstein_rows(reference, current, float(reference.std()))
    assert found.value == pytest.approx(0.696311, abs=5e-7)
    assert from_bins(reference, current).value == pytest.approx(0.696311, abs=5e-7)


@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform", "lognormal", "laplace"])
def test_shifts_are_exact_from_bins(draw):
    """Every row moved by the same: the bins say what the rows say, to a thousandth."""
    generator = np.random.default_rng(1)
    reference = getattr(generator, draw)(size=5_000)
    for shift in (-3.0, -0.5, 0.3, 10.0):
        found, expected = from_bins(reference, reference + shift).value, abs(shift)
        assert found == pytest.approx(expected / reference.std(), rel=1e-3)


@pytest.mark.parametrize(
    ("draw", "off"), [("normal", 0.06), ("laplace", 0.17), ("exponential", 0.35), ("uniform", 0.35)]
)
def test_bins_are_near_the_rows(draw, off):
    """Spread by half to twice and shifted: near with tails, a third off where ends are hard."""
    generator = np.random.default_rng(2)
    reference = getattr(generator, draw)(size=5_000).astype(np.float32)
    sd = float(reference.astype(np.float64).std())
    for _ in range(40):
        scale, shift = generator.uniform(0.5, 2), generator.uniform(-1, 1)
        current = (getattr(generator, draw)(size=1_000) * scale + shift).astype(np.float32)
        exact = wasserstein_rows(np.sort(reference).astype(np.float64), current, sd).value
        assert from_bins(reference, current).value == pytest.approx(exact, rel=off, abs=0.02)


def test_one_wild_value_counts_by_its_share():
    """A row at 10⁶ among 1,000: the mean moved by 1,000, and so says the figure."""
    reference = np.random.default_rng(3).normal(size=5_000)
    current = np.append(reference[:999], 1e6)
    assert from_bins(reference, current).value == pytest.approx(1_000 / reference.std(), rel=0.01)


@settings(deadline=None)
@given(samples, samples)
def test_bins_say_at_least_how_far_the_means_are_apart(reference, current):
    """Never below what any coupling of the rows must cost, and 0 for the same rows in bins."""
    if reference.std() == 0:
        assert from_bins(reference, current).unknown == FLAT
        return
    sd = population_sd(numeric_profile(reference))
    apart = abs(reference.mean() - current.astype(np.float32).astype(np.float64).mean())
    assert from_bins(reference, current).value >= apart / sd * (1 - 1e-9) - 1e-9
    assert from_bins(reference, reference).value == pytest.approx(0, abs=1e-6)


def test_without_rows_it_is_unknown():
    """No current rows, or no reference: unknown, and says which."""
    some, none = np.arange(5.0), np.empty(0)
    assert wasserstein_rows(some, none, 1.0).unknown == "no rows"
    assert wasserstein_rows(none, some, 1.0).unknown == "no reference"
    counts, nothing = np.array([2, 3]), np.array([0, 0])
    around = (np.array([0.5]), Facts(0, 1, 0.5), Facts(0, 1, 0.5), 1.0)
    assert wasserstein_bins(counts, nothing, *around).unknown == "no rows"
    assert wasserstein_bins(nothing, counts, *around).unknown == "no reference"
