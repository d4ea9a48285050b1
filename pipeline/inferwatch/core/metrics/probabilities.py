"""Log-loss and Brier score of a model that gives each class a probability.

−mean ln p(y), p clipped to [ε, 1 − ε], and mean Σ (p − y)² over the classes, 0…2, as scikit-learn
has them. A class that a row gives no probability has 0, so a true class without one costs 16.1.
What lies outside [0, 1] counts as the nearer end. State: 64 bytes.

References: I. J. Good, J. R. Stat. Soc. B 14 (1952); G. W. Brier, Mon. Weather Rev. 78 (1950).
"""

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import normal
from inferwatch.core.sketches import means
from inferwatch.core.sketches.means import Means
from inferwatch.core.sketches.score_labels import EPSILON

NO_SCORES = "no labels with scores by class"


def empty() -> Means:
    """No row."""
    return means.empty(2)


def add(state: Means, scores: NDArray[np.float32], true: NDArray[np.intp], sign: int = 1) -> None:
    """Add rows that have a score, or take them back with `sign` -1.

    :param scores: float32[k, n], NaN where a row gives a class none.
    :param true: the place of each row's true class among the k, -1 where it is not among them.
    """
    scored = np.isfinite(scores).any(axis=0)
    p = np.clip(np.nan_to_num(scores[:, scored].astype(np.float64)), 0.0, 1.0)
    true = true[scored]
    own = np.where(true >= 0, p[true, np.arange(len(true))], 0.0)
    log = -np.log(np.clip(own, EPSILON, 1 - EPSILON))
    squares = np.cumsum(p**2, axis=0)[-1]  # in order: a sum would depend on the rows beside it
    means.add(state, np.stack([log, squares - 2 * own + 1]), sign)


def figures(state: Means) -> dict[str, Figure]:
    """`log_loss` and `brier`, with the interval of a mean."""
    if not state.n:
        return {name: Figure(None, unknown=NO_SCORES) for name in ("log_loss", "brier")}
    (log, brier), variances = means.means(state)
    return {
        name: _figure(float(value), float(variance), state.n)
        for name, value, variance in zip(
            ("log_loss", "brier"), (log, brier), variances, strict=True
        )
    }


def _figure(mean: float, variance: float, n: int) -> Figure:
    value = max(mean, 0.0)
    return Figure(value, n, *normal(value, variance, least=0.0))
