"""Intervals of figures over the whole table are those of scikit-learn's figures, row by row."""

import warnings
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from inferwatch.core.intervals import logit
from inferwatch.core.metrics import averages, confusion

WORDS = ("0", "1", "2", "3")
FIGURES = {
    "balanced_accuracy": sklearn.balanced_accuracy_score,
    "mcc": sklearn.matthews_corrcoef,
    **{
        f"{average}_{name}": lambda true, predicted, sample_weight, name=name, average=average: (
            getattr(sklearn, f"{name}_score")(
                true, predicted, average=average, zero_division=0, sample_weight=sample_weight
            )
        )
        for average in ("macro", "weighted")
        for name in ("precision", "recall", "f1")
    },
}
rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)


def table(true, predicted):
    state = confusion.empty()
    confusion.add(state, true.astype(np.int32), predicted.astype(np.int32), WORDS)
    return state


def jackknife(figure, true, predicted):
    """Variance from what a row's weight does to scikit-learn's figure (infinitesimal jackknife)."""
    n, step = len(true), 1e-5
    influence = []
    for row in range(n):
        ends = []
        for weight in (1 + step, 1 - step):
            weights = np.ones(n)
            weights[row] = weight
            ends.append(figure(true, predicted, sample_weight=weights))
        influence.append(n * (ends[0] - ends[1]) / (2 * step))
    return float(np.mean(np.square(influence))) / n


@settings(deadline=None, max_examples=25)
@given(rows)
def test_each_interval_has_the_variance_that_rows_of_scikit_learns_figure_have(drawn):
    """Any rows of four classes: every figure but the weighted recall, which is accuracy."""
    true, predicted = np.array(drawn).T
    found = confusion.multiclass(table(true, predicted))
    for name, figure in FIGURES.items():
        if found[name].value is None or name == "weighted_recall":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            variance = jackknife(figure, true, predicted)
        if variance < 1e-9:
            continue
        expected = logit(found[name].value, variance, least=-1.0 if name == "mcc" else 0.0)
        assert (found[name].low, found[name].high) == pytest.approx(expected, abs=1e-5), name


@given(rows)
def test_a_figure_lies_inside_its_interval_and_that_in_its_range(drawn):
    """Low < value < high, within 0…1, of MCC within −1…1; at an end of the range there is none."""
    found = confusion.multiclass(table(*np.array(drawn).T))
    for name, figure in found.items():
        if figure.value is not None and figure.low is not None:
            least = -1.0 if name == "mcc" else 0.0
            assert least <= figure.low <= figure.value <= figure.high <= 1.0
    sure = confusion.multiclass(table(np.array([0, 1, 2]), np.array([0, 1, 2])))
    assert (sure["macro_f1"].value, sure["macro_f1"].low) == (1.0, None)


def test_classes_are_told_apart_by_support():
    """The interval of a macro figure is wider than that of accuracy where one class is rare."""
    generator = np.random.default_rng(5)
    true = (generator.random(2_000) < 0.02).astype(int)
    predicted = np.where(generator.random(2_000) < 0.2, 1 - true, true)
    found = confusion.multiclass(table(true, predicted))
    width = {name: figure.high - figure.low for name, figure in found.items()}
    assert width["macro_recall"] > 2 * width["accuracy"]
    assert width["balanced_accuracy"] == width["macro_recall"]


def test_many_classes_cost_what_their_cells_cost():
    """A thousand classes with a row each: figures as ever, and none is NaN."""
    counts = np.eye(1_000, dtype=np.int64)
    counts[0, 1] = 5
    found = averages.macro_and_weighted(counts)
    assert all(0 < figure.value < 1 and figure.high < inf for figure in found.values())
