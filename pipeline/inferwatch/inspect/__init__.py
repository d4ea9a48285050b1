"""Slow methods on samples of rows: what one column at a time cannot show.

`rows` holds a window's rows against the reference's, `window` the vector of a window's own figures
against those of past windows. scikit-learn is imported with the first call. The same rows in the
same order and the same seed give the same answer: one thread, every draw seeded.
"""

import warnings
from collections.abc import Callable, Iterable
from functools import partial

from inferwatch.errors import UsageError
from inferwatch.inspect import correlation, domain_classifier, isolation_forest, lof, one_class_svm
from inferwatch.inspect import random_forest as forest
from inferwatch.inspect.beyond import Fit, rank, share
from inferwatch.inspect.error_slices import error_slice
from inferwatch.inspect.finding import Finding
from inferwatch.inspect.scaling import Matrix
from inferwatch.inspect.slices import worst_slice

__all__ = ["OUTLIERS", "ROWS", "Finding", "error_slice", "rows", "window", "worst_slice"]
OUTLIERS: dict[str, Fit] = {
    "isolation_forest": isolation_forest.fit,
    "lof": lof.fit,
    "one_class_svm": one_class_svm.fit,
    "random_forest": forest.fit,
}
"""How unusual a row is among others: all of these score rows and windows."""
ROWS: dict[str, Callable[[Matrix, Matrix, int], Finding]] = {
    **{name: partial(share, fit) for name, fit in OUTLIERS.items()},
    "domain_classifier": domain_classifier.tell_apart,
    "correlation": correlation.changed,
}
"""What holds rows of a window, the second matrix, against the reference's, by a seed."""


def rows(method: str, reference: Matrix, found: Matrix, seed: int = 0) -> Finding:
    """Hold the rows `found` of a window against rows of the reference; both float[n, F].

    NaN is a missing value, ±Inf one beyond all others. An outlier method gives the share of rows
    beyond the reference's own 99th percentile score, 0.01 without a change; `domain_classifier`
    the AUC in telling window from reference, 0.5 without one; `correlation` the largest change of
    a rank correlation that chance does not explain, 0 without one. Unknown, with the reason, under
    200 rows of the reference or 50 of the window (`correlation`: 200). Cost: 10 ms to 7 s for 2,000
    rows of 20 columns each.

    :raises UsageError: no such method, or the columns differ in number.
    """
    _check_method(method, ROWS)
    _check_width(reference.shape[1:], found.shape[1:])
    with _quiet():
        return ROWS[method](reference, found, seed)


def window(method: str, past: Matrix, figures: Matrix, seed: int = 0) -> Finding:
    """Hold one window's figures, float[F], against those of past windows, float[n, F].

    The value is the share of past windows that are less unusual, in [0, 1): without a change it is
    above 0.99 in one window of a hundred. Unknown, with the reason, under 40 past windows. Cost:
    0.03 to 1.5 s.

    :raises UsageError: no such method, or the figures differ in number.
    """
    _check_method(method, OUTLIERS)
    _check_width(past.shape[1:], figures.shape)
    with _quiet():
        return rank(OUTLIERS[method], past, figures, seed)


def _check_method(name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UsageError(f"no inspector is called '{name[:80]}'; there are {', '.join(known)}")


def _check_width(reference: tuple[int, ...], found: tuple[int, ...]) -> None:
    if len(reference) != 1 or reference != found:
        raise UsageError(f"the columns differ: {reference} in the reference, {found} here")


def _quiet() -> warnings.catch_warnings:
    """Odd data are answered for here; scikit-learn's warnings about them add nothing."""
    return warnings.catch_warnings(action="ignore")
