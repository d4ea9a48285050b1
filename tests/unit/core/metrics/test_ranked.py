"""Figures of scores, from the rows: scikit-learn's, with ties, one class and scores of 0 and 1."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve

from inferwatch.core.intervals import logit
from inferwatch.core.metrics import ranked
from inferwatch.core.sketches.score_labels import EPSILON

FIGURES = (
    ranked.auc,
    ranked.average_precision,
    ranked.log_loss,
    ranked.brier,
    ranked.calibration_bias,
    ranked.calibration_error,
)
scores = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
rows = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=80)


def columns(drawn):
    score, truth = zip(*drawn, strict=True)
    return np.array(score), np.array(truth, np.bool_)


@settings(deadline=None)
@given(rows)
def test_auc_is_scikit_learns(drawn):
    """Any scores with any ties; with one class alone it is unknown."""
    score, truth = columns(drawn)
    found = ranked.auc(score, truth)
    if truth.all() or not truth.any():
        assert (found.value, found.unknown) == (None, "one class")
    else:
        assert found.value == pytest.approx(sklearn.roc_auc_score(truth, score), abs=1e-12)


@settings(deadline=None)
@given(rows)
def test_average_precision_is_scikit_learns(drawn):
    """Any scores with any ties; without a positive label it is unknown."""
    score, truth = columns(drawn)
    found = ranked.average_precision(score, truth)
    if not truth.any():
        assert (found.value, found.unknown) == (None, "no positive label")
    else:
        expected = sklearn.average_precision_score(truth, score)
        assert found.value == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(rows)
def test_log_loss_is_scikit_learns_with_our_clip(drawn):
    """Both clipped at our ε; a sure and wrong row costs 16.1, not 36."""
    score, truth = columns(drawn)
    clipped = np.clip(score, EPSILON, 1 - EPSILON)
    expected = sklearn.log_loss(truth, clipped, labels=[False, True])
    assert ranked.log_loss(score, truth).value == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(rows)
def test_brier_is_scikit_learns(drawn):
    """Mean squared distance from the truth."""
    score, truth = columns(drawn)
    expected = sklearn.brier_score_loss(truth, score, labels=[False, True], pos_label=True)
    assert ranked.brier(score, truth).value == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tens=st.integers(1, 50))
def test_calibration_error_is_that_of_scikit_learns_curve(seed, tens):
    """Distinct scores in ten groups of equal size: the mean gap of `calibration_curve`."""
    generator = np.random.default_rng(seed)
    score = generator.permutation(np.linspace(0, 1, 10 * tens))
    truth = generator.random(10 * tens) < score**2
    shares, means = calibration_curve(truth, score, n_bins=10, strategy="quantile")
    expected = np.abs(shares - means).mean()
    assert ranked.calibration_error(score, truth).value == pytest.approx(expected, abs=1e-12)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_show(drawn, random):
    """Shuffled rows give the same figures, also where ties lie across two groups."""
    shuffled = list(drawn)
    random.shuffle(shuffled)
    for figure in FIGURES:
        one, other = figure(*columns(drawn)), figure(*columns(shuffled))
        assert one.unknown == other.unknown
        assert one.value == pytest.approx(other.value, abs=1e-12)


@given(rows)
def test_auc_turns_with_the_scores(drawn):
    """Mirrored scores give 1 − AUC; ties stay one half."""
    score, truth = columns(drawn)
    one, other = ranked.auc(score, truth), ranked.auc(-score, truth)
    if one.value is not None:
        assert one.value + other.value == pytest.approx(1, abs=1e-12)
    if truth.any() and not truth.all():
        assert ranked.auc(np.full(len(truth), 0.3), truth).value == 0.5


def test_without_rows_nothing_is_known():
    """No labels: each figure is unknown and says so."""
    for figure in FIGURES:
        found = figure(np.empty(0), np.empty(0, np.bool_))
        assert (found.value, found.n, found.unknown) == (None, 0, ranked.NO_LABELS)


def test_a_sure_and_wrong_score_has_a_finite_price():
    """Scores of exactly 0 and 1 cost −ln ε at most, and nothing overflows."""
    wrong = ranked.log_loss(np.array([0.0, 1.0]), np.array([True, False])).value
    assert wrong == pytest.approx(-np.log(EPSILON), rel=1e-6)
    right = ranked.log_loss(np.array([0.0, 1.0]), np.array([False, True])).value
    assert right == pytest.approx(EPSILON, rel=1e-6)


def test_a_score_that_is_no_probability_counts_as_the_nearest_one():
    """1e200 as a score is 1, so that no figure is infinite."""
    wild, tame = np.array([1e200, -1e200, 0.5]), np.array([1.0, 0.0, 0.5])
    truth = np.array([True, True, False])
    for figure in FIGURES:
        assert figure(wild, truth) == figure(tame, truth)


@settings(deadline=None)
@given(rows)
def test_auc_has_delongs_interval(drawn):
    """Any scores with any ties: the structural components over all pairs, on the log odds."""
    score, truth = columns(drawn)
    if truth.all() or not truth.any():
        return
    wins = (np.sign(score[truth][:, np.newaxis] - score[~truth]) + 1) / 2
    sides = [side for side in (wins.mean(axis=1), wins.mean(axis=0)) if len(side) > 1]
    variance = sum(side.var(ddof=1) / len(side) for side in sides)
    found = ranked.auc(score, truth)
    if variance < 1e-12 or wins.mean() in (0, 1):
        return
    assert (found.low, found.high) == pytest.approx(logit(wins.mean(), variance), abs=1e-9)


@settings(deadline=None)
@given(rows)
def test_means_of_losses_have_the_interval_of_a_mean(drawn):
    """Brier score, log-loss and bias: 1.96 standard errors, and no loss below 0."""
    score, truth = columns(drawn)
    p = np.clip(score, EPSILON, 1 - EPSILON)
    losses = {
        ranked.brier: (score - truth) ** 2,
        ranked.log_loss: -np.where(truth, np.log(p), np.log1p(-p)),
        ranked.calibration_bias: score - truth,
    }
    for figure, values in losses.items():
        found = figure(score, truth)
        if found.low is None:
            assert len(values) < 2 or values.std() == pytest.approx(0, abs=1e-9)
            continue
        half = 1.959963984540054 * values.std(ddof=1) / np.sqrt(len(values))
        low = found.value - half
        low = low if figure is ranked.calibration_bias else max(0.0, low)
        assert (found.low, found.high) == pytest.approx((low, found.value + half), abs=1e-9)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """500 samples of 300 rows of a known model: 92 to 98 in 100 hold the figure of all rows."""
    generator = np.random.default_rng(2)
    score = generator.beta(2, 3, 150_000)
    truth = generator.random(len(score)) < score
    for figure in FIGURES[:-1]:
        whole = figure(score, truth).value
        found = [
            figure(score[at : at + 300], truth[at : at + 300]) for at in range(0, 150_000, 300)
        ]
        assert 0.92 < np.mean([one.low <= whole <= one.high for one in found]) < 0.98, figure


def test_what_is_alike_in_every_row_has_no_interval():
    """One class apart from the other, one row, the calibration error: a value alone."""
    apart = ranked.auc(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert (apart.value, apart.low) == (1.0, None)
    assert ranked.brier(np.array([0.3]), np.array([True])).low is None
    error = ranked.calibration_error(np.array([0.1, 0.9]), np.array([False, True]))
    assert (error.low, error.high) == (None, None)
