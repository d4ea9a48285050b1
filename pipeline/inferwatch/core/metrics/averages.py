"""Figures over the whole table of true against predicted classes, with delta-method intervals.

Rows are taken as drawn from a multinomial over the cells: with the derivatives of a figure by the
cells' shares its variance is that of the derivatives over the rows, divided by n. For macro
averages: K. Takahashi, K. Yamamoto, A. Kuchiba, T. Koyama, "Confidence interval for micro-averaged
F1 and macro-averaged F1 scores", Applied Intelligence 52 (2022). MCC: B. W. Matthews, Biochim.
Biophys. Acta 405 (1975); for k classes J. Gorodkin, Comput. Biol. Chem. 28 (2004).

`counts` is int64[K, K], rows true, columns predicted. Cost: of the cells that have rows.
"""

import math

import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import logit

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
NO_LABELS = "no labels"


class _Table:
    """The cells that have rows, and shares of the classes that are labelled or answered.

    `i`, `j`, `share` and `hit` describe cells, `truth` and `guess` classes.
    """

    def __init__(self, counts: Counts) -> None:
        used = (counts.sum(axis=0) > 0) | (counts.sum(axis=1) > 0)
        counts = counts[np.ix_(used, used)]
        self.n = int(counts.sum())
        self.i, self.j = np.nonzero(counts)
        self.share = counts[self.i, self.j] / max(self.n, 1)
        self.hit = (self.i == self.j).astype(np.float64)
        self.truth = counts.sum(axis=1) / max(self.n, 1)
        self.guess = counts.sum(axis=0) / max(self.n, 1)
        self.right = np.diag(counts) / max(self.n, 1)

    def figure(self, value: float, slopes: Floats, least: float = 0.0) -> Figure:
        """`value`, whose derivatives by the shares of the cells are `slopes`."""
        spread = slopes - self.share @ slopes
        variance = float(self.share @ (spread * spread)) / self.n
        return Figure(value, self.n, *logit(value, variance, least))


def balanced_accuracy(counts: Counts) -> Figure:
    """Mean recall of the classes that have labels."""
    table = _Table(counts)
    if not table.n:
        return Figure(None, unknown=NO_LABELS)
    present = table.truth > 0
    recall = _ratio(table.right, table.truth)
    slopes = (table.hit - recall[table.i]) / table.truth[table.i] / present.sum()
    return table.figure(float(recall[present].mean()), slopes)


def mcc(counts: Counts) -> Figure:
    """Correlation of truth and answer; unknown where either has one class only."""
    table = _Table(counts)
    n = table.n
    truth, guess = counts.sum(axis=1).astype(object), counts.sum(axis=0).astype(object)
    covariance = int(np.trace(counts)) * n - int((truth * guess).sum())
    spreads = (n * n - int((truth**2).sum()), n * n - int((guess**2).sum()))
    if not spreads[0] * spreads[1]:
        return Figure(None, n, unknown="one class" if n else NO_LABELS)
    value = covariance / math.sqrt(spreads[0] * spreads[1])
    of_truth, of_guess = spreads[0] / (n * n), spreads[1] / (n * n)
    slopes = (table.hit - table.guess[table.i] - table.truth[table.j]) / math.sqrt(
        of_truth * of_guess
    ) + value * (table.truth[table.i] / of_truth + table.guess[table.j] / of_guess)
    return table.figure(value, slopes, least=-1.0)


def macro_and_weighted(counts: Counts) -> dict[str, Figure]:
    """Precision, recall and F1 of the classes, averaged plainly and by support.

    As in scikit-learn a class without a denominator counts 0, over the union of true and predicted
    classes. Weighted recall is accuracy and not among them.
    """
    names = ("macro_precision", "macro_recall", "macro_f1", "weighted_precision", "weighted_f1")
    table = _Table(counts)
    if not table.n:
        return {name: Figure(None, unknown=NO_LABELS) for name in names}
    i, j, hit, truth, guess = table.i, table.j, table.hit, table.truth, table.guess
    precision, recall = _ratio(table.right, guess), _ratio(table.right, truth)
    f1, both = _ratio(2 * table.right, truth + guess), truth + guess
    plain = np.full(len(truth), 1 / len(truth))

    def of_precision(weight: Floats) -> Floats:
        return np.asarray(weight[j] * (hit - precision[j]) / guess[j])

    def of_f1(weight: Floats) -> Floats:
        return np.asarray(weight[i] * (2 * hit - f1[i]) / both[i] - weight[j] * f1[j] / both[j])

    of_recall = plain[i] * (hit - recall[i]) / truth[i]
    return {
        "macro_precision": table.figure(float(precision @ plain), of_precision(plain)),
        "macro_recall": table.figure(float(recall @ plain), of_recall),
        "macro_f1": table.figure(float(f1 @ plain), of_f1(plain)),
        "weighted_precision": table.figure(
            float(precision @ truth), precision[i] + of_precision(truth)
        ),
        "weighted_f1": table.figure(float(f1 @ truth), f1[i] + of_f1(truth)),
    }


def _ratio(part: Floats, whole: Floats) -> Floats:
    """`part` / `whole`, 0 where that is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
