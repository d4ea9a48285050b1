"""z of a figure against past windows is scipy's, with a floor under the spread."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import zmap

from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.anomaly.zscore import FLOOR_SHARE, SAMPLES_MIN, score

values = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)
pasts = st.lists(values, min_size=SAMPLES_MIN, max_size=60)


@settings(deadline=None)
@given(pasts, values)
def test_it_is_scipys_where_there_is_spread(past, value):
    """Any past whose spread is above the floor: scipy's z of a new point, sample deviation."""
    floor = FLOOR_SHARE * np.abs(past).mean()
    found = score(past, value).value
    if np.std(past, ddof=1) > floor:
        (expected,) = zmap([value], past, ddof=1)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    elif floor:
        assert found == pytest.approx((value - np.mean(past)) / floor, rel=1e-9, abs=1e-9)


def test_the_point_itself_is_left_out():
    """Twelve equal windows and one far off: 100 floors. Inside its own sample z is √12 at most."""
    past = [10.0] * 12
    (inside,) = zmap([20.0], [*past, 20.0])
    assert score(past, 20.0).value == pytest.approx(100)
    assert inside == pytest.approx(math.sqrt(12))


@given(values.filter(bool), st.integers(SAMPLES_MIN, 30))
def test_a_flat_past_has_the_floor_as_its_spread(level, n):
    """All windows equal: one per cent of their size is one deviation."""
    assert score([level] * n, level).value == pytest.approx(0, abs=1e-9)
    assert score([level] * n, level + 0.05 * abs(level)).value == pytest.approx(5)


def test_a_past_of_zeros_has_no_spread_yet():
    """Nothing but zeros: zero is 0, anything else is unknown, not infinite."""
    assert score([0.0] * 12, 0.0).value == 0.0
    found = score([0.0] * 12, 1e-9)
    assert (found.value, found.unknown) == (None, "no spread yet")


@pytest.mark.parametrize("method", SERIES_METHODS)
def test_a_short_past_is_unknown(method):
    """Every series method: under twelve windows it says how many there are."""
    for n in range(SAMPLES_MIN):
        found = SERIES_METHODS[method]([float(k) for k in range(n)], 1e9)
        assert (found.value, found.n, found.unknown) == (None, n, f"{n} of 12 windows")
    assert SERIES_METHODS[method]([float(k) for k in range(12)], 1e9).value > 100


@pytest.mark.parametrize("method", SERIES_METHODS)
@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e308])
def test_no_score_is_nan_or_infinite(method, wild):
    """Every series method: what overflows, in the past or now, is unknown or a number."""
    tame = [float(k) for k in range(12)]
    found = [
        SERIES_METHODS[method](tame, wild),
        SERIES_METHODS[method]([*tame, wild, -wild] * 3, 1.0),
        SERIES_METHODS[method]([1e-300] * 12, wild),
    ]
    assert all(figure.value is None or math.isfinite(figure.value) for figure in found)
    assert math.isfinite(wild) or (found[0].value, found[0].unknown) == (None, "not finite")


@pytest.mark.parametrize("method", SERIES_METHODS)
def test_a_spread_beyond_floats_judges_nothing(method):
    """Every series method: against an infinite scale any distance would be 0, so it is unknown."""
    found = SERIES_METHODS[method]([1e308, -1e308] * 6, 1.5e308)
    assert (found.value, found.unknown) == (None, "not finite")


@pytest.mark.parametrize("method", SERIES_METHODS)
@given(pasts, values, st.randoms(use_true_random=False))
def test_the_order_of_the_past_does_not_matter(method, past, value, random):
    """Every series method: a shuffled past gives the same score."""
    shuffled = list(past)
    random.shuffle(shuffled)
    one, other = SERIES_METHODS[method](past, value), SERIES_METHODS[method](shuffled, value)
    assert one.unknown == other.unknown
    assert one.value == pytest.approx(other.value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("method", SERIES_METHODS)
@given(pasts, values)
def test_the_sign_is_the_direction(method, past, value):
    """Every series method: mirrored figures give the mirrored score."""
    one = SERIES_METHODS[method](past, value).value
    other = SERIES_METHODS[method]([-each for each in past], -value).value
    if one is not None:
        assert one == pytest.approx(-other, rel=1e-9, abs=1e-9)
