"""Figures from the grid of logits stay near those of the rows; counts add and take back exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from inferwatch.core.metrics import ranked
from inferwatch.core.sketches import score_labels

TOLERANCES = {
    "auc": 0.01,
    "average_precision": 0.05,
    "log_loss": 0.03,
    "brier": 0.002,
    "calibration_bias": 0.02,
    "calibration_error": 0.03,
}
CLASS_MIN = 30
probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))
rows = st.lists(st.tuples(probabilities, st.booleans()), min_size=1, max_size=60)


def table(drawn):
    state = score_labels.empty()
    score_labels.add(state, *columns(drawn))
    return state


def columns(drawn):
    score = np.array([score for score, _ in drawn], np.float64)
    return score, np.array([truth for _, truth in drawn], np.bool_)


def sample(kind, generator):
    """Scores as models give them, and truths that follow them more or less."""
    n = int(generator.integers(200, 5_000))
    if kind == "logits":
        logits = generator.normal(generator.uniform(-6, 6), generator.uniform(0.5, 4), n)
        score = 1 / (1 + np.exp(-logits))
    elif kind == "spread":
        score = generator.beta(*generator.uniform(0.05, 5, 2), n)
    elif kind == "rounded":
        score = np.round(generator.beta(*generator.uniform(0.05, 5, 2), n), 2)
    else:
        n *= 5
        score = generator.beta(0.5, generator.uniform(50, 200), n)
    truth = generator.random(n) < np.clip(score * generator.uniform(0.5, 1.5), 0, 1)
    return score, truth


@pytest.mark.parametrize("kind", ["logits", "spread", "rounded", "crowded near 0"])
def test_errors_stay_within_what_is_documented(kind):
    """100 models of each kind: no figure is further from the rows' than the docstring says."""
    generator, judged = np.random.default_rng(11), 0
    for _ in range(100):
        score, truth = sample(kind, generator)
        if min(truth.sum(), (~truth).sum()) < CLASS_MIN:
            continue
        judged += 1
        state = score_labels.empty()
        score_labels.add(state, score, truth)
        for name, tolerance in TOLERANCES.items():
            expected = getattr(ranked, name)(score, truth).value
            found = getattr(score_labels, name)(state).value
            assert found == pytest.approx(expected, abs=tolerance), name
    assert judged >= 40


@pytest.mark.parametrize("kind", ["logits", "spread", "rounded", "crowded near 0"])
def test_the_finer_grid_errs_less(kind):
    """AUC is off by less than 0.002 by 1,024 bins, and no other figure by more than the limits."""
    generator = np.random.default_rng(11)
    for _ in range(100):
        score, truth = sample(kind, generator)
        if min(truth.sum(), (~truth).sum()) < CLASS_MIN:
            continue
        fine = score_labels.empty(score_labels.FINE_BINS)
        score_labels.add(fine, score, truth)
        for name, tolerance in (TOLERANCES | {"auc": 0.002}).items():
            expected = getattr(ranked, name)(score, truth).value
            found = getattr(score_labels, name)(fine).value
            assert found == pytest.approx(expected, abs=tolerance), name


@given(rows, rows)
def test_finer_bins_are_parts_of_the_others(left, right):
    """Four and four together they are the coarser grid, also where one of each is merged."""
    fine = score_labels.empty(score_labels.FINE_BINS)
    score_labels.add(fine, *columns(left))
    assert np.array_equal(score_labels.coarse(fine), table(left).counts)
    score_labels.merge(fine, table(right))
    assert np.array_equal(fine.counts, table(left + right).counts)
    score_labels.merge(fine, table(left))
    assert fine.bins == score_labels.BINS


@settings(deadline=None)
@given(rows)
def test_auc_is_scikit_learns_of_the_bins(drawn):
    """With each score replaced by its bin the AUC is exact, and unknown for one class."""
    score, truth = columns(drawn)
    found = score_labels.auc(table(drawn))
    if truth.all() or not truth.any():
        assert (found.value, found.unknown) == (None, "one class")
    else:
        expected = roc_auc_score(truth, score_labels.bin_of(score))
        assert found.value == pytest.approx(expected, abs=1e-12)


@given(rows)
def test_figures_are_those_of_rows_in_the_middle_of_their_bins(drawn):
    """Each score replaced by its bin's middle: figures of the rows to 1e-9, and the ends of their
    intervals to 1e-7, for they hold the root of a variance that rounding may leave at 1e-17.
    """
    score, truth = columns(drawn)
    middles = score_labels.MIDDLES[score_labels.bin_of(score)]
    for name in ("auc", "average_precision", "log_loss", "brier", "calibration_bias"):
        expected = getattr(ranked, name)(middles, truth)
        found = getattr(score_labels, name)(table(drawn))
        assert found.unknown == expected.unknown
        for end, error in (("value", 1e-9), ("low", 1e-7), ("high", 1e-7)):
            assert getattr(found, end) == pytest.approx(getattr(expected, end), abs=error)


@given(probabilities, probabilities)
def test_a_higher_score_has_no_lower_bin(one, other):
    """Bins keep the order, reach from 0 to the last, and hold their own middle."""
    low, high = score_labels.bin_of(np.array(sorted([one, other]))).tolist()
    assert 0 <= low <= high < score_labels.BINS
    middles = score_labels.MIDDLES
    assert np.array_equal(score_labels.bin_of(middles), np.arange(score_labels.BINS))


def test_scores_of_0_and_1_stand_in_the_outer_bins():
    """Sure scores, and what is no probability: the first and the last bin."""
    score = np.array([0.0, -5.0, 1e-9, 1.0, 7.0, 1e200])
    assert score_labels.bin_of(score).tolist() == [0, 0, 0, 255, 255, 255]


@given(rows, rows)
def test_counts_add_and_take_back_exactly(left, right):
    """Merging is adding; a row taken back was never there."""
    merged, corrected = table(left), table(left + right)
    score_labels.merge(merged, table(right))
    assert np.array_equal(merged.counts, corrected.counts)
    score_labels.add(corrected, *columns(right), -1)
    assert np.array_equal(corrected.counts, table(left).counts)


def test_without_labels_nothing_is_known():
    """No row: each figure is unknown and says so; without a positive, average precision too."""
    for name in TOLERANCES:
        found = getattr(score_labels, name)(score_labels.empty())
        assert (found.value, found.unknown) == (None, "no labels")
    found = score_labels.average_precision(table([(0.4, False)]))
    assert (found.value, found.unknown) == (None, "no positive label")


def test_the_table_takes_4_kilobytes():
    """Whatever the number of rows."""
    assert score_labels.empty().counts.nbytes == 4_096
