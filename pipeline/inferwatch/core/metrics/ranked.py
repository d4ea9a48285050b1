"""Figures of a binary model's scores from the rows themselves, for exact windows.

Ties count one half in AUC, as in the Mann–Whitney U; average precision is Σ (R_k − R_{k−1})·P_k,
not the trapezoid. Scores are probabilities: what lies outside [0, 1] is clipped where that matters,
and on both sides at EPSILON before the logarithm.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.sketches.score_labels import EPSILON

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
NO_LABELS = "no labels"


def auc(scores: Floats, truth: Truths) -> Figure:
    """P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)."""
    n, positives = len(truth), int(truth.sum())
    if not positives or positives == n:
        return Figure(None, n, unknown="one class" if n else NO_LABELS)
    _, place, ties = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(ties)
    rank_sum_doubled = int(((2 * last - ties + 1)[place])[truth].sum())
    wins_doubled = rank_sum_doubled - positives * (positives + 1)
    return Figure(wins_doubled / (2 * positives * (n - positives)), n)


def average_precision(scores: Floats, truth: Truths) -> Figure:
    """Precision averaged over the recall steps from the highest score down."""
    n, positives = len(truth), int(truth.sum())
    if not positives:
        return Figure(None, n, unknown="no positive label" if n else NO_LABELS)
    _, place, ties = np.unique(-scores, return_inverse=True, return_counts=True)
    gained = np.bincount(place, truth)
    hits, seen = np.cumsum(gained), np.cumsum(ties)
    return Figure(float((gained * hits / seen).sum() / positives), n)


def log_loss(scores: Floats, truth: Truths) -> Figure:
    """−mean ln p(y)."""
    if not len(truth):
        return Figure(None, unknown=NO_LABELS)
    p = np.clip(scores, EPSILON, 1 - EPSILON)
    return Figure(float(-np.where(truth, np.log(p), np.log1p(-p)).mean()), len(truth))


def brier(scores: Floats, truth: Truths) -> Figure:
    """Mean (p − y)²."""
    if not len(truth):
        return Figure(None, unknown=NO_LABELS)
    return Figure(float(((np.clip(scores, 0, 1) - truth) ** 2).mean()), len(truth))


def calibration_error(scores: Floats, truth: Truths, bins: int = 10) -> Figure:
    """Expected calibration error over `bins` groups of equal mass; biased upwards on small n.

    Rows of equal score share their mean truth, so that the order of rows does not show.
    """
    n = len(truth)
    if not n:
        return Figure(None, unknown=NO_LABELS)
    distinct, place, ties = np.unique(
        np.clip(scores, 0, 1), return_inverse=True, return_counts=True
    )
    excess = np.repeat(distinct - np.bincount(place, truth) / ties, ties)
    gap = np.bincount(np.arange(n) * bins // n, excess, bins)
    return Figure(float(np.abs(gap).sum() / n), n)
