"""One-class support vector machine: rows outside a smooth border around the reference.

Source: B. Schölkopf et al., "Estimating the support of a high-dimensional distribution", Neural
Comput. 13 (2001); scikit-learn's, ν 0.1, a Gaussian kernel of width √(F·variance). One column with
wild values widens the kernel for all. Cost: 30 ms for 2,000 rows of 20 columns.
"""

from collections.abc import Callable

from inferwatch.inspect.scaling import Matrix

OUTSIDE = 0.1


def fit(rows: Matrix, seed: int) -> Callable[[Matrix], Matrix]:
    """Find the border; the score falls with the kernel density. `seed` has no part in it."""
    from sklearn.svm import OneClassSVM

    border = OneClassSVM(kernel="rbf", gamma="scale", nu=OUTSIDE).fit(rows)
    return lambda found: -border.score_samples(found)
