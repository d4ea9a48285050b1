"""How soon a change is found, and which changes are not, at the parameters we ship."""

import numpy as np
import pytest

from inferwatch.core.drift.adwin import Adwin
from inferwatch.core.drift.page_hinkley import PageHinkley
from inferwatch.core.drift.scale import ERRORS, Scale

pytestmark = pytest.mark.slow

NORMAL = Scale(-3.09, 3.09, 0.0, 1.0)


def make(method, scale):
    return method.make(scale, method.PARAMS)


def delays(method, scale, before, after, draw, seeds=20, calm=10_000, rows=8_000):
    """Rows from a change to the first finding of each seed; a change not found counts `rows`."""
    found = []
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        detector = make(method, scale)
        assert not detector.update_many(draw(generator, before, calm))
        first = detector.update_many(draw(generator, after, rows))
        found.append(first[0].row if first else rows)
    return found


def normal(generator, level, n):
    return generator.normal(level, 1, n)


def errors(generator, share, n):
    return (generator.random(n) < share).astype(float)


def test_adwin_finds_a_doubled_error_rate_in_some_150_rows():
    """.2 → .4 after 10,000 rows: a mean of 110 to 180, where a skipped bucket would cost 870."""
    assert 110 < np.mean(delays(Adwin, ERRORS, 0.2, 0.4, errors)) < 180


def test_adwin_finds_five_points_of_error_in_some_1000_rows():
    """10 % → 15 %, and back: medians between 500 and 1,700, every change found."""
    for before, after in ((0.1, 0.15), (0.15, 0.1)):
        found = delays(Adwin, ERRORS, before, after, errors)
        assert 500 < np.median(found) < 1_700
        assert max(found) < 8_000


@pytest.mark.parametrize("shift", [-2.0, -1.0, 1.0, 2.0])
def test_page_hinkley_needs_threshold_over_excess(shift):
    """A shift of s deviations is found after some λ/(s − δ) rows, in both directions."""
    expected = 40 / (abs(shift) - 0.2)
    found = delays(PageHinkley, NORMAL, 0.0, shift, normal, rows=500)
    assert np.mean(found) == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_adwin_finds_one_deviation_in_some_100_rows(shift):
    """A feature that moves by one deviation of its reference: a mean of 70 to 130 rows."""
    assert 70 < np.mean(delays(Adwin, NORMAL, 0.0, shift, normal)) < 130


def test_page_hinkley_is_blind_below_delta():
    """A shift under 0.2 deviations is none to it, and so are errors that go from 10 % to 15 %."""
    assert min(delays(PageHinkley, NORMAL, 0.0, 0.1, normal, seeds=5)) == 8_000
    assert min(delays(PageHinkley, ERRORS, 0.1, 0.15, errors, seeds=5)) == 8_000


def spread(method, sd):
    """Findings in 20,000 rows about the old level, of another spread than the reference's."""
    generator = np.random.default_rng(7)
    detector = make(method, Scale(-9.0, 9.0, 0.0, 1.0))
    detector.update_many(generator.normal(0, 1, 2_000))
    return detector.update_many(generator.normal(0, sd, 20_000))


def test_a_change_of_shape_alone_is_not_found():
    """Half or twice the spread about the same level is no change of level."""
    assert spread(Adwin, 0.5) == spread(Adwin, 2.0) == spread(PageHinkley, 0.5) == []


def test_twice_the_spread_makes_page_hinkley_cry_wolf():
    """Standardised by the reference, δ and λ are then half of what they should be."""
    assert len(spread(PageHinkley, 2.0)) >= 2


def test_a_slow_trend_alarms_again_and_again():
    """One deviation in 100,000 rows: ADWIN tells several steps, all of them up."""
    generator = np.random.default_rng(1)
    found = make(Adwin, NORMAL).update_many(
        np.linspace(0, 1, 100_000) + normal(generator, 0, 100_000)
    )
    assert len(found) >= 3
    assert {finding.direction for finding in found} == {"up"}


def test_adwins_delay_grows_as_the_scaled_spread_shrinks():
    """One deviation of a column that fills a tenth of its range takes longer than of a full one."""
    wide = Scale(-31.0, 31.0, 0.0, 1.0)
    full = np.mean(delays(Adwin, NORMAL, 0.0, 1.0, normal, seeds=5))
    narrow = np.mean(delays(Adwin, wide, 0.0, 1.0, normal, seeds=5))
    assert narrow > 1.5 * full
