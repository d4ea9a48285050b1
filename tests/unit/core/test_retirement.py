"""Versions and segments that are over: each end is told once, and nothing of them is kept."""

import random

import pytest

from inferwatch.core import retirement, snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.retirement import FORGOTTEN_MS, ROLLED_BACK_MS
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.records.events import Deploy
from inferwatch.testing.folding import Log

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MANY = Check(
    alert="Many",
    metric="error_rate",
    window="hour",
    fail=Limit(direction="above", value=0.5, clear=0.5),
)
LOCAL = Check(
    alert="Local",
    metric="error_rate",
    window="hour",
    segment_by=["country"],
    fail=Limit(direction="above", value=0.5, clear=0.5),
)
SHIFT = Check(alert="Shift", metric="score", method="adwin")


def log_of(*checks):
    """Windows of an hour, judged as they end."""
    return Log(
        Definition(
            model=ModelFacts(task="binary", segments=["country"], label_horizon_ms=DAY),
            reference=Reference(min_rows=20),
            windows=[Window(name="hour", size_ms=HOUR, grace_ms=0)],
            checks=list(checks),
        )
    )


def feed(log, at_ms, version, wrong=False, n=10, **columns):
    """Rows of a version, all failed or none, a millisecond apart."""
    error = ["x" if wrong else None] * n
    times = [at_ms + row for row in range(n)]
    log.rows(n, times, version=version, error=error, score=[0.5] * n, **columns)


def rollback(log, at_ms, version):
    """The older version came back."""
    deploy = Deploy(
        model="team/model", version=version, time_ms=log.start_ms + at_ms, kind="rollback"
    )
    log.event(deploy, at_ms)


def state_of(log):
    """The model's state."""
    return log.partition.models["team/model"].state


def told(log):
    """Transitions as (version, condition, reason)."""
    return [(alert.version, alert.condition, alert.reason) for alert in log.alerts()]


def test_alerts_end_an_hour_after_a_rollback():
    """Of the version that was left, once; not before an hour without a row of it has passed."""
    log = log_of(MANY)
    feed(log, 0, "1")
    feed(log, 10 * MINUTE, "2", wrong=True)
    feed(log, HOUR, "1")
    assert told(log) == [("2", "firing", "limit_passed")]
    rollback(log, HOUR + MINUTE, "1")
    feed(log, HOUR + 10 * MINUTE, "1", n=9)
    assert len(told(log)) == 1
    feed(log, HOUR + 11 * MINUTE, "1")
    assert told(log)[1:] == [("2", "ok", "version_retired")]
    last = log.alerts()[-1]
    assert last.at_ms == log.start_ms + 10 * MINUTE + 9 + ROLLED_BACK_MS
    feed(log, 5 * HOUR, "1")
    assert len(told(log)) == 2 and state_of(log).retired == ["2"]


def test_a_retired_version_that_answers_again_is_judged_again():
    """Its alert fires anew, under the next number."""
    log = log_of(MANY)
    feed(log, 0, "1")
    feed(log, MINUTE, "2", wrong=True)
    feed(log, HOUR, "1")
    rollback(log, HOUR, "1")
    feed(log, 3 * HOUR, "1")
    feed(log, 3 * HOUR + MINUTE, "2", wrong=True)
    feed(log, 4 * HOUR, "1")
    assert [alert.seq for alert in log.alerts()] == [1, 2, 3]
    assert told(log)[-1] == ("2", "firing", "limit_passed") and state_of(log).retired == []


def test_a_version_is_forgotten_after_a_week():
    """Its alerts end and its windows, reference and detectors go; the count of its rows stays."""
    log = log_of(MANY, SHIFT)
    feed(log, 0, "1", n=30)
    feed(log, MINUTE, "2", wrong=True, n=30)
    feed(log, HOUR, "1")
    assert told(log)[-1][:2] == ("2", "firing")
    feed(log, MINUTE + FORGOTTEN_MS, "1")
    state = state_of(log)
    assert told(log)[-1] != ("2", "ok", "version_retired") and "2" in state.seen
    feed(log, MINUTE + FORGOTTEN_MS + 29, "1", n=1)
    assert told(log)[-1] == ("2", "ok", "version_retired")
    assert "2" not in state.seen and "2" not in state.learnt and "2" not in state.first
    assert all("2" not in tracks for tracks in state.tracks.values())
    model = log.partition.models["team/model"]
    assert [key.split("\x1f")[1] for key in model.detectors] == ["1"]
    assert [one.seq for one in state.instances.values() if one.version == "2"] == [2]
    assert state.rows["2"] == 30


def test_a_forgotten_version_that_comes_back_begins_anew():
    """It learns, numbers its rows on, and no number of a transition comes twice."""
    log = log_of(MANY)
    feed(log, 0, "1", n=30)
    feed(log, MINUTE, "2", wrong=True, n=30)
    feed(log, HOUR, "1")
    feed(log, 8 * DAY, "1")
    feed(log, 8 * DAY + MINUTE, "2", wrong=True)
    state = state_of(log)
    assert state.learnt["2"].learning.rows == 10 and state.rows["2"] == 40
    feed(log, 8 * DAY + HOUR, "1")
    assert [alert.seq for alert in log.alerts()] == [1, 2, 3]
    windows = [window for window in log.windows() if window.version == "2"]
    assert len({window.id for window in windows}) == len(windows) == 2


