"""What PSI says when nothing has changed: its mean, its spread, and the rows that a limit needs."""

import numpy as np
import pytest
from scipy.stats import chi2

from inferwatch.core.drift.psi import psi
from inferwatch.core.sketches import binned

pytestmark = pytest.mark.slow

BINS = 10


def figures(n, m, trials, seed=1):
    """PSI of `trials` pairs from one distribution, on ten quantiles of each reference."""
    generator, found = np.random.default_rng(seed), []
    for _ in range(trials):
        reference, current = generator.normal(size=n), generator.normal(size=m)
        grid = binned.make_grid([binned.quantile_edges(reference, BINS)])
        before, now = binned.empty(grid), binned.empty(grid)
        binned.update(before, grid, reference[np.newaxis])
        binned.update(now, grid, current[np.newaxis])
        found.append(psi(before, now).value)
    return np.array(found)


@pytest.mark.parametrize(("n", "m"), [(1_000, 500), (5_000, 1_000), (50_000, 5_000)])
def test_its_mean_is_bins_over_rows(n, m):
    """500 pairs: the mean is (B − 1)(1/n + 1/m), to a tenth."""
    trials = 100 if n > 10_000 else 500
    expected = (BINS - 1) * (1 / n + 1 / m)
    tolerance = 4 * np.sqrt(2 / (BINS - 1) / trials) + 0.03
    assert figures(n, m, trials).mean() == pytest.approx(expected, rel=tolerance)


def test_scaled_by_its_rows_it_is_a_chi_square():
    """PSI·nm/(n + m) passes the 95 % point of χ²(B − 1) in 3 to 8 of 100 pairs."""
    n, m = 2_000, 500
    scaled = figures(n, m, 1_000) * n * m / (n + m)
    assert 0.03 < (scaled > chi2.ppf(0.95, BINS - 1)).mean() < 0.08


@pytest.mark.parametrize(
    ("rows", "least", "most"), [(50, 0.75, 0.95), (100, 0.3, 0.5), (200, 0.01, 0.08), (500, 0, 0)]
)
def test_a_limit_of_a_tenth_needs_500_rows(rows, least, most):
    """Against a large reference: with 50 rows nearly always passed by chance, with 500 never."""
    share = (figures(5_000, rows, 400) > 0.1).mean()
    assert least <= share <= most


def test_a_limit_of_a_quarter_needs_200_rows():
    """The default limit of drift on 200 rows a side: not passed in 400 pairs."""
    assert (figures(200, 200, 400) > 0.25).mean() <= 0.01
