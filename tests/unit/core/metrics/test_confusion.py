"""Figures of classes equal scikit-learn's; where it divides by zero, ours are unknown."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from inferwatch.core.metrics import CLASS_FIGURES, LABEL_METRICS, confusion

WORDS = ("0", "1", "2", "3")
pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)
many = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def columns(rows):
    true, predicted = np.array(rows, np.int32).reshape(-1, 2).T
    return true, predicted


def table(rows, words=WORDS):
    state = confusion.empty()
    confusion.add(state, *columns(rows), words)
    return state


def same(figure, expected):
    """`figure` is `expected`, and unknown with a reason exactly where that is NaN."""
    if math.isnan(expected):
        return figure.value is None and bool(figure.unknown)
    return figure.value == pytest.approx(expected, abs=1e-12) and not figure.unknown


def matthews(true, predicted):
    """scikit-learn's MCC, NaN where a margin is empty, for which it says 0."""
    margins = (np.unique(true), np.unique(predicted))
    one = any(len(margin) == 1 for margin in margins)
    return math.nan if one else float(sklearn.matthews_corrcoef(true, predicted))


@settings(deadline=None, max_examples=50)
@given(pairs)
def test_binary_figures_are_scikit_learns(rows):
    """Any rows of two classes: every figure, and unknown where the denominator is zero."""
    true, predicted = columns(rows)
    found = confusion.binary(table(rows), "1")
    nan = {"zero_division": np.nan}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": sklearn.accuracy_score(true, predicted),
            "precision": sklearn.precision_score(true, predicted, **nan),
            "recall": sklearn.recall_score(true, predicted, **nan),
            "specificity": sklearn.recall_score(true, predicted, pos_label=0, **nan),
            "f1": sklearn.f1_score(true, predicted, **nan),
            "balanced_accuracy": sklearn.balanced_accuracy_score(true, predicted),
            "mcc": matthews(true, predicted),
        }
    assert found.keys() == expected.keys()
    wrong = {name for name, value in expected.items() if not same(found[name], value)}
    assert not wrong


