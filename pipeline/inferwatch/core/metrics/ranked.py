"""Figures of a binary model's scores from the rows themselves, for exact windows.

Ties count one half in AUC, as in the Mann–Whitney U; average precision is Σ (R_k − R_{k−1})·P_k,
not the trapezoid. Scores are probabilities: what lies outside [0, 1] is clipped where that matters,
and on both sides at EPSILON before the logarithm.
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.sketches import score_labels
from inferwatch.core.sketches.score_labels import EPSILON

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
Counts = NDArray[np.int64]
NO_LABELS = "no labels"


def _by_score(scores: Floats, truth: Truths) -> tuple[Counts, Counts]:
    """Rows of the negative and of the positive class for each distinct score, the lowest first."""
    distinct, place = np.unique(scores, return_inverse=True)
    negative, positive = (
        np.bincount(place[rows], minlength=len(distinct)) for rows in (~truth, truth)
    )
    return negative, positive


def auc(scores: Floats, truth: Truths) -> Figure:
    """P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)."""
    return score_labels.auc_of(*_by_score(scores, truth))


def average_precision(scores: Floats, truth: Truths) -> Figure:
    """Precision averaged over the recall steps from the highest score down."""
    return score_labels.average_precision_of(*_by_score(scores, truth))


def log_loss(scores: Floats, truth: Truths) -> Figure:
    """−mean ln p(y)."""
    p = np.clip(scores, EPSILON, 1 - EPSILON)
    return _mean(-np.where(truth, np.log(p), np.log1p(-p)), least=0.0)


def brier(scores: Floats, truth: Truths) -> Figure:
    """Mean (p − y)²."""
    return _mean((np.clip(scores, 0, 1) - truth) ** 2, least=0.0)


def calibration_bias(scores: Floats, truth: Truths) -> Figure:
    """Mean p − y: above 0 the model promises too much."""
    return _mean(np.clip(scores, 0, 1) - truth)


def _mean(values: Floats, least: float = -np.inf) -> Figure:
    return score_labels.mean_of(values, np.ones(len(values), np.int64), least)


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
