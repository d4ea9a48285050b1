"""Counts of true against predicted classes, and the figures that follow from them.

Definitions as scikit-learn has them, but a zero denominator is unknown, not 0. MCC: B. W. Matthews,
Biochim. Biophys. Acta 405 (1975); for k classes J. Gorodkin, Comput. Biol. Chem. 28 (2004).
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.metrics.intervals import wilson

NO_LABELS = "no labels"


class Confusion(msgspec.Struct):
    """`counts` int64[K, K]: rows are true, columns predicted, both in the order of `classes`."""

    classes: list[str]
    counts: NDArray[np.int64]


def empty() -> Confusion:
    """A table without a row."""
    return Confusion([], np.zeros((0, 0), np.int64))


def add(
    state: Confusion,
    true: NDArray[np.int32],
    predicted: NDArray[np.int32],
    words: Sequence[str],
    sign: int = 1,
) -> None:
    """Count rows, or take them back with `sign` -1. Codes are positions in `words`."""
    if not len(true):
        return
    pairs, counts = np.unique(np.stack([true, predicted]), axis=1, return_counts=True)
    for code in np.unique(pairs).tolist():
        _place(state, words[code])
    places = np.array([_position(state, word) for word in words])
    np.add.at(state.counts, (places[pairs[0]], places[pairs[1]]), sign * counts)


def _position(state: Confusion, word: str) -> int:
    return state.classes.index(word) if word in state.classes else -1


def _place(state: Confusion, word: str) -> None:
    if word in state.classes:
        return
    state.classes.append(word)
    wider = np.zeros((len(state.classes), len(state.classes)), np.int64)
    wider[:-1, :-1] = state.counts
    state.counts = wider


def merge(into: Confusion, other: Confusion) -> None:
    """Add the rows of `other`; exact."""
    for word in other.classes:
        _place(into, word)
    places = np.array([into.classes.index(word) for word in other.classes], np.intp)
    if len(places):
        into.counts[np.ix_(places, places)] += other.counts


def share(part: int, whole: int, why: str) -> Figure:
    """A proportion with its Wilson interval; unknown without rows."""
    if not whole:
        return Figure(None, unknown=why)
    low, high = wilson(part, whole)
    return Figure(part / whole, whole, low, high)


def binary(state: Confusion, positive: str) -> dict[str, Figure]:
    """Figures of the class `positive` against all others."""
    at = _position(state, positive)
    n = int(state.counts.sum())
    tp = int(state.counts[at, at]) if at >= 0 else 0
    fn = int(state.counts[at].sum()) - tp if at >= 0 else 0
    fp = int(state.counts[:, at].sum()) - tp if at >= 0 else 0
    tn = n - tp - fn - fp
    recall = share(tp, tp + fn, "no positive label" if n else NO_LABELS)
    specificity = share(tn, tn + fp, "no negative label" if n else NO_LABELS)
    f1 = 2 * tp + fp + fn
    return {
        "accuracy": share(int(np.trace(state.counts)), n, NO_LABELS),
        "precision": share(tp, tp + fp, "no positive prediction" if n else NO_LABELS),
        "recall": recall,
        "specificity": specificity,
        "f1": Figure(2 * tp / f1, n)
        if f1
        else Figure(None, n, unknown="no positive label or prediction" if n else NO_LABELS),
        "balanced_accuracy": _mean([recall, specificity], n),
        "mcc": _mcc(np.array([[tn, fp], [fn, tp]], np.int64)),
    }


def _mean(figures: Sequence[Figure], n: int) -> Figure:
    values = [figure.value for figure in figures if figure.value is not None]
    if not values:
        return Figure(None, n, unknown=NO_LABELS)
    return Figure(sum(values) / len(values), n)


def _mcc(counts: NDArray[np.int64]) -> Figure:
    n = int(counts.sum())
    truth, guess = counts.sum(axis=1).astype(object), counts.sum(axis=0).astype(object)
    covariance = int(np.trace(counts)) * n - int((truth * guess).sum())
    spread = (n * n - int((truth**2).sum())) * (n * n - int((guess**2).sum()))
    if not spread:
        return Figure(None, n, unknown="one class" if n else NO_LABELS)
    return Figure(covariance / math.sqrt(spread), n)


def multiclass(state: Confusion) -> dict[str, Figure]:
    """Accuracy, MCC, and per-class figures averaged plainly (macro) and by support (weighted).

    As in scikit-learn a class without a denominator counts 0 in the macro and weighted means, over
    the union of true and predicted classes.
    """
    counts, n = state.counts, int(state.counts.sum())
    truth, guess = counts.sum(axis=1), counts.sum(axis=0)
    used = (truth > 0) | (guess > 0)
    found = {"accuracy": share(int(np.trace(counts)), n, NO_LABELS), "mcc": _mcc(counts)}
    hits = np.diag(counts)[used].astype(np.float64)
    truth, guess = truth[used], guess[used]
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(truth > 0, hits / truth, 0.0)
        columns = {
            "precision": np.where(guess > 0, hits / guess, 0.0),
            "recall": recall,
            "f1": 2 * hits / (truth + guess),
        }
    for name, values in columns.items():
        macro = Figure(float(values.mean()), n) if n else Figure(None, unknown=NO_LABELS)
        weighted = Figure(float(values @ truth) / n, n) if n else macro
        found |= {f"macro_{name}": macro, f"weighted_{name}": weighted}
    present = recall[truth > 0]
    found["balanced_accuracy"] = (
        Figure(float(present.mean()), n) if len(present) else Figure(None, unknown=NO_LABELS)
    )
    return found
