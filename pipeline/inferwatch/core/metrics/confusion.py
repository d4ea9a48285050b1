"""Counts of true against predicted classes, and the figures that follow from them.

Definitions as scikit-learn has them, but a zero denominator is unknown, not 0.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import rate, wilson
from inferwatch.core.metrics import averages

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


def binary(state: Confusion, positive: str) -> dict[str, Figure]:
    """Figures of the class `positive` against all others."""
    n = int(state.counts.sum())
    tp, fp, fn = _against_others(state, positive)
    tn = n - tp - fn - fp
    two = np.array([[tn, fp], [fn, tp]], np.int64)
    return {
        "accuracy": rate(int(np.trace(state.counts)), n, NO_LABELS),
        "precision": rate(tp, tp + fp, "no positive prediction" if n else NO_LABELS),
        "recall": rate(tp, tp + fn, "no positive label" if n else NO_LABELS),
        "specificity": rate(tn, tn + fp, "no negative label" if n else NO_LABELS),
        "f1": _f1(tp, fp + fn, n, "no positive label or prediction" if n else NO_LABELS),
        "balanced_accuracy": averages.balanced_accuracy(two),
        "mcc": averages.mcc(two),
    }


def _against_others(state: Confusion, word: str) -> tuple[int, int, int]:
    """True positives, false positives and false negatives of one class."""
    at = _position(state, word)
    if at < 0:
        return 0, 0, 0
    hits = int(state.counts[at, at])
    return hits, int(state.counts[:, at].sum()) - hits, int(state.counts[at].sum()) - hits


def by_class(state: Confusion, named: Sequence[str], shown: Sequence[str]) -> dict[str, Figure]:
    """Figures of single classes: of all that are `named`, of those `shown` that have rows."""
    n = int(state.counts.sum())
    found: dict[str, Figure] = {}
    for word in dict.fromkeys([*named, *shown]):
        tp, fp, fn = _against_others(state, word)
        if not (tp + fp + fn or word in named):
            continue
        support = Figure(float(tp + fn), n) if n else Figure(None, unknown=NO_LABELS)
        found |= {
            f"class.{word}.precision": rate(tp, tp + fp, "no answer of the class"),
            f"class.{word}.recall": rate(tp, tp + fn, "no label of the class"),
            f"class.{word}.f1": _f1(tp, fp + fn, n, "no label or answer of the class"),
            f"class.{word}.support": support,
        }
    return found


def _f1(hits: int, misses: int, n: int, why: str) -> Figure:
    """F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is a share: its interval is that of J."""
    if not hits + misses:
        return Figure(None, n, unknown=why)
    low, high = (2 * end / (1 + end) for end in wilson(hits, hits + misses))
    return Figure(2 * hits / (2 * hits + misses), n, low, high)


def multiclass(state: Confusion) -> dict[str, Figure]:
    """Accuracy, MCC, and per-class figures averaged plainly (macro) and by support (weighted)."""
    accuracy = rate(int(np.trace(state.counts)), int(state.counts.sum()), NO_LABELS)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": averages.balanced_accuracy(state.counts),
        "mcc": averages.mcc(state.counts),
        **averages.macro_and_weighted(state.counts),
        "weighted_recall": accuracy,
    }
