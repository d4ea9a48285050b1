"""Performance of a model of classes without labels, from its scores: CBPE.

Where scores are probabilities p, a row that is answered "positive" is right with probability p and
one answered "negative" with 1 − p. So the confusion table that labels would give is expected to
have TP = Σ p and FP = Σ (1 − p) over positive answers, FN = Σ p and TN = Σ (1 − p) over negative
ones, and figures follow from it as from a counted one; AUC from the expected table at every score.
An answer among several classes is right with the probability of its class, as a positive one is:
the share of right ones is then the accuracy.

The interval is 95 % for the figure that the rows' own labels would give: their truths vary about p
(each independently), and p itself about the labels that it was calibrated by; both by the delta
method, on the log odds. It says nothing of a relation between score and truth that has changed:
estimates are blind to that.

Source: J. Białek and others, "Estimating Model Performance Under Covariate Shift Without Labels",
arXiv 2401.08348 (2024). Scores count by bins of `score_labels`. Cost: 0.3 ms
a window and segment.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import logit
from inferwatch.core.metrics.isotonic import Curve

NO_ROWS = "no row with a score and an answer"
WHY = {
    "estimated.accuracy": NO_ROWS,
    "estimated.precision": "no positive answer",
    "estimated.recall": "less than one positive row expected",
    "estimated.f1": "less than one positive row or answer expected",
    "estimated.auc": "less than one row of each class expected",
}
"""Why an estimate is unknown, by its name."""
ESTIMATES = tuple(WHY)
Estimate = tuple[str, float, NDArray[np.float64], NDArray[np.float64]]


def figures(decided: NDArray[np.int64], curve: Curve) -> dict[str, Figure]:
    """Every estimate by its name; unknown where less than one row is expected in its denominator.

    :param decided: int64[2, BINS], rows of negative and of positive answers by bin of score.
    """
    n = int(decided.sum())
    if not n:
        return {name: Figure(None, unknown=NO_ROWS) for name in WHY}
    found = {name: Figure(None, n, unknown=why) for name, why in WHY.items()}
    spread = curve.shares * (1 - curve.shares)
    for name, value, if_negative, if_positive in _estimates(decided, curve.shares):
        moved = decided[0] * if_negative + decided[1] * if_positive
        of_step = np.bincount(curve.steps, moved, len(curve.variances))
        truths = decided[0] * if_negative**2 + decided[1] * if_positive**2
        variance = float(truths @ spread + of_step**2 @ curve.variances)
        found[name] = Figure(value, n, *logit(value, variance))
    return found


def _estimates(decided: NDArray[np.int64], p: NDArray[np.float64]) -> Iterator[Estimate]:
    """Each that is defined: its value, and how far it moves per row more that is positive in truth,
    by bin, of the rows answered negative and of those answered positive.
    """
    n, answered = float(decided.sum()), float(decided[1].sum())
    missed, hit = (decided * p).sum(axis=1).tolist()  # FN and TP
    positives = missed + hit
    ones = np.ones_like(p)
    right = hit + float(decided[0] @ (1 - p))
    yield "estimated.accuracy", right / n, -ones / n, ones / n
    if answered:
        yield "estimated.precision", hit / answered, 0 * ones, ones / answered
    if positives >= 1:
        whole = positives * positives
        yield "estimated.recall", hit / positives, -hit / whole * ones, missed / whole * ones
    if positives + answered >= 1:
        both = positives + answered
        more = 2 * (both - hit) / both**2
        yield "estimated.f1", 2 * hit / both, -2 * hit / both**2 * ones, more * ones
    if positives >= 1 and n - positives >= 1:
        value, moved = _auc(decided.sum(axis=0), p)
        yield "estimated.auc", value, moved, moved


def _auc(rows: NDArray[np.int64], p: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Area under the curve of the expected tables at every bin, by the trapezoid, and how far it
    moves per row more that is positive in truth.
    """
    positive, negative = rows * p, rows * (1 - p)
    positives, negatives = positive.sum(), negative.sum()
    beaten = (np.cumsum(negative) - negative / 2) / negatives
    beating = (positives - np.cumsum(positive) + positive / 2) / positives
    value = float(positive @ beaten / positives)
    return value, (beaten - value) / positives - (beating - value) / negatives
