"""Errors of a regression equal scikit-learn's, whatever is merged, taken back or not finite."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from inferwatch.core.metrics import LABEL_METRICS, regression

values = st.integers(-(10**9), 10**9).map(lambda thousandths: thousandths / 1000)
rows = st.lists(st.tuples(values, values), min_size=1, max_size=60)


def columns(drawn):
    truth, predicted = np.array(drawn, np.float64).reshape(-1, 2).T
    return truth, predicted


def sums(drawn):
    state = regression.empty()
    regression.add(state, *columns(drawn))
    return state


def close(found, expected):
    """Each figure is the other one to 1e-9, or unknown for the same reason."""
    for name, figure in expected.items():
        assert (found[name].n, found[name].unknown) == (figure.n, figure.unknown)
        if figure.value is not None:
            assert found[name].value == pytest.approx(figure.value, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 500), level=st.floats(-1e6, 1e6))
def test_figures_are_scikit_learns(seed, n, level):
    """Random truths about any level: MAE, RMSE, bias, MAPE and R² to 1e-9."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(level, 3, n)
    predicted = truth + generator.normal(0.5, 1, n)
    state = regression.empty()
    regression.add(state, truth, predicted)
    expected = {
        "mae": sklearn.mean_absolute_error(truth, predicted),
        "rmse": sklearn.root_mean_squared_error(truth, predicted),
        "bias": (predicted - truth).mean(),
        "mape": sklearn.mean_absolute_percentage_error(truth, predicted),
        "r2": sklearn.r2_score(truth, predicted),
    }
    found = {name: figure.value for name, figure in regression.figures(state).items()}
    assert found == pytest.approx(expected, rel=1e-9)
    assert all("regression" in LABEL_METRICS[name].tasks for name in found)


