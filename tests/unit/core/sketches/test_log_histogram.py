"""Quantiles of the log histogram: the nearest rank, at most 1.6 % off, exact under merging."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.figures import QUANTILES
from inferwatch.core.sketches import log_histogram

SMALLEST, LARGEST = (float(number) for number in (np.finfo("f4").tiny, np.finfo("f4").max))
sizes = st.floats(SMALLEST, LARGEST)
numbers = st.one_of(sizes, sizes.map(lambda value: -value), st.just(0.0), st.floats(0.1, 1e4))
columns = st.lists(numbers, min_size=1, max_size=60)
shares = st.one_of(st.floats(0, 1, exclude_min=True), st.sampled_from(list(QUANTILES.values())))


def of(values):
    state = log_histogram.empty()
    log_histogram.update(state, np.array(values, np.float64))
    return state


def same(one, other):
    return (
        np.array_equal(one.keys, other.keys)
        and np.array_equal(one.counts, other.counts)
        and one.missing == other.missing
    )


@given(columns, shares)
def test_a_quantile_is_the_nearest_rank_within_a_bin(values, share):
    """Any values of either sign, any share: at most 1.6 % off the row of rank ⌈q·n⌉."""
    expected = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    found = log_histogram.quantile(of(values), share)
    assert found.value == pytest.approx(expected, rel=0.016, abs=0)
    assert found.n == len(values)


@pytest.mark.parametrize("share", QUANTILES.values())
def test_published_quantiles_are_numpys(share):
    """50,000 latencies: numpy's `inverted_cdf` to 1.6 %."""
    values = np.random.default_rng(1).lognormal(3, 1, 50_000)
    expected = np.quantile(values, share, method="inverted_cdf")
    assert log_histogram.quantile(of(values), share).value == pytest.approx(expected, rel=0.016)


def test_a_bin_is_a_32nd_of_an_octave():
    """From 1 up to 2 there are 32 bins, and the worst value in them is 1/64 off."""
    values = np.linspace(1, 2, 1_025)[:-1]
    state = of(values)
    assert len(state.keys) == 32
    errors = [abs(log_histogram.quantile(of([value]), 1).value / value - 1) for value in values]
    assert 1 / 64 - 1e-3 < max(errors) <= 1 / 64


@given(columns)
def test_quantiles_rise_with_the_share(values):
    """No share has a smaller value than a smaller share."""
    state = of(values)
    found = [log_histogram.quantile(state, share / 20).value for share in range(1, 21)]
    assert found == sorted(found)


@given(columns, columns)
def test_merged_counts_are_those_of_all_rows(left, right):
    """Two histograms add exactly, in either order, and batches do not show."""
    expected = of(left + right)
    for first, second in ((left, right), (right, left)):
        merged, batched = of(first), of(first)
        log_histogram.merge(merged, of(second))
        log_histogram.update(batched, np.array(second))
        assert same(merged, expected) and same(batched, expected)
    untouched = of(left)
    log_histogram.merge(untouched, log_histogram.empty())
    assert same(untouched, of(left))


@given(columns)
def test_what_is_not_finite_is_missing(values):
    """NaN and ±Inf stand in no bin; what a float32 cannot hold stands in the last one."""
    state = of([*values, math.nan, math.inf, -math.inf])
    assert state.missing == 3
    assert log_histogram.count(state) == len(values)
    assert log_histogram.quantile(of([1e300]), 1).value == pytest.approx(LARGEST, rel=0.016)
    assert log_histogram.quantile(of([-1e300]), 1).value == pytest.approx(-LARGEST, rel=0.016)


def test_without_rows_it_is_unknown():
    """No row, or none that is a number: unknown, with the reason."""
    for state in (log_histogram.empty(), of([]), of([math.nan])):
        found = log_histogram.quantile(state, 0.5)
        assert (found.value, found.unknown) == (None, "no rows")


def test_float32_and_float64_fall_into_the_same_bin():
    """Latencies travel as float32; the bins are those of the numbers before."""
    values = np.random.default_rng(2).lognormal(3, 2, 5_000).astype(np.float32)
    wide = log_histogram.empty()
    log_histogram.update(wide, values.astype(np.float64))
    narrow = log_histogram.empty()
    log_histogram.update(narrow, values)
    assert same(wide, narrow)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60), st.floats(0, 1e9))
def test_the_share_up_to_a_value_is_that_of_its_bin(values, value):
    """What numpy counts at or below the value, but for values within 3.2 % of it."""
    state = log_histogram.empty()
    log_histogram.update(state, np.array(values))
    found = log_histogram.share_up_to(state, value)
    sure = np.mean(np.array(values) <= value)
    near = np.mean(np.array(values) <= value * 1.032 + 1e-30)
    assert sure - 1e-12 <= found <= near + 1e-12


def test_what_is_taken_out_leaves_what_was_there():
    """In either order, and beside what is merged in between."""
    kept, taken = of([1.0, 2.0, 300.0]), log_histogram.empty()
    log_histogram.take_out(taken, np.array([2.0, 7.0, np.nan]))
    log_histogram.merge(taken, of([2.0, 7.0, 1.0, 2.0, 300.0, np.nan]))
    assert log_histogram.count(taken) == 3 and taken.missing == 0
    for q in (0.1, 0.5, 1.0):
        assert log_histogram.quantile(taken, q) == log_histogram.quantile(kept, q)
