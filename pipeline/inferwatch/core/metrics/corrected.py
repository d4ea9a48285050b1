"""Accuracy of a window from its scores and the few labels it has: prediction-powered inference.

Each row has a guess Ỹ, the probability that its answer is right (`estimated`), and few have the
truth Y. R = mean Y of labelled rows + λ (mean Ỹ of all − mean Ỹ of labelled ones) keeps to the
labels whatever the guesses are worth, and is as much surer as guesses tell of truths. λ, from 0
(labels alone) to 1, is the slope of Y on Ỹ in windows before, so that the window's own labels do
not choose it; 1 while there is none.

The interval is 95 % for the accuracy that all labels would give. Labelled rows must be a random
sample of the window's: where quick labels are unlike late ones, it lies as `accuracy` does.

Sources: A. Angelopoulos, J. Duchi, T. Zrnic, "PPI++", arXiv 2311.01453 (2023), power tuning; as the
figure of the window's own rows it is the difference estimator of W. Cochran, Sampling Techniques
(1977), chapter 7. Cost: 0.1 ms a window and segment.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import normal
from inferwatch.core.metrics.isotonic import Curve
from inferwatch.core.sketches.score_labels import ScoreLabels, add, empty, merge

LABELS_MIN = 30


class Judged(msgspec.Struct):
    """Rows by answer, negative and positive, and bin of the score: `all` of them, and those whose
    label says that the answer was `right` or `wrong`.
    """

    all: ScoreLabels = msgspec.field(default_factory=empty)
    right: ScoreLabels = msgspec.field(default_factory=empty)
    wrong: ScoreLabels = msgspec.field(default_factory=empty)


def judge(
    state: Judged,
    scores: NDArray[np.float64],
    answers: NDArray[np.bool_],
    right: NDArray[np.bool_],
    sign: int,
) -> None:
    """Count labelled rows, or take them back with `sign` -1."""
    for table, mine in ((state.right, right), (state.wrong, ~right)):
        add(table, scores[mine], answers[mine], sign)


def join(into: Judged, other: Judged) -> None:
    """Add the rows of `other`; exact."""
    merge(into.all, other.all)
    merge(into.right, other.right)
    merge(into.wrong, other.wrong)


def accuracy(state: Judged, trust: float, curve: Curve) -> Figure:
    """The corrected share of right answers, in 0…1; unknown under 30 labels.

    :param trust: λ, of the windows before.
    """
    labelled = state.right.counts + state.wrong.counts
    n, rows = int(labelled.sum()), int(state.all.counts.sum())
    if n < LABELS_MIN:
        return Figure(None, n, unknown=f"{n} labels of {LABELS_MIN}")
    if rows < n:  # a state that no fold has made
        return Figure(None, n, unknown=f"{n} labels of {rows} rows")
    guess = _guess(curve)
    share = float(state.right.counts.sum()) / n
    of_all = float((state.all.counts * guess).sum()) / rows
    of_labelled = float((labelled * guess).sum()) / n
    moved = trust * (of_all - of_labelled)
    left = [(state.right.counts, 1 - trust * guess), (state.wrong.counts, -trust * guess)]
    centre = share - trust * of_labelled
    spread = sum(float((counts * (off - centre) ** 2).sum()) for counts, off in left) / (n - 1)
    variance = max(0.0, 1 - n / rows) * spread / n
    value = min(1.0, max(0.0, share + moved))
    return Figure(value, n, *normal(value, variance, 0.0, 1.0))


def _guess(curve: Curve) -> NDArray[np.float64]:
    """Ỹ by answer, negative and positive, and bin of the score."""
    return np.stack([1 - curve.shares, curve.shares])


def slope(past: Judged | None, curve: Curve) -> float:
    """λ: how far truths follow guesses, Cov(Y, Ỹ) / Var(Ỹ) within 0…1.

    1 where all guess the same, and under 30 labels.

    :param past: the labelled rows of windows before, None while there are none.
    """
    if past is None:
        return 1.0
    guess = _guess(curve)
    labelled = past.right.counts + past.wrong.counts
    n = int(labelled.sum())
    if n < LABELS_MIN:
        return 1.0
    off = guess - float((labelled * guess).sum()) / n
    spread = float((labelled * off * off).sum())
    if spread <= 0:
        return 1.0
    return min(1.0, max(0.0, float((past.right.counts * off).sum()) / spread))