def variances(truth, predicted):
    """Variance of each figure from its influence in every row."""
    error, n = predicted - truth, len(truth)
    relative, centred = np.abs(error / truth), truth - truth.mean()
    rest = (error**2).sum() / (centred**2).sum()
    means = {"mae": np.abs(error), "bias": error, "mape": relative}
    return {name: value.var(ddof=1) / n for name, value in means.items()} | {
        "rmse": (error**2).var(ddof=1) / n / (4 * (error**2).mean()),
        "r2": ((error**2 - rest * centred**2) ** 2).mean() / n / truth.var() ** 2,
    }


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 500), level=st.floats(-1e3, 1e3))
def test_intervals_have_the_variance_of_the_influence_of_rows(seed, n, level):
    """Random truths about any level, in two panes with other origins: each interval to 1e-6."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(level, 3, n)
    predicted = truth + generator.standard_t(5, n)
    state, then = regression.empty(), regression.empty()
    regression.add(state, truth[: n // 2], predicted[: n // 2])
    regression.add(then, truth[n // 2 :], predicted[n // 2 :])
    regression.merge(state, then)
    found = regression.figures(state)
    for name, variance in variances(truth, predicted).items():
        half = 1.959963984540054 * math.sqrt(variance)
        low, high = found[name].value - half, found[name].value + half
        low = low if name in ("bias", "r2") else max(0.0, low)
        high = min(1.0, high) if name == "r2" else high
        assert (found[name].low, found[name].high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)


def test_rows_that_are_all_alike_have_no_interval():
    """One row, and errors of one size: nothing tells how far the next may be."""
    for drawn in ([(1.0, 2.0)], [(1.0, 2.0), (3.0, 4.0)]):
        found = regression.figures(sums(drawn))
        assert (found["mae"].value, found["mae"].low, found["rmse"].low) == (1.0, None, None)


def test_sums_of_a_checkpoint_from_before_intervals_are_read():
    """Six columns: the figures go on, those intervals that need the others are not known."""
    drawn = [(1.0, 2.0), (4.0, 2.0), (5.0, 8.0)]
    whole = sums(drawn)
    old = regression.Residuals(whole.high[:6], whole.low[:6], whole.origin, whole.n, whole.n)
    for state in (whole, old):
        regression.add(state, *columns(drawn))
    found, expected = regression.figures(old), regression.figures(whole)
    assert {name: one.value for name, one in found.items()} == {
        name: one.value for name, one in expected.items()
    }
    assert found["mae"] == expected["mae"]
    assert [found[name].low for name in ("rmse", "mape", "r2")] == [None, None, None]


def test_mape_leaves_out_truths_of_zero_and_says_how_many_are_in():
    """One y = 0, for which scikit-learn says 2e15: left out, and `n` counts the others."""
    truth, predicted = np.array([0.0, 10.0, -4.0]), np.array([1.0, 12.0, -3.0])
    assert sklearn.mean_absolute_percentage_error(truth, predicted) > 1e14
    found = regression.figures(sums(list(zip(truth, predicted, strict=True))))["mape"]
    expected = sklearn.mean_absolute_percentage_error(truth[1:], predicted[1:])
    assert (found.value, found.n) == (pytest.approx(expected), 2)


def test_truths_of_zero_alone_have_no_percentage():
    """Every y = 0: MAPE is unknown, the others are not."""
    found = regression.figures(sums([(0.0, 1.0), (0.0, -1.0)]))
    assert (found["mape"].value, found["mape"].unknown) == (None, "every truth is 0")
    assert found["mae"].value == 1.0


@given(st.lists(values, min_size=1, max_size=50), values)
def test_a_constant_truth_has_no_r2(predicted, constant):
    """All y equal, where scikit-learn says 0 or 1: unknown, with the reason."""
    found = regression.figures(sums([(constant, value) for value in predicted]))["r2"]
    assert (found.value, found.unknown) == (None, "constant truth")


@given(st.integers(1, 500), st.floats(-1e3, 1e3))
def test_a_truth_that_became_constant_by_a_correction_has_no_r2(n, constant):
    """The first row, about which sums are taken, is taken back: what is left is constant."""
    first = [(1234.5, 1.0)]
    state = sums(first + [(constant, 0.3)] * n)
    regression.add(state, *columns(first), -1)
    found = regression.figures(state)["r2"]
    assert (found.value, found.unknown) == (None, "constant truth")


def test_without_labels_nothing_is_known():
    """No row, and rows of which one side is not finite: all unknown."""
    gaps = [(math.nan, 1.0), (1.0, math.inf), (-math.inf, math.nan)]
    for state in (regression.empty(), sums([]), sums(gaps)):
        found = regression.figures(state)
        assert {(figure.value, figure.unknown) for figure in found.values()} == {
            (None, "no labels")
        }


@given(rows)
def test_rows_without_two_numbers_are_passed_over(drawn):
    """NaN and ±Inf on either side change no figure."""
    gaps = [(math.nan, 1.0), (1.0, math.inf), (-math.inf, 2.0)]
    assert regression.figures(sums(gaps + drawn + gaps)) == regression.figures(sums(drawn))


@given(rows, rows)
def test_merged_sums_are_the_sums_of_all_rows(left, right):
    """Panes with other first truths: the figures of all rows, and the empty pane changes none."""
    whole = sums(left)
    regression.merge(whole, sums(right))
    regression.merge(whole, regression.empty())
    close(regression.figures(whole), regression.figures(sums(left + right)))
    fresh = regression.empty()
    regression.merge(fresh, sums(left))
    close(regression.figures(fresh), regression.figures(sums(left)))


@given(rows, st.data())
def test_the_way_rows_were_batched_does_not_show(drawn, data):
    """Cut anywhere: the same sums in bits."""
    cut = data.draw(st.integers(0, len(drawn)))
    parts = sums(drawn[:cut])
    regression.add(parts, *columns(drawn[cut:]))
    whole = sums(drawn)
    assert np.array_equal(parts.high, whole.high) and np.array_equal(parts.low, whole.low)
    assert (parts.n, parts.relative_n, parts.origin) == (whole.n, whole.relative_n, whole.origin)


def test_a_corrected_label_leaves_no_trace():
    """10,000 rows, 5,000 of them taken back in another order: the figures of the rest to 1e-12."""
    generator = np.random.default_rng(3)
    truth = generator.normal(1e6, 5, 10_000)
    predicted = truth + generator.normal(0, 1, 10_000)
    state, rest = regression.empty(), regression.empty()
    regression.add(state, truth, predicted)
    regression.add(state, truth[:5_000][::-1], predicted[:5_000][::-1], -1)
    regression.add(rest, truth[5_000:], predicted[5_000:])
    found, expected = regression.figures(state), regression.figures(rest)
    for name in expected:
        assert found[name].value == pytest.approx(expected[name].value, rel=1e-12)


@pytest.mark.parametrize("huge", [(1e200, -1e200), (1e308, -1e308), (1.0, 1e200)])
def test_what_overflows_is_unknown(huge):
    """Numbers whose squares are no floats: no figure is NaN or infinite, and RMSE says why not."""
    state = sums([(1.0, 2.0), huge, (3.0, 4.0)])
    regression.merge(state, sums([huge]))
    found = regression.figures(state)
    assert all(figure.value is None or math.isfinite(figure.value) for figure in found.values())
    assert (found["rmse"].value, found["rmse"].unknown) == (None, "overflow")
    assert found["r2"].unknown == "overflow"
