"""From scores of outliers to figures with a meaning, whatever the method and its units.

Rows that a method was fitted on look more usual to it than new ones, so a limit comes from rows
that it has not seen (split conformal): then 1 % of new rows like the reference's are beyond it,
whatever the method. Sources: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random
World" (2005); S. Bates et al., "Testing for outliers with conformal p-values", Ann. Stat. 51
(2023); for windows V. Vovk, "Cross-conformal predictors", Ann. Math. Artif. Intell. 74 (2015).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.inspectors import REFERENCE_MIN
from inferwatch.core.intervals import wilson
from inferwatch.inspect import scaling
from inferwatch.inspect.finding import Finding
from inferwatch.inspect.scaling import Matrix

QUANTILE = 0.99
ROWS_MIN = 50
WINDOWS_MIN = 40
FOLDS = 5
Score = Callable[[Matrix], Matrix]
Fit = Callable[[Matrix, int], Score]
"""`fit(rows, seed)` learns what is usual and gives a score of rows: higher is more unusual."""


def too_few(reference: Matrix, found: Matrix) -> Finding | None:
    """The answer where there is nothing to work with, else None."""
    m, n = len(reference), len(found)
    why = ""
    if not reference.shape[1]:
        why = "no columns"
    elif m < REFERENCE_MIN:
        why = f"{m} rows of the reference of {REFERENCE_MIN}"
    elif n < ROWS_MIN:
        why = f"{n} rows of {ROWS_MIN}"
    return Finding(value=None, n=n, reference_n=m, unknown=why) if why else None


def share(fit: Fit, reference: Matrix, found: Matrix, seed: int) -> Finding:
    """Share of the rows whose score is above the reference's 99th percentile.

    A half of the reference, drawn by `seed`, is fitted, the other gives the percentile: of its m
    scores the one of rank ⌈0.99·(m + 1)⌉. The p-value is exact for continuous scores, and too large
    where scores are equal.
    """
    short = too_few(reference, found)
    if short is not None:
        return short
    order = np.random.default_rng(seed).permutation(len(reference))
    fitted, held = order[: len(order) // 2], order[len(order) // 2 :]
    scale = scaling.learn(reference[fitted])
    score = fit(scale.apply(reference[fitted]), seed)
    known = np.sort(score(scale.apply(reference[held])))
    position = min(math.ceil(QUANTILE * (len(known) + 1)), len(known))
    beyond = int((score(scale.apply(found)) > known[position - 1]).sum())
    low, high = wilson(beyond, len(found))
    return Finding(
        value=beyond / len(found),
        n=len(found),
        reference_n=len(reference),
        low=low,
        high=high,
        p_value=_chance(beyond, len(found), len(known), position),
    )


def _chance(beyond: int, n: int, held: int, position: int) -> float:
    """Chance that so many of n rows are beyond the score of that rank among `held` of their kind.

    Every order of all scores is as likely as any other: the count is beta-binomial.
    """
    from scipy.stats import betabinom

    return float(betabinom.sf(beyond - 1, n, held - position + 1, position))


def rank(fit: Fit, past: Matrix, figures: Matrix, seed: int) -> Finding:
    """Share of past windows that are less unusual than the one with `figures`, float[F].

    In each of five folds a fifth of the windows is scored, beside this one, by what is fitted on
    the others. The p-value, (1 + windows as unusual or more)/(past + 1), is a chance up to what
    the folds have in common.
    """
    n = len(past)
    why = f"{n} windows of {WINDOWS_MIN}" if n < WINDOWS_MIN else ""
    why = why or ("" if len(figures) else "no figures")
    if why:
        return Finding(value=None, n=1, reference_n=n, unknown=why)
    place = np.random.default_rng(seed).permutation(n) % FOLDS
    more = sum(_as_unusual(fit, past, figures, place == fold, seed) for fold in range(FOLDS))
    return Finding(
        value=(n - more) / (n + 1),
        n=1,
        reference_n=n,
        p_value=(1 + more) / (n + 1),
        spreads=tuple(scaling.learn(past).apply(figures[np.newaxis])[0].tolist()),
    )


def _as_unusual(fit: Fit, past: Matrix, figures: Matrix, held: NDArray[np.bool_], seed: int) -> int:
    """Windows of a fold that score as high as `figures`, or higher."""
    scale = scaling.learn(past[~held])
    score = fit(scale.apply(past[~held]), seed)
    mine = score(scale.apply(figures[np.newaxis]))[0]
    return int((score(scale.apply(past[held])) >= mine).sum())
