"""The watermark: rows move it, clamped; ticks let it run on; nothing else touches it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import watermark
from inferwatch.core.watermark import AHEAD_MAX_MS, UNSET, Watermark
from inferwatch.records.definition import Definition, Window
from inferwatch.records.events import Deploy, Resource
from inferwatch.testing.folding import Log

RECORD_MS = 1_000_000


def advance(state, times, record_ms=RECORD_MS):
    """One batch of rows, its watermark reached."""
    records = np.full(len(times), record_ms, np.int64)
    found = watermark.advance(state, np.array(times, np.int64), records)
    watermark.reach(state, found.after_ms, records, len(times))
    return found


def test_event_times_are_clamped_to_their_records_time():
    """No fast clock can drag a window: a row is never later than its own record."""
    state = Watermark()
    found = advance(state, [RECORD_MS - 5, RECORD_MS + 7])
    assert found.time_ms.tolist() == [RECORD_MS - 5, RECORD_MS]
    assert state.now_ms() == RECORD_MS


def test_a_row_far_ahead_is_counted_and_moves_nothing():
    """More than ten minutes ahead of its record: clamped, counted, watermark unmoved."""
    state = Watermark()
    advance(state, [100_000])
    found = advance(state, [RECORD_MS + AHEAD_MAX_MS + 1, 90_000])
    assert (state.event_ms, state.ahead) == (100_000, 1)
    assert found.time_ms.tolist() == [RECORD_MS, 90_000]
    assert found.after_ms.tolist() == [100_000, 100_000]


def test_a_row_ten_minutes_ahead_still_moves_the_watermark():
    """The limit itself is not beyond it."""
    state = Watermark()
    advance(state, [100_000])
    advance(state, [RECORD_MS + AHEAD_MAX_MS])
    assert (state.event_ms, state.ahead) == (RECORD_MS, 0)


def test_the_very_first_row_sets_the_watermark_even_far_ahead():
    """Before it is set there is nothing to protect; only the first row of all is excepted."""
    state = Watermark()
    far = RECORD_MS + AHEAD_MAX_MS + 1
    found = advance(state, [far, far])
    assert (state.event_ms, state.ahead) == (RECORD_MS, 2)
    assert found.before_ms.tolist() == [UNSET, RECORD_MS]


def test_time_runs_on_by_ticks_from_the_record_that_moved_it():
    """The watermark is event time plus the record time since, never less; a newer row sets anew."""
    state = Watermark()
    advance(state, [400_000], record_ms=500_000)
    assert state.now_ms() == 400_000
    watermark.tick(state, 560_000)
    watermark.tick(state, 530_000)
    assert state.now_ms() == 460_000
    advance(state, [390_000], record_ms=570_000)
    assert state.now_ms() == 460_000
    advance(state, [410_000], record_ms=580_000)
    assert state.now_ms() == 410_000
    watermark.tick(state, 580_000)
    assert state.now_ms() == 410_000


def test_a_backfill_obeys_the_same_rule():
    """Rows of years ago set the watermark years ago; ticks add only the time that passed."""
    state = Watermark()
    advance(state, [1_000], record_ms=1_700_000_000_000)
    watermark.tick(state, 1_700_000_005_000)
    assert state.now_ms() == 6_000


def test_nothing_moves_before_the_first_row():
    """Ticks alone give no watermark."""
    state = Watermark()
    watermark.tick(state, 5_000)
    assert state.now_ms() == UNSET


def test_the_record_time_at_which_it_will_be_somewhere():
    """`record_time_at` is the first tick at which `now_ms` has reached the event time."""
    state = Watermark()
    advance(state, [400_000], record_ms=500_000)
    due_ms = state.record_time_at(430_000)
    for tick_ms, reached in ((due_ms - 1, False), (due_ms, True)):
        watermark.tick(state, tick_ms)
        assert (state.now_ms() >= 430_000) == reached


@given(
    st.lists(st.integers(0, 3_000_000), min_size=1, max_size=12),
    st.lists(st.integers(1, 4), min_size=12, max_size=12),
    st.integers(0, 2_500_000),
)
def test_the_way_rows_are_batched_does_not_show(times, sizes, tick_ms):
    """Any split of the rows of a record gives each row the same times before, after and now."""
    whole, split = Watermark(), Watermark()
    for state in (whole, split):
        advance(state, [700_000], record_ms=800_000)
        watermark.tick(state, tick_ms)
    expected = advance(whole, times)
    place, parts = 0, []
    for size in sizes:
        if place < len(times):
            parts.append(advance(split, times[place : place + size]))
            place += size
    assert split == whole
    for field in ("time_ms", "before_ms", "after_ms"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        assert joined.tolist() == getattr(expected, field).tolist()
    now = np.concatenate([part.now_ms[1:] for part in parts])
    assert now.tolist() == expected.now_ms[1:].tolist()
    assert expected.now_ms[-1] == whole.now_ms()


def test_labels_resources_and_deploys_never_move_it():
    """Only inference rows say how far a model has come."""
    log = Log(Definition(windows=[Window(name="fast", size_ms=60_000)]))
    log.rows(1, 10_000)
    before = log.partition.models["team/model"].state.watermark
    expected = before.now_ms()
    at_ms = log.start_ms + 900_000
    log.labels(["0"], [1.0], 900_000)
    log.event(Resource(model="team/model", version="1", instance="a", time_ms=at_ms), 900_000)
    log.event(Deploy(model="team/model", version="2", time_ms=at_ms), 900_000)
    assert log.partition.models["team/model"].state.watermark.now_ms() == expected
    log.tick(960_000)
    assert log.windows("fast")[0].rows == 1


@pytest.mark.parametrize("order", [[5_000, 9_000], [9_000, 5_000]])
def test_two_tickers_do_no_harm(order):
    """Only the newest tick counts, whoever wrote it."""
    state = Watermark()
    advance(state, [1_000], record_ms=2_000)
    for tick_ms in order:
        watermark.tick(state, tick_ms)
    assert state.now_ms() == 8_000


@given(
    st.lists(st.lists(st.integers(0, 2 * AHEAD_MAX_MS), min_size=1, max_size=9), max_size=5),
    st.integers(0, AHEAD_MAX_MS),
    st.integers(0, 3 * AHEAD_MAX_MS),
)
def test_a_batch_moves_the_watermark_as_its_rows_one_by_one_do(batches, record_ms, ticked_ms):
    """Clamped times, the watermark before and after each row, and where it ends are the same."""
    whole, single = Watermark(ticked_ms=ticked_ms), Watermark(ticked_ms=ticked_ms)
    for times in batches:
        record_ms += 30_000
        before = whole.now_ms()
        found = advance(whole, times, record_ms)
        assert found.now_ms[0] == before
        for at, time_ms in enumerate(times):
            event_ms = single.event_ms
            advance(single, [time_ms], record_ms)
            assert found.time_ms[at] == min(time_ms, record_ms)
            assert (found.before_ms[at], found.after_ms[at]) == (event_ms, single.event_ms)
            assert found.now_ms[at + 1] == single.now_ms()
        assert whole == single
