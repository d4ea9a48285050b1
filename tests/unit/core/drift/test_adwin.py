"""ADWIN decides as the paper's algorithm in plain form, as river, and as published."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN

from inferwatch.core.drift.adwin import Adwin
from inferwatch.core.drift.scale import Scale
from inferwatch.kernels import adwin as kernel
from inferwatch.kernels import adwin_lanes
from inferwatch.kernels.blocks import PARTS, SQUARES
from inferwatch.testing.error_streams import river_streams, rivers

DATA = Path(os.environ.get("INFERWATCH_DATA", Path(__file__).parents[5] / "shared" / "data"))


def plain(values, delta=0.002, clock=32, least=5, grace=10, row_buckets=5):
    """Bifet and Gavaldà's ADWIN2 over a list: exponential buckets only say where a cut may be."""
    window, sizes, found = [], [], []
    for row, value in enumerate(values):
        window.append(value)
        sizes.append(1)
        size = 1
        while sizes.count(size) > row_buckets:
            at = sizes.index(size)
            sizes[at : at + 2] = [2 * size]
            size *= 2
        if len(window) % clock == 0 and len(window) > grace and cut(window, sizes, delta, least):
            found.append(row)
            window, sizes = [], []
    return found


def cut(window, sizes, delta, least):
    """Whether two parts of the window differ in mean by more than the bound."""
    values = np.array(window)
    bound = math.log(2 * math.log(len(values)) / delta)
    for n0 in np.cumsum(sizes).tolist():
        n1 = len(values) - n0
        if n0 < least or n1 < least:
            continue
        m = 1 / (n0 - least + 1) + 1 / (n1 - least + 1)
        epsilon = math.sqrt(2 * m * values.var() * bound) + 2 / 3 * bound * m
        if abs(values[:n0].mean() - values[n0:].mean()) > epsilon:
            return True
    return False


def rows(detector, values):
    return [finding.row for finding in detector.update_many(np.asarray(values, np.float64))]


@pytest.mark.skipif(not DATA.is_dir(), reason="set INFERWATCH_DATA to the folder of open data")
def test_the_streams_made_here_are_the_published_ones():
    """Value by value the streams below are those of the frozen files."""
    for number, stream in enumerate(river_streams(), 1):
        path = DATA / "streams" / f"river_test_{number}.csv.gz"
        assert np.array_equal(stream, np.loadtxt(path, skiprows=1))


def test_the_plain_algorithm_has_no_skipped_bucket():
    """The oracle of this file finds river's change at row 1023; peers with a known bug say 1055."""
    assert plain(river_streams()[0]) == rivers(ADWIN(), river_streams()[0]) == [1023]


@pytest.mark.parametrize(
    ("stream", "delta", "expected"),
    [(1, 0.002, [1055]), (2, 0.002, [543, 1023, 1567]), (2, 0.05, [543, 1023, 1535])],
)
def test_changes_are_found_where_river_publishes_them(stream, delta, expected):
    """On river's 0/1 streams the alarms stand at the published rows."""
    values = river_streams()[stream]
    assert rows(Adwin(0.0, 1.0, delta), values) == plain(values, delta) == expected


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    sd=st.sampled_from([0.0, 0.05, 0.3]),
    delta=st.sampled_from([0.002, 0.05, 0.3]),
)
def test_decisions_are_those_of_the_plain_algorithm(seed, levels, sd, delta):
    """Any steps under any noise: the same rows alarm."""
    generator = np.random.default_rng(seed)
    values = np.concatenate([generator.normal(level, sd, 300) for level in levels])
    scaled = np.clip((values + 1) / 3, 0, 1)
    found = rows(Adwin(-1.0, 2.0, delta), values)
    assert found == plain(scaled.tolist(), delta)
    assert found == rivers(ADWIN(delta=delta), scaled)


@pytest.mark.parametrize("size", [1, 7, 333, 500, 5_000])
def test_columns_that_are_fed_together_decide_as_river(size):
    """Twelve columns of different kinds, each with gaps of its own, in blocks of any size."""
    generator = np.random.default_rng(size)
    scales, level = generator.lognormal(size=(12, 1)), np.arange(6_000) // 1_500 % 2
    made = scales * (
        generator.normal(size=(12, 6_000)) + level * (np.arange(12) % 4)[:, np.newaxis]
    )
    made[generator.random(made.shape) < 0.02 * (np.arange(12) % 3)[:, np.newaxis]] = np.nan
    params = np.stack([kernel.params(0.01, low=-5 * one, range_=12 * one) for [one] in scales])
    states, rows = np.stack([kernel.empty()] * 12), np.empty(12, np.int64)
    found = [[] for _ in made]
    for start in range(0, 6_000, size):
        block = np.ascontiguousarray(made[:, start : start + size])
        adwin_lanes.update_columns(block, np.arange(12), params, states, rows)
        for column, row in enumerate(rows.tolist()):
            while row >= 0:
                found[column].append(start + row)
                row = kernel.update(block[column], row + 1, params[column], states[column])
    for column, ([one], values) in enumerate(zip(scales, made, strict=True)):
        fed = np.flatnonzero(np.isfinite(values))
        scaled = np.clip((values[fed] - -5 * one) / (12 * one), 0, 1)
        assert found[column] == fed[rivers(ADWIN(delta=0.01), scaled)].tolist()
    assert sum(map(len, found)) > 12


