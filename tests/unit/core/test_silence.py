"""A model that sends nothing: told once, and its other alerts know that they know nothing."""

import msgspec
import pytest

from inferwatch.core import engine, silence, snapshot
from inferwatch.core.model import Position
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Window
from inferwatch.records.events import Deploy, MonitorChange, Resource, Tick
from inferwatch.testing.folding import Log, alert_records

MINUTE = 60_000
SILENT = Check(alert="Silent", metric="traffic", method="absent", for_ms=10 * MINUTE)
MANY = Check(
    alert="Many",
    metric="rows",
    window="fast",
    fail=Limit(direction="above", value=5.0, clear=5.0),
    for_ms=3 * MINUTE,
)


def log_of(*checks):
    """Windows of a minute, without grace."""
    windows = [Window(name="fast", size_ms=MINUTE, grace_ms=0)]
    return Log(Definition(model=ModelFacts(task="binary"), windows=windows, checks=list(checks)))


def told(outputs):
    """Alert, condition and reason of each transition."""
    return [(a.alert, a.condition, a.reason) for a in alert_records(outputs)]


def test_silence_is_record_time_since_the_last_row():
    """Not event time: a backfill that stops is silent ten minutes later, not at once."""
    log = log_of(SILENT)
    log.rows(1, 0, record_ms=500 * MINUTE)
    assert told(log.tick(510 * MINUTE - 1)) == []
    assert told(log.tick(510 * MINUTE)) == [("Silent", "firing", "limit_passed")]
    (alert,) = log.alerts()
    assert (alert.value, alert.limit) == (600.0, 600.0)
    assert alert.began_ms == log.start_ms + 500 * MINUTE
    assert (alert.version, alert.severity) == ("", "critical")


def test_only_a_row_breaks_the_silence():
    """Labels, resources and deploys are no answers of the model."""
    log = log_of(SILENT)
    log.rows(1, 0)
    at_ms = log.start_ms + 9 * MINUTE
    log.labels(["0"], [1.0], 9 * MINUTE)
    log.event(Deploy(model="team/model", version="2", time_ms=at_ms), 9 * MINUTE)
    sample = Resource(model="team/model", version="1", instance="a", time_ms=at_ms)
    log.event(sample, 9 * MINUTE)
    assert told(log.tick(10 * MINUTE)) == [("Silent", "firing", "limit_passed")]
    assert told(log.tick(20 * MINUTE)) == []
    assert told(log.rows(1, 30 * MINUTE)) == [("Silent", "ok", "recovered")]


def test_a_model_that_never_spoke_is_not_silent():
    """Nothing is expected of a model before its first row."""
    log = log_of(SILENT)
    log.labels(["0"], [1.0], 0)
    assert told(log.tick(60 * MINUTE)) == []


@pytest.mark.parametrize(
    ("rows_back", "expected"),
    [(6, ("Many", "firing", "data_back")), (1, ("Many", "ok", "recovered"))],
)
def test_what_fired_knows_nothing_in_the_silence_and_is_not_resolved(rows_back, expected):
    """no_data until data comes back: bad data fires again at once, good data resolves."""
    log = log_of(SILENT, MANY)
    for minute in range(4):
        log.rows(6, minute * MINUTE)
    assert told(log.outputs)[-1] == ("Many", "firing", "limit_passed")
    assert told(log.tick(14 * MINUTE)) == [
        ("Silent", "firing", "limit_passed"),
        ("Many", "no_data", "data_gone"),
    ]
    log.rows(rows_back, 20 * MINUTE)
    assert told(log.rows(1, 21 * MINUTE)) == [expected]


def test_a_pending_alert_begins_anew_after_a_silence():
    """It had not fired, so what comes back bad has to last for `for` again."""
    log = log_of(SILENT, MANY)
    log.rows(6, 0)
    log.rows(6, MINUTE)
    assert told(log.outputs) == [("Many", "pending", "limit_passed")]
    log.tick(2 * MINUTE)
    assert told(log.tick(14 * MINUTE))[-1] == ("Many", "no_data", "data_gone")
    log.rows(6, 20 * MINUTE)
    assert told(log.rows(6, 21 * MINUTE)) == [("Many", "pending", "limit_passed")]
    assert told(log.rows(6, 22 * MINUTE)) == []
    assert told(log.rows(6, 23 * MINUTE)) == [("Many", "firing", "limit_passed")]


def test_a_silence_says_nothing_of_alerts_that_never_were_bad():
    """They turn to no_data as well, but nobody need hear of it."""
    log = log_of(SILENT, MANY)
    log.rows(1, 0)
    log.rows(1, MINUTE)
    assert told(log.tick(14 * MINUTE)) == [("Silent", "firing", "limit_passed")]
    conditions = {
        i.alert: i.condition for i in log.partition.models["team/model"].state.instances.values()
    }
    assert conditions == {"Silent": "firing", "Many": "no_data"}


@pytest.mark.parametrize(
    ("limits", "severity"),
    [
        ({}, "critical"),
        ({"warn": Limit(direction="above", value=0.0, clear=0.0)}, "warning"),
        ({"fail": Limit(direction="above", value=0.0, clear=0.0)}, "critical"),
    ],
)
def test_a_silence_is_as_severe_as_its_check_says(limits, severity):
    """`warn:` makes it a warning; without a word it is critical."""
    log = log_of(Check(alert="S", metric="traffic", method="absent", for_ms=MINUTE, **limits))
    log.rows(1, 0)
    log.tick(MINUTE)
    assert [alert.severity for alert in log.alerts()] == [severity]


def test_the_last_tick_of_a_table_proves_no_silence():
    """A recording ends, the model did not: the closing tick ends windows only."""
    log = log_of(SILENT)
    log.rows(1, 0)
    model = log.partition.models["team/model"]
    at = Position(0, 1, log.start_ms + 60 * MINUTE)
    outputs = engine.step(model, Tick(closing=True), at)
    assert [output.kind for output in outputs] == ["window"]


def test_to_ask_when_a_model_must_be_woken_leaves_its_state():
    """Also where a check on silence is new and nothing has come since: a checkpoint must not depend
    on when that was asked.
    """
    log = log_of()
    log.rows(1, 0)
    definition = msgspec.structs.replace(log.definition, checks=[SILENT])
    log.event(MonitorChange(model=log.model, definition=definition), MINUTE)
    model = log.partition.models[log.model]
    before = snapshot.cut(model)
    assert silence.deadlines(model) == [log.start_ms + 10 * MINUTE]
    assert snapshot.cut(model) == before
