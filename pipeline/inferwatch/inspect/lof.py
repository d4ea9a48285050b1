"""Local outlier factor: rows in emptier surroundings than their neighbours have.

Source: M. M. Breunig, H.-P. Kriegel, R. T. Ng, J. Sander, "LOF", SIGMOD 2000; scikit-learn's, on a
k-d tree in one thread. Sees gaps between clusters; with many columns all distances are alike.
Cost: 0.15 s for 2,000 rows of 20 columns.
"""

from collections.abc import Callable

from inferwatch.inspect.scaling import Matrix

NEIGHBOURS = 20


def fit(rows: Matrix, seed: int) -> Callable[[Matrix], Matrix]:
    """Keep the rows; the score is about 1 within them, more outside. `seed` has no part in it."""
    from sklearn.neighbors import LocalOutlierFactor

    factor = LocalOutlierFactor(NEIGHBOURS, algorithm="kd_tree", novelty=True, n_jobs=1).fit(rows)
    return lambda found: -factor.score_samples(found)
