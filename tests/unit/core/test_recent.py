"""A reference that moves along: the days before, on the bins that were learnt first."""

import numpy as np
import pytest

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.reference import numeric_profile
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.records.events import MonitorChange, ReferenceChange
from inferwatch.testing.folding import Log

HOUR = 3_600_000
DAY = 24 * HOUR
DRIFT = Check(
    alert="Drift",
    metric="feature.a",
    method="psi",
    window="hours",
    warn=Limit(direction="above", value=0.25, clear=0.25),
)
HOURS = Window(name="hours", size_ms=6 * HOUR, grace_ms=0)
LONG = Window(name="long", size_ms=DAY, step_ms=12 * HOUR, grace_ms=0)
REFERENCE = Reference(min_rows=200, last_ms=7 * DAY)


def log_of(reference=REFERENCE, windows=(HOURS, LONG), **facts):
    """Four windows a day, and longer ones over them."""
    return Log(
        Definition(
            model=ModelFacts(**{"task": "binary"} | facts),
            reference=reference,
            windows=list(windows),
            checks=[DRIFT],
        )
    )


def rows_of(day, mean, n=400):
    """The rows of a day: times, values, scores, words."""
    draw = np.random.default_rng(day)
    values = draw.normal(mean, 1.0, n).astype(np.float32)
    values[::50] = np.nan
    return {
        "at_ms": (day * DAY + np.arange(n) * (DAY // n)).tolist(),
        "a": values,
        "score": draw.uniform(size=n),
        "k": draw.choice(["x", "y"], n, p=[0.3, 0.7]).tolist(),
    }


def feed(log, day, mean, step=97, n=400):
    """Those rows in batches; gives them."""
    rows = rows_of(day, mean, n)
    for first in range(0, len(rows["at_ms"]), step):
        part = slice(first, first + step)
        log.rows(
            len(rows["at_ms"][part]),
            rows["at_ms"][part],
            numeric={"a": rows["a"][part].tolist()},
            categories={"k": rows["k"][part]},
            score=rows["score"][part].tolist(),
            prediction=["u"] * len(rows["k"][part]),
        )
    return rows


def state_of(log):
    """The model's state."""
    return log.partition.models["team/model"].state


def profile_of(log):
    """The reference now."""
    return state_of(log).learnt["1"].profile


def test_it_is_the_days_before_today():
    """Counts, moments, words and span of the past days' rows, today's not among them."""
    log = log_of()
    days = [feed(log, day, 0.0) for day in range(5)]
    profile, bins = profile_of(log), np.array(profile_of(log).numeric["a"].edges)
    # rows of the first day before there was a reference are in no bin, and in no day
    late = len(days[0]["a"]) // 2
    past = np.concatenate([days[0]["a"][late:], *(day["a"] for day in days[1:4])])
    assert profile.rows == len(past) and profile.name == f"last {len(past)} rows"
    assert (profile.from_ms, profile.to_ms) == (
        log.start_ms + days[0]["at_ms"][late],
        log.start_ms + days[3]["at_ms"][-1] + 1,
    )
    finite = past[np.isfinite(past)].astype(np.float64)
    counts = np.histogram(finite, [-np.inf, *np.nextafter(bins, np.inf), np.inf])[0]
    column = profile.numeric["a"]
    np.testing.assert_array_equal(counts, column.counts[:-1])
    assert column.counts[-1] == np.isnan(past).sum()
    assert (column.mean, column.sd) == (
        pytest.approx(finite.mean()),
        pytest.approx(finite.std(ddof=1)),
    )
    assert (column.least, column.most) == (finite.min(), finite.max())
    np.testing.assert_allclose(
        column.psi_edges, numeric_profile(finite).psi_edges, atol=0.15
    )  # of 128 bins the nearest edges
    words = [*days[0]["k"][late:], *(word for day in days[1:4] for word in day["k"])]
    assert profile.categories["k"].counts == [words.count("x"), words.count("y")]
    assert profile.prediction.counts == [len(past)]
    assert sum(profile.score.counts) == len(past)


@pytest.mark.parametrize("last", [12, 13, 18])
def test_the_shortest_span_that_a_file_may_ask_for_moves(last):
    """Two panes of the shortest windows, six hours each here."""
    log = log_of(Reference(min_rows=50, last_ms=last * HOUR))
    for day in range(4):
        feed(log, day, float(day))
    profile = profile_of(log)
    assert profile.name.startswith("last ") and profile.numeric["a"].mean > 2.5
    assert profile.to_ms - profile.from_ms <= (last + 6) * HOUR


def test_a_slow_change_is_followed_and_a_fast_one_found():
    """A deviation in twenty days passes; one in a day fires, and is over when a week has it."""
    log, still = log_of(), log_of(Reference(min_rows=200))
    for day in range(20):
        for each in (log, still):
            feed(each, day, 0.05 * day, step=500, n=1_000)
    assert log.alerts() == []
    assert still.alerts()[-1].condition == "firing"
    for day in range(20, 30):
        feed(log, day, 3.0, step=500, n=1_000)
    fired, over = log.alerts()
    assert (fired.condition, over.condition) == ("firing", "ok")
    assert 20 * DAY <= fired.at_ms - log.start_ms <= 21 * DAY
    assert 2 * DAY <= over.at_ms - fired.at_ms <= 8 * DAY


def test_windows_that_are_open_at_midnight_are_compared():
    """The bins stay, so no window is blind when the reference moves along."""
    log = log_of()
    for day in range(6):
        feed(log, day, 0.0)
    told = [window for window in log.windows() if window.window.start >= log.start_ms + DAY]
    assert {window.window.name for window in told} == {"hours", "long"}
    assert all("drift" not in window.unknown for window in told)
    assert all(window.features["a"].psi is not None for window in told)


@pytest.mark.parametrize("step", [13, 97])
def test_one_that_cannot_move_says_since_when_and_why(step):
    """A week of fewer rows than are asked for: windows, and the state that is restored, tell."""
    log = log_of()
    feed(log, 0, 0.0, step)
    for day in range(1, 12):
        feed(log, day, 0.0, step, n=20)
        restored = Partition(0)
        restored.restore(snapshot.cut(log.partition.models["team/model"]))
        log.partition = restored
    told = [one.reference for one in log.windows() if one.window.name == "hours"]
    # day 0 has 200 rows behind the reference's own: enough until it leaves the span
    held = [one for one in told if one.held_ms is not None]
    assert held and held == told[told.index(held[0]) :]
    assert all(one.held_ms == log.start_ms + 8 * DAY for one in held)
    assert all(one.kind == "rolling" and one.min_rows == 200 for one in held)
    assert held[-1].held_rows == 7 * 20 and held[-1].to_ms < held[-1].held_ms
    for day in range(12, 14):
        feed(log, day, 0.0, step)
    last = log.windows()[-1].reference
    assert (last.held_ms, last.held_rows, last.min_rows) == (None, 0, 0)


def test_one_that_is_asked_for_anew_stands_no_longer():
    """Fewer rows asked for: nothing is held until a span has too few of them."""
    log = log_of()
    feed(log, 0, 0.0)
    for day in range(1, 10):
        feed(log, day, 0.0, n=20)
    assert state_of(log).learnt["1"].held is not None
    definition = log_of(Reference(min_rows=100, last_ms=7 * DAY)).definition
    log.event(MonitorChange(model="team/model", definition=definition), 10 * DAY)
    assert state_of(log).learnt["1"].held is None


def test_no_more_than_the_days_asked_for_are_kept():
    """Eight pieces a version: seven and today's."""
    log = log_of()
    for day in range(20):
        feed(log, day, 0.0)
    (pieces,) = state_of(log).recent.values()
    assert sorted(pieces) == [log.start_ms + day * DAY for day in range(12, 20)]
    assert profile_of(log).from_ms == log.start_ms + 12 * DAY


def test_too_few_rows_move_nothing():
    """Days with fewer than `min_rows` leave the reference as it was."""
    log = log_of(Reference(min_rows=390, last_ms=7 * DAY))
    feed(log, 0, 0.0)
    first = profile_of(log)
    for day in range(1, 4):
        log.rows(1, day * DAY, numeric={"a": [0.0]}, categories={"k": ["x"]})
    assert profile_of(log) == first


def test_accepted_it_stays_and_forgotten_it_begins_anew():
    """`accept` keeps the reference of now; `reset` learns, and moves along again."""
    log = log_of()
    for day in range(3):
        feed(log, day, 0.0)
    said = {"model": "team/model", "author": "ada"}
    log.event(ReferenceChange(action="accept", time_ms=log.start_ms + 3 * DAY, **said), 3 * DAY)
    kept = profile_of(log)
    for day in range(3, 6):
        feed(log, day, 2.0)
    assert profile_of(log) == kept and state_of(log).recent == {}
    assert log.windows()[-1].reference.kind == "accepted"
    log.event(ReferenceChange(action="reset", time_ms=log.start_ms + 6 * DAY, **said), 6 * DAY)
    assert profile_of(log) is None
    for day in range(6, 9):
        feed(log, day, 2.0)
    assert log.windows()[-1].reference.kind == "rolling"
    assert profile_of(log).from_ms > log.start_ms + 6 * DAY


def test_another_reference_in_the_file_forgets_the_days():
    """Pieces of another length are no days of this one."""
    log = log_of()
    for day in range(3):
        feed(log, day, 0.0)
    assert state_of(log).recent
    changed = Definition(
        model=log.definition.model,
        reference=Reference(min_rows=200),
        windows=[HOURS],
        checks=[DRIFT],
    )
    log.event(MonitorChange(model="team/model", definition=changed), 3 * DAY)
    assert state_of(log).recent == {}
    feed(log, 3, 0.0)
    assert state_of(log).recent == {} and log.windows()[-1].reference.kind == "learnt"


@pytest.mark.parametrize("windows", [(HOURS, LONG), (Window(name="hours", rows=100),)])
def test_batches_and_cuts_do_not_show(windows):
    """The same reference and outputs from rows one by one, and from a state cut on the way."""
    figures, found = [], None
    for step in (1, 400):
        log = log_of(windows=windows)
        for day in range(4):
            feed(log, day, 0.1 * day, step)
            if day == 2:
                found = snapshot.cut(log.partition.models["team/model"])
                other = Log(log.definition)
                other.partition = Partition(0)
                other.partition.restore(found)
                other.offset = log.offset
        feed(other, 3, 0.3, step)
        assert other.outputs == log.outputs[-len(other.outputs) :] and other.outputs
        assert profile_of(other) == profile_of(log)
        figures.append((profile_of(log), [window.features for window in log.windows()]))
    assert figures[0] == figures[1]


def test_columns_without_a_value_keep_what_was_known():
    """A feature that is no longer sent stays in the reference, all missing in the windows."""
    log = log_of()
    feed(log, 0, 0.0)
    first = profile_of(log)
    for day in range(1, 4):
        for hour in range(0, 24, 2):
            log.rows(50, day * DAY + hour * HOUR, numeric={"b": [1.0] * 50})
    moved = profile_of(log)
    assert moved.rows > first.rows and moved.numeric["a"].mean != first.numeric["a"].mean
    for day in range(4, 12):
        for hour in range(0, 24, 2):
            log.rows(50, day * DAY + hour * HOUR, numeric={"b": [1.0] * 50})
    last = profile_of(log).numeric["a"]
    assert sum(last.counts[:-1]) > 0 and last.least <= last.mean <= last.most
    assert log.windows()[-1].features["a"].missing == log.windows()[-1].rows