def test_a_silent_model_retires_nothing():
    """Ticks pass a year; the only version, and the newest, stay whatever their age."""
    log = log_of(MANY)
    feed(log, 0, "1", wrong=True)
    feed(log, HOUR, "2")
    log.tick(365 * DAY)
    assert list(state_of(log).seen) == ["1", "2"]
    feed(log, 365 * DAY, "2")
    assert list(state_of(log).seen) == ["2"]


@pytest.mark.parametrize("step", [1, 3, 40])
def test_batches_and_cuts_do_not_show(step):
    """A batch that reaches over a retirement gives what its rows one by one do."""
    found = []
    for rows in (step, 1):
        log = log_of(MANY, SHIFT)
        feed(log, 0, "1", n=30)
        feed(log, MINUTE, "2", wrong=True, n=30)
        rollback(log, 2 * MINUTE, "1")
        times = [MINUTE + at * HOUR // 10 for at in range(40)]
        for first in range(0, 40, rows):
            part = times[first : first + rows]
            log.rows(len(part), part, version="1", score=[0.5] * len(part))
            other = Partition(0)
            other.restore(snapshot.cut(log.partition.models["team/model"]))
            log.partition = other
        found.append(
            (
                [(alert.id, alert.at_ms, alert.reason) for alert in log.alerts()],
                [(window.id, window.rows, window.metrics) for window in log.windows()],
            )
        )
    assert found[0] == found[1] and "version_retired" in str(found)


@pytest.mark.parametrize("step", [1, 7, 30])
def test_a_first_batch_that_reaches_over_a_retirement(step):
    """The only version so far is forgotten at the row that makes it a week, not with the batch."""
    log = log_of(MANY)
    feed(log, 0, "1", wrong=True, n=30)
    times = [FORGOTTEN_MS - 20 + 2 * at for at in range(30)]
    for first in range(0, 30, step):
        log.rows(len(times[first : first + step]), times[first : first + step], version="2")
    log.tick(FORGOTTEN_MS + DAY)
    (end,) = (alert for alert in log.alerts() if alert.reason == "version_retired")
    assert end.at_ms == log.start_ms + 29 + FORGOTTEN_MS
    found = [(one.version, one.window.start, one.rows) for one in log.windows()]
    assert found == [
        ("1", log.start_ms, 30),
        ("2", log.start_ms + 167 * HOUR, 10),
        ("2", log.start_ms + 168 * HOUR, 20),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_deadline_that_is_kept_is_never_too_late(monkeypatch, seed):
    """Versions, deploys and rollbacks in any order: the same as if it were worked out each time."""
    found = []
    for kept in (True, False):
        if not kept:
            monkeypatch.setattr(retirement, "none_before_ms", lambda model: -1)
        log, draw, at = log_of(MANY, SHIFT), random.Random(seed), 0
        for _ in range(120):
            at += draw.choice([MINUTE, HOUR // 2, HOUR, 2 * DAY])
            version = draw.choice("1234")
            if draw.random() < 0.2:
                rollback(log, at, version)
            feed(log, at, version, wrong=draw.random() < 0.3)
        found.append([bytes(output.value) for output in log.outputs])
        reasons = [alert.reason for alert in log.alerts()]
    assert found[0] == found[1]
    assert reasons.count("version_retired") > 3


def test_what_a_version_was_compared_with_goes_with_it():
    """Past figures, those by the hour and limits that were found: a week after its last row."""
    limit = Limit(direction="above", value=6.0, clear=6.0)
    checks = [
        Check(alert=method, metric="score.mean", method=method, window="hour", fail=limit)
        for method in ("mad", "seasonal")
    ]
    usual = Limit(direction="above", value=0.09, clear=0.09, calibrated=True)
    checks.append(Check(alert="Drift", metric="score", method="psi", window="hour", fail=usual))
    log = log_of(*checks)
    for hour in range(5):
        feed(log, hour * HOUR, "1", n=20)
        feed(log, hour * HOUR + MINUTE, "2", n=20)
    before = state_of(log).tracks["hour"]["2"]
    assert before.series and before.hours and before.calibrations
    feed(log, 8 * DAY, "1")
    (model,) = log.partition.models.values()
    model.dump_detectors()
    state = state_of(log)
    assert list(state.tracks["hour"]) == ["1"]
    kept = [state.learnt, state.first, state.recent, state.seen]
    assert all("2" not in one for one in kept)
    assert [key for key in state.detectors if key.split("\x1f")[1] == "2"] == []


def test_a_segment_that_is_gone_ends_its_alerts():
    """After a day without a row of it; an hour without one is no end."""
    log = log_of(LOCAL)
    feed(log, 0, "1", wrong=True, segments={"country": ["DE"] * 5 + ["FR"] * 5})
    for hour in range(1, 26):
        feed(log, hour * HOUR, "1", wrong=True, segments={"country": ["FR"] * 10})
        if hour < 25:
            assert {alert.condition for alert in log.alerts()} <= {"firing"}
    last = log.alerts()[-1]
    assert (last.segment, last.condition, last.reason) == ("country=DE", "ok", "segment_gone")
    feed(log, 26 * HOUR, "1", wrong=True, segments={"country": ["DE"] * 10})
    feed(log, 27 * HOUR, "1")
    assert [alert.seq for alert in log.alerts() if alert.segment == "country=DE"] == [1, 2, 3]