@settings(deadline=None, max_examples=50)
@given(many)
def test_multiclass_figures_are_scikit_learns(rows):
    """Any rows of four classes, some only predicted: macro, weighted and plain figures."""
    true, predicted = columns(rows)
    found = confusion.multiclass(table(rows))
    expected = {"accuracy": sklearn.accuracy_score(true, predicted)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected["balanced_accuracy"] = sklearn.balanced_accuracy_score(true, predicted)
        for average in ("macro", "weighted"):
            scores = sklearn.precision_recall_fscore_support(
                true, predicted, average=average, zero_division=0
            )
            for name, value in zip(("precision", "recall", "f1"), scores[:3], strict=True):
                expected[f"{average}_{name}"] = value
    expected["mcc"] = matthews(true, predicted)
    assert found.keys() == expected.keys()
    wrong = {name for name, value in expected.items() if not same(found[name], value)}
    assert not wrong


@settings(deadline=None, max_examples=50)
@given(many)
def test_figures_of_single_classes_are_scikit_learns(rows):
    """Any rows of four classes: of those that are asked for, and of no other without a row."""
    true, predicted = columns(rows)
    found = confusion.by_class(table(rows), [WORDS[0]], WORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = sklearn.precision_recall_fscore_support(
            true, predicted, labels=range(len(WORDS)), zero_division=np.nan
        )
    for place, word in enumerate(WORDS):
        if word != WORDS[0] and place not in (*true, *predicted):
            assert f"class.{word}.recall" not in found
            continue
        for name, value in zip(CLASS_FIGURES, (column[place] for column in scores), strict=True):
            assert same(found[f"class.{word}.{name}"], value), (word, name)


def test_every_figure_of_a_task_is_one_that_monitor_files_know():
    """What comes out has a line in `LABEL_METRICS` for its task."""
    for task, found in (
        ("binary", confusion.binary(table([(0, 1)]), "1")),
        ("multiclass", confusion.multiclass(table([(0, 1)]))),
    ):
        assert all(task in LABEL_METRICS[name].tasks for name in found)


def test_without_labels_nothing_is_known():
    """No rows, and rows all taken back: each figure is unknown because there are no labels."""
    taken_back = table([(0, 1), (1, 1)])
    confusion.add(taken_back, *columns([(0, 1), (1, 1)]), WORDS, -1)
    for state in (confusion.empty(), table([]), taken_back):
        found = confusion.binary(state, "1") | confusion.multiclass(state)
        assert {(figure.value, figure.unknown) for figure in found.values()} == {
            (None, confusion.NO_LABELS)
        }


def test_a_positive_class_that_never_comes_is_no_zero():
    """A class that no row names: recall and precision are unknown and say which side lacks it."""
    found = confusion.binary(table([(0, 0), (2, 0)]), "1")
    assert found["recall"].unknown == "no positive label"
    assert found["precision"].unknown == "no positive prediction"
    assert found["f1"].unknown == "no positive label or prediction"
    assert found["mcc"].unknown == "one class"
    assert found["specificity"].value == 1.0
    assert found["balanced_accuracy"].value == 1.0


def test_the_positive_class_stands_against_all_others():
    """A third word in a binary model counts as negative for all but accuracy."""
    rows = [(0, 0), (0, 2), (1, 1), (2, 1), (2, 2)]
    true, predicted = (column == 1 for column in columns(rows))
    found = confusion.binary(table(rows), "1")
    assert found["precision"].value == sklearn.precision_score(true, predicted)
    assert found["specificity"].value == sklearn.recall_score(true, predicted, pos_label=0)
    assert found["mcc"].value == pytest.approx(sklearn.matthews_corrcoef(true, predicted))
    assert found["accuracy"].value == 3 / 5


@given(many, many, st.permutations(WORDS))
def test_merged_tables_are_the_table_of_all_rows(left, right, words):
    """Panes whose classes came in another order add up exactly."""
    whole, other = table(left), confusion.empty()
    shuffled = [tuple(words.index(WORDS[code]) for code in row) for row in right]
    confusion.add(other, *columns(shuffled), words)
    confusion.merge(whole, other)
    expected = table(left + right)
    order = [whole.classes.index(word) for word in expected.classes]
    assert sorted(whole.classes) == sorted(expected.classes)
    assert np.array_equal(whole.counts[np.ix_(order, order)], expected.counts)


@given(many, many)
def test_a_row_taken_back_was_never_there(kept, corrected):
    """Add and take back: the counts of the rest, and no figure of a class that is gone."""
    state = table(kept + corrected)
    confusion.add(state, *columns(corrected), WORDS, -1)
    assert confusion.multiclass(state) == pytest.approx(confusion.multiclass(table(kept)))
    assert confusion.binary(state, "1") == confusion.binary(table(kept), "1")


def test_counts_of_years_do_not_overflow():
    """10¹² rows: MCC as exact fractions have it, though its terms pass 64 bits."""
    counts = np.array([[900_000_000_000, 7_000_000_000], [5_000_000_000, 88_000_000_000]], np.int64)
    found = confusion.binary(confusion.Confusion(["0", "1"], counts), "1")["mcc"].value
    (tn, fp), (fn, tp) = counts.tolist()
    spread = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    squared = Fraction((tp * tn - fp * fn) ** 2, spread)
    assert found == pytest.approx(math.sqrt(squared), rel=1e-12)


@given(pairs)
def test_a_share_has_the_interval_of_its_own_denominator(rows):
    """Accuracy of all rows, recall of the positive labels, precision of the positive answers."""
    true, predicted = columns(rows)
    found = confusion.binary(table(rows), "1")
    sizes = {
        "accuracy": len(rows),
        "recall": int((true == 1).sum()),
        "specificity": int((true == 0).sum()),
        "precision": int((predicted == 1).sum()),
    }
    for name, size in sizes.items():
        figure = found[name]
        assert figure.n == size
        if size:
            hits = round(figure.value * size)
            assert (figure.low, figure.high) == confusion.wilson(hits, size)


@given(pairs)
def test_f1_has_the_interval_of_the_share_that_it_follows_from(rows):
    """F1 = 2J / (1 + J) with J = TP / (TP + FP + FN): scikit-learn's Jaccard score, as a share."""
    true, predicted = columns(rows)
    figure = confusion.binary(table(rows), "1")["f1"]
    wanted = int(((true == 1) | (predicted == 1)).sum())
    if wanted:
        jaccard = sklearn.jaccard_score(true, predicted)
        low, high = confusion.wilson(round(jaccard * wanted), wanted)
        expected = [2 * end / (1 + end) for end in (low, jaccard, high)]
        assert [figure.low, figure.value, figure.high] == pytest.approx(expected, abs=1e-12)
