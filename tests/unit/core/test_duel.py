"""What is kept of two versions' windows: the rows behind a figure, and the week before."""

import numpy as np
import pytest

from inferwatch.core import duel
from inferwatch.core.duel import HOUR_MS as HOUR
from inferwatch.core.duel import Round, Side
from inferwatch.core.intervals import rate
from inferwatch.core.metrics import regression
from inferwatch.core.sequential import Sample

DAY_MS = 24 * HOUR


def one_of(n, events=0.0):
    """A window of n rows."""
    return Round(Sample(n, events, events), n, 0)


def test_a_share_gives_back_what_was_counted():
    """Whatever the float: successes and rows, exactly."""
    for n in (1, 3, 7, 49, 10_007, 123_456_789):
        for events in (0, 1, n // 3, n):
            found = duel.sample_of("accuracy", rate(events, n, ""))
            assert found == Sample(n, events, events)


def test_an_error_gives_back_the_sums_of_its_rows():
    """Of a mean absolute error, by its interval, as numpy has them."""
    chance = np.random.default_rng(3)
    truth, answer = chance.normal(0, 9, 500), chance.normal(1, 9, 500)
    state = regression.empty()
    regression.add(state, truth, answer)
    found, errors = duel.sample_of("mae", regression.figures(state)["mae"]), abs(truth - answer)
    assert (found.total, found.squares) == pytest.approx((errors.sum(), (errors**2).sum()))


def test_rows_that_are_all_alike_have_no_spread():
    """A mean without an interval is that of rows that do not differ."""
    state = regression.empty()
    regression.add(state, np.zeros(9), np.full(9, 2.0))
    assert duel.sample_of("mae", regression.figures(state)["mae"]) == Sample(9, 18.0, 36.0)


def test_what_can_be_compared_has_rows_that_can_be_told():
    """Shares and means of rows; no quantile, no F1, no area."""
    for name in ("accuracy", "error_rate", "latency.mean", "mae", "class.cat.recall"):
        assert duel.compares(name)
    for name in ("latency.p99", "f1", "auc", "class.cat.f1", "class.*.recall", "rows", "feature.x"):
        assert not duel.compares(name)


def test_a_version_begins_with_the_week_of_the_other_before_it():
    """Windows that began before its first one, old hours and new ones alike, and none after."""
    other = Side()
    for hour in range(24 * 12):
        other.rounds[hour * HOUR] = one_of(2)
    duel.forget([other], DAY_MS * 10 - HOUR)
    assert (len(other.hours), min(other.hours), max(other.hours)) == (168, 72, 239)
    assert (other.noted, other.rows) == (DAY_MS * 10 - HOUR, 2)
    mine = Side()
    duel.begin(mine, 11 * DAY_MS, "1", other)
    assert {hour: one.n for hour, one in mine.before.items()} == dict.fromkeys(range(24), 2 * 8)


def test_the_hours_of_a_day_are_told_apart_where_there_was_one():
    """Of an afternoon's version no hour is another's: all its rows are one sample."""
    for hours, places in ((23, [0]), (24, [*range(24)])):
        mine, other = Side(), Side()
        other.rounds = {hour * HOUR: one_of(2) for hour in range(hours)}
        duel.begin(mine, 30 * HOUR, "1", other)
        mine.rounds = {30 * HOUR: one_of(5)}
        duel.pair(mine, 30 * HOUR, None)
        assert (list(mine.before), list(mine.alone)) == (places, [6 if hours == 24 else 0])


def test_a_window_that_the_other_lacks_counts_apart():
    """One that both served is a stratum, one without a figure on either side tells nothing."""
    mine, other = Side(other="1", first=0), Side()
    mine.rounds = {
        0: one_of(5),
        HOUR: one_of(6),
        2 * HOUR: one_of(7),
        3 * HOUR: Round(Sample(), 9, 0),
    }
    other.rounds = {HOUR: one_of(8), 2 * HOUR: Round(Sample(), 3, 0, "3 rows of 9")}
    for start in duel.unpaired(mine):
        duel.pair(mine, start, other)
    assert [(hour, one.n) for hour, one in mine.alone.items()] == [(0, 5)]
    assert (mine.strata.my_rows.n, mine.strata.windows) == (6, 1)
    assert duel.unpaired(mine) == []


def test_only_the_first_week_is_compared_with_the_week_before():
    """Later windows without the other differ by the time of the year; those of both still count."""
    mine, other = Side(), Side()
    duel.begin(mine, DAY_MS, "1", other)
    for day in range(1, 20):
        mine.rounds = {day * DAY_MS: one_of(5)}
        other.rounds = {day * DAY_MS: one_of(5)} if day > 15 else {}
        duel.pair(mine, day * DAY_MS, other)
    assert (mine.alone[0].n, mine.strata.windows) == (7 * 5, 4)


def test_the_comparison_of_more_rows_is_told():
    """A moment together does not stand for a month apart, nor a day alone for a month together."""
    mine = Side(other="1", before={3: Sample(9_000, 900.0, 900.0)})
    mine.strata.add(Sample(30, 9.0, 9.0), Sample(30, 3.0, 3.0))
    mine.alone = {3: Sample(9_000, 900.0, 900.0)}
    assert duel.difference(mine).windows == 0
    for _ in range(200):
        mine.strata.add(Sample(100, 9.0, 9.0), Sample(100, 3.0, 3.0))
    assert duel.difference(mine).windows == 201


def test_the_newest_window_is_known_after_it_was_forgotten():
    """Whoever served last before a gap is still whoever served last."""
    side = Side()
    assert duel.newest(side, HOUR)[0] < 0
    side.rounds = {0: one_of(5), HOUR: one_of(6), 2 * HOUR: one_of(7)}
    assert duel.newest(side, HOUR) == (HOUR, 6)
    duel.forget([side], HOUR)
    assert duel.newest(side, HOUR + 1) == (HOUR, 6) and duel.newest(side, 9 * HOUR) == (2 * HOUR, 7)
