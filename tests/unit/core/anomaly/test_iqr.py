"""Tukey's fences: distances from the quartiles that numpy gives, in ranges that scipy gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import iqr

from inferwatch.core.anomaly import zscore
from inferwatch.core.anomaly.iqr import FLOOR_SHARE, SAMPLES_MIN, score

values = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)
pasts = st.lists(values, min_size=SAMPLES_MIN, max_size=60)


@given(pasts, values)
def test_it_is_tukeys_distance(past, value):
    """Any past: 0 between the quartiles, outside the distance from the nearer one in ranges."""
    low, high = np.percentile(past, [25, 75])
    width = max(iqr(past), FLOOR_SHARE * np.abs(past).mean())
    found = score(past, value)
    outside = value - np.clip(value, low, high)
    if width == 0:
        assert found.value == (0.0 if outside == 0 else None)
    else:
        assert found.value == pytest.approx(outside / width, rel=1e-9, abs=1e-9)


@given(pasts, st.integers(-4, 4))
def test_the_usual_fence_is_one_and_a_half(past, quarters):
    """A score above 1.5 is exactly a point beyond Tukey's fence."""
    low, high = np.percentile(past, [25, 75])
    fence = high + 1.5 * (high - low)
    value = fence + quarters / 4 * (high - low)
    if high - low > FLOOR_SHARE * np.abs(past).mean():
        assert (score(past, value).value > 1.5 + 1e-9) == (quarters > 0)


def test_one_wild_window_hides_nothing():
    """A spike in the past leaves the score of the next point as it was; z falls under 1."""
    calm = np.linspace(10, 13, 100).tolist()
    spiked = [*calm, 1_000.0]
    assert score(spiked, 20.0).value == pytest.approx(score(calm, 20.0).value, rel=0.05)
    assert zscore.score(calm, 20.0).value > 6 and abs(zscore.score(spiked, 20.0).value) < 1


def test_a_past_of_zeros_has_no_spread_yet():
    """Nothing but zeros: zero is 0, anything else is unknown, not infinite."""
    assert score([0.0] * 12, 0.0).value == 0.0
    found = score([0.0] * 12, -1e-9)
    assert (found.value, found.unknown) == (None, "no spread yet")
