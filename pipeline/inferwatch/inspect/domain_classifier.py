"""Domain classifier: how well a model tells the window's rows from the reference's.

Source: D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017, with the AUC of
rows held out in place of accuracy; Evidently offers the like. The classifier is scikit-learn's
random forest. Sees any change, in one column or in how columns go together, and says how large it
is, and by the trees' mean decrease of impurity, L. Breiman, "Random forests" (2001), in which
columns. Cost: 7 s for 2,000 rows of 20 columns each.
"""

import math

import numpy as np

from inferwatch.core.intervals import Z
from inferwatch.inspect import scaling
from inferwatch.inspect.beyond import too_few
from inferwatch.inspect.finding import Finding
from inferwatch.inspect.scaling import Matrix

FOLDS = 5
TREES = 100
LEAF_MIN = 5


def tell_apart(reference: Matrix, found: Matrix, seed: int) -> Finding:
    """Mean AUC of five folds, drawn by `seed` within each side; 0.5 cannot tell, 1 always can.

    The interval is J. A. Hanley and B. J. McNeil's (1982), the p-value the normal one of the rank
    sum, H. B. Mann, D. R. Whitney (1947), both as if the folds had been one.
    """
    short = too_few(reference, found)
    if short is not None:
        return short
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    m, n = len(reference), len(found)
    rows = scaling.learn(reference).apply(np.concatenate([reference, found]))
    side = np.repeat([0, 1], [m, n])
    areas, shares = [], np.zeros(rows.shape[1])
    for fitted, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, side):
        forest = RandomForestClassifier(
            TREES,
            min_samples_leaf=LEAF_MIN,
            class_weight="balanced",
            random_state=seed,
            n_jobs=1,
        ).fit(rows[fitted], side[fitted])
        shares += forest.feature_importances_ / FOLDS
        areas.append(roc_auc_score(side[held], forest.predict_proba(rows[held])[:, 1]))
    auc = float(np.mean(areas))
    half = Z * _error(auc, m, n)
    z = (auc - 0.5) / math.sqrt((m + n + 1) / (12 * m * n))
    return Finding(
        value=auc,
        n=n,
        reference_n=m,
        low=max(0.0, auc - half),
        high=min(1.0, auc + half),
        p_value=math.erfc(z / math.sqrt(2)) / 2,
        shares=tuple(shares.tolist()),
    )


def _error(auc: float, m: int, n: int) -> float:
    """Standard error of an AUC from m and n rows."""
    both, twice = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    spread = auc * (1 - auc) + (n - 1) * (both - auc * auc) + (m - 1) * (twice - auc * auc)
    return math.sqrt(max(0.0, spread) / (m * n))
