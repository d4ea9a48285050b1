"""Moments are exact to the last digits, and the same bits however rows are batched."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.sketches import moments

numbers = st.floats(-1e6, 1e6)
columns = st.lists(
    st.one_of(numbers, st.sampled_from([math.nan, math.inf, -math.inf, -0.0])), max_size=300
)


def of(values):
    """Moments of one column."""
    state = moments.empty(1)
    moments.update(state, np.array([values], np.float64))
    return state


def bits(state):
    """Every number of the state as bytes."""
    return [getattr(state, name).tobytes() for name in state.__struct_fields__]


def exact(values):
    """Mean and sample variance in fractions."""
    n, rows = len(values), [Fraction(value) for value in values]
    mean = sum(rows) / n
    return float(mean), float(sum((row - mean) ** 2 for row in rows) / (n - 1))


@given(columns, st.data())
def test_the_way_rows_were_batched_does_not_show(values, data):
    """Cut anywhere, any number of times: the same bits in every number of the state."""
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=5).map(sorted))
    state = moments.empty(1)
    for first, last in zip([0, *cuts], [*cuts, len(values)], strict=True):
        moments.update(state, np.array([values[first:last]], np.float64).reshape(1, -1))
    assert bits(state) == bits(of(values))


def test_a_block_is_its_columns_one_by_one():
    """20 columns at once give the bits of each alone."""
    block = np.random.default_rng(1).lognormal(size=(20, 777)).astype(np.float32)
    state = moments.empty(20)
    moments.update(state, block)
    for at in range(20):
        alone = moments.empty(1)
        moments.update(alone, block[at : at + 1])
        assert np.array_equal(state.parts[at], alone.parts[0])
        for name in ("origin", "sums", "ranges", "counts"):
            assert np.array_equal(getattr(state, name)[..., at], getattr(alone, name)[..., 0])


@pytest.mark.parametrize("level", [0.0, 1e3, 1e9, -1e12])
def test_they_are_exact_about_any_level(level):
    """10,000 rows of sd 1 about 10¹² too: mean and variance as fractions have them, to 1e-12."""
    values = (level + np.random.default_rng(4).normal(0, 1, 10_000)).tolist()
    state = of(values)
    mean, variance = exact(values)
    assert moments.mean(state)[0] == pytest.approx(mean, rel=1e-15, abs=1e-15)
    assert moments.variance(state)[0] == pytest.approx(variance, rel=1e-12)


def test_rows_that_cancel_lose_eleven_roundings_at_most():
    """Sums that pass 10²⁰ on their way to 1, in 200,000 rows: the bound that the kernel states."""
    large = np.random.default_rng(6).normal(0, 1e17, 100_000).tolist()
    values = [0.0, *large, 1.0, *[-value for value in reversed(large)]]
    off = abs(Fraction(float(moments.mean(of(values))[0])) * len(values) - 1)
    assert off <= 11 * 2.0**-53 * sum(map(abs, values))


def test_a_first_row_far_off_does_not_spoil_the_rest():
    """x₀ an outlier of 10⁶ sd: the variance still has nine digits."""
    values = [1e6, *np.random.default_rng(5).normal(0, 1, 5_000).tolist()]
    assert moments.variance(of(values))[0] == pytest.approx(exact(values)[1], rel=1e-9)


@given(columns)
def test_what_is_not_finite_is_counted_apart(values):
    """NaN is missing, ±Inf is non-finite; mean and range are those of the rest."""
    state = of(values)
    finite = [value for value in values if math.isfinite(value)]
    assert state.count[0] == len(finite)
    assert state.missing[0] == sum(map(math.isnan, values))
    assert state.non_finite[0] == sum(map(math.isinf, values))
    if finite:
        assert (state.least[0], state.most[0]) == (min(finite), max(finite))
        expected = math.fsum(finite) / len(finite)
        assert moments.mean(state)[0] == pytest.approx(expected, rel=1e-12, abs=1e-9)
    else:
        assert math.isnan(moments.mean(state)[0])
    if len(finite) < 2:
        assert math.isnan(moments.variance(state)[0])


@given(st.lists(columns, min_size=1, max_size=4))
def test_merged_moments_are_those_of_all_rows(parts):
    """Panes, also empty ones, in their order: counts and range exactly, the rest to 1e-9."""
    whole, expected = moments.empty(1), of([value for part in parts for value in part])
    for part in parts:
        moments.merge(whole, of(part))
    for name in ("count", "missing", "non_finite", "least", "most"):
        assert getattr(whole, name) == getattr(expected, name)
    close = {"rel": 1e-9, "abs": 1e-6, "nan_ok": True}
    assert moments.mean(whole)[0] == pytest.approx(moments.mean(expected)[0], **close)
    assert moments.variance(whole)[0] == pytest.approx(moments.variance(expected)[0], **close)


@given(st.lists(columns, min_size=1, max_size=4))
def test_merging_repeats_itself(parts):
    """The same panes in the same order: the same bits, and the merged-in pane is left as it was."""
    once, again = moments.empty(1), moments.empty(1)
    for part in parts:
        other = of(part)
        before = bits(other)
        moments.merge(once, other)
        moments.merge(again, of(part))
        assert bits(other) == before
    assert bits(once) == bits(again)


@given(numbers, st.integers(2, 100))
def test_a_constant_has_no_variance(constant, n):
    """Equal values, merged too: exactly 0, not a rounding error."""
    state = of([constant] * n)
    moments.merge(state, of([constant] * 3))
    assert moments.variance(state)[0] == 0.0
    assert moments.mean(state)[0] == constant


def test_what_overflows_is_no_crash():
    """Squares beyond floats: no exception and no warning; the mean may still be known."""
    state = of([1e200, -1e200, 1.0])
    assert moments.mean(state)[0] == pytest.approx(1 / 3, abs=1e184)
    assert not math.isfinite(moments.variance(state)[0])
    assert (state.least[0], state.most[0]) == (-1e200, 1e200)


def test_a_column_costs_336_bytes():
    """The state is what the docstring says, whatever the number of rows."""
    state = moments.empty(10)
    moments.update(state, np.ones((10, 1_000)))
    assert sum(getattr(state, name).nbytes for name in state.__struct_fields__) == 336 * 10
