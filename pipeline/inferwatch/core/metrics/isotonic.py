"""Calibration of a binary model's scores by the reference's labels: isotonic regression.

The share of positive rows by bin of score is made to rise by pooling neighbours that do not, the
least-squares fit among rising functions. Bins without a labelled row lie on the straight line
between their neighbours, as in scikit-learn. It is used only where it lowers the expected
calibration error of rows that it was not fitted on, on the mean of three stratified folds.

Sources: M. Ayer and others, Ann. Math. Statist. 26 (1955); B. Zadrozny, C. Elkan, KDD (2002); the
condition is that of NannyML, which draws ten splits. Cost: 2 ms for each table of labels, then
looked up.
"""

from collections.abc import Iterator
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.sketches.score_labels import BINS, MIDDLES, gap

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
LABELS_MIN = 300
CLASS_MIN = 30
FOLDS = 3
DRAWN_MAX = 1_000_000_000  # rows that numpy deals out


class Curve(msgspec.Struct, frozen=True):
    """Probability of the positive class by score.

    `shares` float64[BINS] are those at the middle of each bin of `score_labels`. Bins of one step
    were fitted together: `steps` int64[BINS] numbers them, `variances` float64 are those of each
    step's share.
    """

    shares: Floats
    steps: NDArray[np.int64]
    variances: Floats


AS_GIVEN = Curve(MIDDLES, np.zeros(BINS, np.int64), np.zeros(1))
"""Scores that are taken for probabilities."""


def fit(labelled: Counts) -> Curve | None:
    """The curve by which scores are probabilities, `AS_GIVEN` where calibrating them gains nothing.

    None with fewer than 300 labels or 30 of a class.

    :param labelled: int64[2, BINS], rows of the negative and the positive class by bin.
    """
    if labelled.sum() < LABELS_MIN or labelled.sum(axis=1).min() < CLASS_MIN:
        return None
    while labelled.sum() >= DRAWN_MAX:
        labelled = labelled // 2
    return _fit(labelled.tobytes())


@lru_cache(maxsize=64)
def _fit(labelled: bytes) -> Curve:
    counts = np.frombuffer(labelled, np.int64).reshape(2, BINS)
    gained = 0.0
    for held_out in _folds(counts):
        fitted = _pooled(counts - held_out)
        gained += gap(held_out, MIDDLES) - gap(held_out, fitted.shares)
    return _pooled(counts) if gained > 0 else AS_GIVEN


def _folds(counts: Counts) -> Iterator[Counts]:
    """The rows dealt out into three parts, each class evenly; which row goes where is drawn once
    and for all.
    """
    generator, left = np.random.default_rng(0), counts
    for parts in range(FOLDS, 0, -1):
        sizes = left.sum(axis=1) // parts
        drawn = [
            generator.multivariate_hypergeometric(of, size)
            for of, size in zip(left, sizes, strict=True)
        ]
        fold = np.stack(drawn)
        left = left - fold
        yield fold


def _pooled(counts: Counts) -> Curve:
    """Pool adjacent violators: the steps of the fit, lowest first, each with its rows' share."""
    bins = np.flatnonzero(counts.sum(axis=0))
    steps: list[tuple[int, int, int]] = []  # positive rows, rows, bins
    for negative, positive in counts[:, bins].T.tolist():
        step = (positive, negative + positive, 1)
        while steps and steps[-1][0] * step[1] >= step[0] * steps[-1][1]:
            before = steps.pop()
            step = (before[0] + step[0], before[1] + step[1], before[2] + step[2])
        steps.append(step)
    positives, rows, widths = np.array(steps, np.float64).T
    step_of = np.repeat(np.arange(len(steps)), widths.astype(np.int64))
    shares = np.interp(MIDDLES, MIDDLES[bins], (positives / rows)[step_of])
    likely = (positives + 0.5) / (rows + 1)  # a step whose rows are all alike is not certain
    nearest = np.searchsorted(bins, np.arange(BINS)).clip(max=len(bins) - 1)
    return Curve(shares, step_of[nearest], likely * (1 - likely) / (rows + 1))