@pytest.mark.parametrize("block", [1, 3])
@pytest.mark.parametrize("clock", [1, 32, 200])
def test_values_that_come_together_leave_the_window_that_they_leave_alone(clock, block):
    """Buckets are merged many at a time: in pieces of any size the same rows alarm, and the window
    is byte for byte that of values fed one by one.
    """
    draw = np.random.default_rng(clock)
    values = np.concatenate([draw.normal(level, 0.1, 1_500) for level in (0.2, 0.6, 0.3)])
    values[draw.random(len(values)) < 0.02] = np.nan
    params = kernel.params(0.002, clock=clock, block=block)
    one, many = kernel.empty(), kernel.empty()
    singly = [
        row for row in range(len(values)) if kernel.update(values[: row + 1], row, params, one) >= 0
    ]
    found, first = [], 0
    for part in np.array_split(values, [1, 7, 500, 501, 2_000]):
        row = -1
        while (row := kernel.update(part, row + 1, params, many)) >= 0:
            found.append(first + row)
        first += len(part)
    assert found == singly and len(found) >= 2
    assert kernel.dump(many) == kernel.dump(one)


def dumped_before(state):
    """A state with the sums of its open block in eight lanes, and with none."""
    window, last = np.split(np.frombuffer(kernel.dump(state), "<f8"), [-PARTS])
    eight = [last[first : first + 8] + last[first + 8 : first + 16] for first in (0, SQUARES)]
    single = window.copy()
    single[8:10] = last[:SQUARES].sum(), last[SQUARES:].sum()
    return np.concatenate([window, *eight]), single


@pytest.mark.parametrize("before", [0, 1])
def test_a_weighted_window_of_an_older_state_goes_on(before):
    """It held the block that is being filled in eight sums, or in one."""
    values = np.random.default_rng(3).random(1_000)
    params, whole = kernel.params(0.002, block=64), kernel.empty()
    kernel.update(values[:500], 0, params, whole)
    again = kernel.load(dumped_before(whole)[before].tobytes())
    for state in (whole, again):
        kernel.update(values[500:], 0, params, state)
    left, right = (np.frombuffer(kernel.dump(state), "<f8") for state in (whole, again))
    np.testing.assert_allclose(left, right, rtol=1e-12)


def test_a_change_needs_64_rows():
    """From one end of the range to the other: never seen at row 32, seen at row 64."""
    for calm in range(1, 32):
        values = np.concatenate([np.zeros(calm), np.ones(32 - calm)])
        assert rows(Adwin(0.0, 1.0, 0.002), values) == []
    values = np.concatenate([np.zeros(32), np.ones(32)])
    assert rows(Adwin(0.0, 1.0, 0.002), values) == [63]


def test_a_finding_names_both_levels():
    """Before and after are the means of what is dropped and kept, in the stream's own units.

    What is kept still holds rows from before the change, so `after` lies between the levels.
    """
    generator = np.random.default_rng(1)
    values = np.concatenate([generator.normal(40, 1, 2_000), generator.normal(43, 1, 200)])
    first, *_ = Adwin(35.0, 48.0, 0.002).update_many(values)
    assert first.before == pytest.approx(40, abs=0.1)
    assert 40.3 < first.after < 43


def test_values_outside_the_reference_count_as_its_edge():
    """A single value of any size moves nothing; a level beyond the range is found."""
    calm = np.full(1_000, 0.5)
    spiked = calm.copy()
    spiked[500] = 1e30
    assert rows(Adwin(0.0, 1.0, 0.002), spiked) == []
    assert rows(Adwin(0.0, 1.0, 0.002), np.concatenate([calm, np.full(100, 1e30)]))


def test_a_constant_reference_gives_no_scale():
    """A column that was constant in the reference is not watched row by row."""
    values = np.concatenate([np.zeros(100), np.ones(1_000)])
    assert rows(Adwin.make(Scale(0.0, 0.0, 0.0, 0.0), Adwin.PARAMS), values) == []


@pytest.mark.parametrize("block", [1, 10])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-310), (-1.7e308, 1.7e308)])
def test_a_range_that_no_number_scales_is_none(low, high, block):
    """Over or below what a float has the scale is infinite or zero, and the window would hold NaN
    for good.
    """
    detector = Adwin(low, high, 0.002, block)
    assert rows(detector, np.array([low, high] * 100)) == []
    assert np.isfinite(detector.state).all()
