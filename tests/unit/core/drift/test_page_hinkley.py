"""Page–Hinkley decides as river's without fading, and names the levels on both sides."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import PageHinkley as RiverPageHinkley

from inferwatch.core.drift.page_hinkley import ROWS_MIN, PageHinkley
from inferwatch.core.drift.scale import Scale
from inferwatch.testing.error_streams import rivers

DATA = Path(os.environ.get("INFERWATCH_DATA", Path(__file__).parents[5] / "shared" / "data"))
WIDE = Scale(-1e9, 1e9, 0.0, 1.0)


def rows(detector, values):
    return [finding.row for finding in detector.update_many(np.asarray(values, np.float64))]


@pytest.mark.skipif(not DATA.is_dir(), reason="set INFERWATCH_DATA to the folder of open data")
@pytest.mark.parametrize("name", ["river_test_1", "river_test_2", "river_test_3"])
def test_changes_are_found_where_rivers_rows_are_published(name):
    """On the frozen streams of river's tests, λ 10 and no fading: every published row."""
    published = json.loads((DATA / "streams" / "drift_indices.json").read_text())
    call = "PageHinkley(min_instances=30, delta=0.005, threshold=10, alpha=1.0)"
    expected = published["streams"][name]["detections"][call]
    values = np.loadtxt(DATA / "streams" / f"{name}.csv.gz", skiprows=1)
    assert rows(PageHinkley(WIDE, 0.005, 10.0), values) == expected


def test_changes_are_found_where_river_finds_them():
    """The first of these streams as river makes it, where the files are not: the same rows."""
    made = np.random.RandomState(12345)
    values = np.concatenate([made.randint(2, size=1000), made.randint(8, size=1000)])
    found = rows(PageHinkley(WIDE, 0.005, 10.0), values)
    assert found[:12] == [117, 435, 602, 887, 1002, 1032, 1062, 1092, 1122, 1152, 1202, 1235]
    assert len(found) == 36 and found[-1] == 1975


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.lists(st.floats(-3, 3), min_size=1, max_size=5),
    delta=st.sampled_from([0.005, 0.2, 0.5]),
    threshold=st.sampled_from([5.0, 10.0, 40.0]),
)
def test_decisions_are_rivers(seed, levels, delta, threshold):
    """Any steps under noise: the same rows alarm as in river without fading."""
    generator = np.random.default_rng(seed)
    values = np.concatenate([generator.normal(level, 1, 300) for level in levels])
    river = RiverPageHinkley(min_instances=30, delta=delta, threshold=threshold, alpha=1.0)
    assert rows(PageHinkley(WIDE, delta, threshold), values) == rivers(river, values)


@settings(deadline=None, max_examples=20)
@given(
    mean=st.floats(-1e6, 1e6),
    sd=st.floats(1e-3, 1e3),
    shift=st.sampled_from([-3.0, -1.0, 1.0, 3.0]),
)
def test_units_do_not_matter(mean, sd, shift):
    """A stream in any unit, standardised by its reference, alarms at the same row."""
    generator = np.random.default_rng(7)
    standard = np.concatenate([generator.normal(0, 1, 500), generator.normal(shift, 1, 200)])
    detector = PageHinkley.make(Scale(-1e9, 1e9, mean, sd), PageHinkley.PARAMS)
    assert rows(detector, mean + sd * standard) == rows(PageHinkley(WIDE, 0.2, 40.0), standard)


@pytest.mark.parametrize("shift", [-20.0, 20.0])
def test_a_finding_names_both_levels(shift):
    """Before and after are means on each side of the turning point, in the stream's own units.

    The turning point found lies some rows early, so `after` is a little on the side of `before`.
    """
    before, after = [], []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        calm, moved = generator.normal(100, 10, 3_000), generator.normal(100 + shift, 10, 60)
        first, *_ = PageHinkley(Scale(0.0, 200.0, 100.0, 10.0), 0.2, 40.0).update_many(
            np.append(calm, moved)
        )
        before.append(first.before)
        after.append(first.after)
    assert np.mean(before) == pytest.approx(100, abs=0.5)
    assert np.mean(after) == pytest.approx(100 + 0.75 * shift, abs=4)


def test_nothing_is_said_before_the_thirtieth_row():
    """A level of 29 rows is no level yet, however far off its values lie."""
    values = np.concatenate([np.zeros(5), np.full(100, 1e6)])
    assert rows(PageHinkley(WIDE, 0.2, 40.0), values)[0] == ROWS_MIN - 1


def test_a_spike_is_no_shift():
    """One value of any size, after any number of rows, moves nothing; a level out there does."""
    values = np.random.default_rng(3).normal(0, 1, 2_000)
    values[[10, 500, 1_500]] = 1e9, -1e9, 1e30
    detector = PageHinkley(Scale(-3.0, 3.0, 0.0, 1.0), 0.2, 40.0)
    assert rows(detector, values) == []
    assert rows(detector, np.full(100, 1e30))


def test_a_constant_reference_gives_no_scale():
    """A column that was constant in the reference is not watched row by row."""
    values = np.concatenate([np.zeros(100), np.ones(1_000)])
    assert rows(PageHinkley.make(Scale(0.0, 0.0, 0.0, 0.0), PageHinkley.PARAMS), values) == []
