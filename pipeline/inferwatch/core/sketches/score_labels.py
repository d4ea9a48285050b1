"""Scores of a binary model by true class, on a grid of logits.

From one small table follow ROC AUC, average precision, log-loss, Brier score and calibration.
Intervals: AUC by E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988), average precision
by K. Boyd, K. Eng, C. D. Page, ECML PKDD (2013), both on the log odds; the others as means of rows.
The calibration error has none: its bias, not its spread, is what it is off by.
Scores of one bin, 0.126 logits wide, count as equal. Where scores spread over many bins and each
class has 30 labels, errors against the rows stay under 0.01 for AUC, 0.05 for average precision,
0.03 for log-loss, 0.002 for the Brier score and 0.03 for calibration
(tests/unit/core/sketches/test_score_labels.py). State: 4 KB.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import logit, normal

BINS = 256
EPSILON = 1e-7
_REACH = float(np.log((1 - EPSILON) / EPSILON))
MIDDLES = 1 / (1 + np.exp(_REACH - (np.arange(BINS) + 0.5) * (2 * _REACH / BINS)))


class ScoreLabels(msgspec.Struct):
    """`counts` int64[2, BINS]: rows of the negative and the positive class by logit bin."""

    counts: NDArray[np.int64]


def empty() -> ScoreLabels:
    """A table without a row."""
    return ScoreLabels(np.zeros((2, BINS), np.int64))


def bin_of(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each score; scores are probabilities, what lies outside is clipped."""
    clipped = np.clip(scores, EPSILON, 1 - EPSILON)
    place = (np.log(clipped / (1 - clipped)) + _REACH) * (BINS / (2 * _REACH))
    return np.asarray(np.clip(place.astype(np.int64), 0, BINS - 1))


def add(
    state: ScoreLabels, scores: NDArray[np.float64], labels: NDArray[np.bool_], sign: int = 1
) -> None:
    """Count rows, or take them back with `sign` -1."""
    places = bin_of(scores)
    state.counts[1] += sign * np.bincount(places[labels], minlength=BINS)
    state.counts[0] += sign * np.bincount(places[~labels], minlength=BINS)


def merge(into: ScoreLabels, other: ScoreLabels) -> None:
    """Add the rows of `other`; exact."""
    into.counts += other.counts


def auc(state: ScoreLabels) -> Figure:
    """P(s⁺ > s⁻) + ½ P(=) over bins."""
    return auc_of(*state.counts)


def auc_of(negative: NDArray[np.int64], positive: NDArray[np.int64]) -> Figure:
    """AUC of rows counted by class in groups of equal scores, the lowest first."""
    negatives, positives = int(negative.sum()), int(positive.sum())
    n = negatives + positives
    if not (negatives and positives):
        return Figure(None, n, unknown="one class" if n else "no labels")
    beaten = (np.cumsum(negative) - negative + negative / 2) / negatives
    beating = (positives - np.cumsum(positive) + positive / 2) / positives
    value = float(positive @ beaten) / positives
    variance = _variance(beaten, positive) + _variance(beating, negative)
    return Figure(value, n, *logit(value, variance))


def _variance(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Variance of the mean of `values`, of which there are `counts` each; 0 of a single one."""
    n = int(counts.sum())
    if n < 2:
        return 0.0
    spread = values - (counts @ values) / n
    return float(counts @ (spread * spread)) / (n - 1) / n


def average_precision(state: ScoreLabels) -> Figure:
    """Σ (R_k − R_{k−1})·P_k over the bins from the highest score down."""
    return average_precision_of(*state.counts)


def average_precision_of(negative: NDArray[np.int64], positive: NDArray[np.int64]) -> Figure:
    """Average precision of rows counted by class in groups of equal scores, the lowest first."""
    n, positives = int(negative.sum() + positive.sum()), int(positive.sum())
    if not positives:
        return Figure(None, n, unknown="no positive label" if n else "no labels")
    gained = positive[::-1]
    hits, seen = np.cumsum(gained), np.cumsum(gained + negative[::-1])
    value = float((gained * hits / np.maximum(seen, 1)).sum()) / positives
    return Figure(value, n, *logit(value, value * (1 - value) / positives))


def mean_of(
    values: NDArray[np.float64], counts: NDArray[np.int64], least: float = -np.inf
) -> Figure:
    """Mean of `values`, of which there are `counts` each."""
    n = int(counts.sum())
    if not n:
        return Figure(None, unknown="no labels")
    value = float(counts @ values) / n
    return Figure(value, n, *normal(value, _variance(values, counts), least))


def log_loss(state: ScoreLabels) -> Figure:
    """−mean ln p(y), p the middle of the bin."""
    losses = -np.concatenate([np.log1p(-MIDDLES), np.log(MIDDLES)])
    return mean_of(losses, state.counts.ravel(), least=0.0)


def brier(state: ScoreLabels) -> Figure:
    """Mean (p − y)², p the middle of the bin."""
    losses = np.concatenate([MIDDLES**2, (1 - MIDDLES) ** 2])
    return mean_of(losses, state.counts.ravel(), least=0.0)


def calibration_bias(state: ScoreLabels) -> Figure:
    """Mean p − y, p the middle of the bin: above 0 the model promises too much."""
    return mean_of(np.concatenate([MIDDLES, MIDDLES - 1]), state.counts.ravel())


def calibration_error(state: ScoreLabels, bins: int = 10) -> Figure:
    """Expected calibration error over `bins` groups of about equal mass; biased up for small n."""
    n = int(state.counts.sum())
    return Figure(gap(state.counts, MIDDLES, bins), n) if n else Figure(None, unknown="no labels")


def gap(counts: NDArray[np.int64], p: NDArray[np.float64], bins: int = 10) -> float:
    """Calibration error of at least one row by class and bin, where those of a bin were promised
    the probability `p` float64[BINS], which rises.
    """
    n = int(counts.sum())
    mass = counts.sum(axis=0)
    group = np.minimum((np.cumsum(mass) - mass / 2) * bins / n, bins - 1).astype(np.int64)
    truth = np.bincount(group, counts[1], bins)
    promised = np.bincount(group, mass * p, bins)
    return float(np.abs(promised - truth).sum() / n)
