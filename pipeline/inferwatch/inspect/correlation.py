"""Correlation: two columns that no longer go together as they did, whatever each does by itself.

Spearman's rank correlation of every pair of columns, in the window against the reference, by the
test of K. Larntz, M. D. Perlman, "A simple test for the equality of correlation matrices" (1985):
the largest difference of R. A. Fisher's z, in standard errors, against Z. Šidák's (1967) limit for
so many pairs. Ranks do not change with units, nor with a column that moves or is stretched. The
standard error is that of J. H. Steiger, A. R. Hakstian, "The asymptotic distribution of elements of
a correlation matrix" (1982), from fourth moments: the one of normal columns is up to a quarter too
small where columns have their large values in the same rows. Blind to a tie that is no trend, as
that of x and x². Cost: 10 ms for 2,000 rows of 20 columns, 0.3 s for 1,000 of 500.
"""

import numpy as np

from inferwatch.inspect.beyond import too_few
from inferwatch.inspect.finding import Change, Finding
from inferwatch.inspect.scaling import Matrix

CHANCE = 0.001
"""That of any pair being beyond it in a window where nothing changed."""
PAIR_MIN = 200
ONE_VALUE_MAX = 0.9
NEAR_ONE = 0.999
CHANGES_MAX = 3


def changed(reference: Matrix, found: Matrix, seed: int) -> Finding:
    """The largest change of a correlation that chance does not explain, 0…2; 0 without one.

    The p-value is that of the surest change, for as many pairs. Left out are pairs with fewer than
    200 rows of either side, and columns of which nine tenths are one value. `seed` has no part.
    """
    short = too_few(reference, found)
    if short is not None:
        return short
    from scipy.special import ndtr

    (before, variance), (now, variance_now) = _correlations(reference), _correlations(found)
    left, right = np.nonzero(np.triu(np.isfinite(before) & np.isfinite(now), 1))
    n, m = len(found), len(reference)
    if not len(left):
        why = f"{n} rows of {PAIR_MIN}" if n < PAIR_MIN else "no two columns to compare"
        return Finding(value=None, n=n, reference_n=m, unknown=why)
    before, now = before[left, right], now[left, right]
    spread = np.sqrt(variance[left, right] + variance_now[left, right])
    with np.errstate(all="ignore"):
        distance = np.nan_to_num(np.abs(_fisher(before) - _fisher(now)) / spread, nan=0.0)
        chance = -np.expm1(len(left) * np.log1p(-2 * ndtr(-distance)))
    change = np.where(chance <= CHANCE, np.abs(now - before), 0.0)
    largest = np.argsort(-change, kind="stable")[:CHANGES_MAX]
    return Finding(
        value=float(change[largest[0]]),
        n=n,
        reference_n=m,
        p_value=float(chance.min()),
        changes=tuple(
            Change((int(left[at]), int(right[at])), float(before[at]), float(now[at]))
            for at in largest
            if change[at]
        ),
    )


def _fisher(r: Matrix) -> Matrix:
    return np.arctanh(np.clip(r, -NEAR_ONE, NEAR_ONE))


def _correlations(rows: Matrix) -> tuple[Matrix, Matrix]:
    """By pair, float[F, F]: the correlation, NaN where left out, and the variance of Fisher's z.

    Ranks are those among a column's own values, doubled and centred: whole numbers, so that sums
    over the rows that have both columns are exact, in whatever order they are added.
    """
    from scipy.stats import rankdata

    there = ~np.isnan(rows)
    n = there.sum(axis=0)
    u = np.where(there, 2 * rankdata(rows, axis=0, nan_policy="omit") - (n + 1), 0.0)
    mask, square = there.astype(np.float64), u * u
    both = mask.T @ mask
    varied = square.sum(axis=0) > (1 - ONE_VALUE_MAX**3) * n * (n * n - 1) / 3
    with np.errstate(all="ignore"):
        own = square.T @ mask / both
        size = np.sqrt(own * own.T)
        r = u.T @ u / both / size
        m22 = square.T @ square / both / size**2
        m31 = (square * u).T @ u / both / (own * size)
        m40 = (square * square).T @ mask / both / own**2
        spread = m22 - r * (m31 + m31.T) + r * r / 4 * (m40 + 2 * m22 + m40.T)
        slope = 1 / (1 - np.clip(r, -NEAR_ONE, NEAR_ONE) ** 2)
        variance = np.maximum(spread, 0.0) / both * slope**2
    usable = np.logical_and.outer(varied, varied) & (both >= PAIR_MIN)
    return np.where(usable, r, np.nan), variance
