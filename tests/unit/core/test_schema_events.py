"""Changes of columns as records: what they say, of which version, how many there are at most."""

import json
import math

import pytest

from inferwatch.config.defaults import default_definition
from inferwatch.core.output import OUTPUT_MAX_BYTES, schema_output
from inferwatch.core.schema_told import STEADY_MS
from inferwatch.records.definition import Definition, Reference, Window
from inferwatch.records.events import MonitorChange, ReferenceChange
from inferwatch.records.outputs import ColumnChange, ComparedWith, SchemaRecord, Span
from inferwatch.testing.folding import Log

MINUTE_MS = 60_000
MINUTE = Window(name="minute", size_ms=MINUTE_MS)
LEARNT = 100


def watched(*windows, **reference):
    """A model with these windows, a minute where none are named."""
    return Definition(
        reference=Reference(min_rows=LEARNT, **reference), windows=list(windows or [MINUTE])
    )


def send(log, minute, n=20, version="1", **columns):
    """Rows of a minute, `numeric` columns by name, or as `columns` says, each with values."""
    kinds = {"numeric": 1.0, "categories": "x"}
    filled = {
        kind: {name: [value] * n for name in columns.get(kind, "")} for kind, value in kinds.items()
    }
    at_ms = minute * MINUTE_MS
    return log.rows(n, at_ms, version=version, **filled)


def log_of(definition=None, **columns):
    """A model that has learnt numbers `a` and `b` and words `k`, or other columns."""
    log = Log(definition or watched())
    send(log, 0, LEARNT, **(columns or {"numeric": "ab", "categories": "k"}))
    return log


def told(record):
    """What became of each column."""
    return {one.column: one.change for one in record.changes}


def test_the_record_says_what_changed_from_what_to_what_since_when():
    """One record, with each change, the window, its place in the log, and the reference."""
    log = log_of()
    send(log, 1, numeric="ab", categories="k")
    send(log, 2, numeric="bck")
    log.tick(10 * MINUTE_MS)
    (record,) = log.schemas()
    since = {"since_ms": log.start_ms + 2 * MINUTE_MS, "first_offset": 2}
    assert record.changes == [
        ColumnChange(column="a", change="gone", before=["numeric"], **since),
        ColumnChange(column="c", change="new", now=["numeric"], **since),
        ColumnChange(column="k", change="retyped", before=["category"], now=["numeric"], **since),
    ]
    assert record.counts == {"gone": 1, "new": 1, "retyped": 1}
    start = log.start_ms + 2 * MINUTE_MS
    assert record.window == Span(name="minute", start=start, end=start + MINUTE_MS)
    assert (record.first_offset, record.last_offset, record.partition) == (2, 2, 0)
    assert (record.model, record.version, record.versus) == ("team/model", "1", "")
    assert record.reference == log.windows()[-1].reference and record.reference.rows == LEARNT


def test_it_stands_behind_its_window_keyed_by_the_model():
    """So a reader has the window before it, on the same partition."""
    log = log_of()
    send(log, 1, numeric="a")
    outputs = log.tick(10 * MINUTE_MS)
    assert [output.kind for output in outputs] == ["window", "window", "schema"]
    window, changed = outputs[1:]
    assert changed.key == window.key == b"team/model"
    assert changed.headers["ce_type"] == b"io.inferwatch.schema.v1"
    assert changed.headers["ce_id"].decode() == changed.id == json.loads(changed.value)["id"]


def test_what_stays_is_told_once_and_told_again_when_it_is_back():
    """A column that is gone for an hour: two records."""
    log = log_of()
    for minute in range(1, 100):
        send(log, minute, numeric="b" if 10 <= minute < 70 else "ab", categories="k")
    first, second = log.schemas()
    assert (told(first), told(second)) == ({"a": "gone"}, {"a": "back"})
    (change,) = second.changes
    assert (change.before, change.now) == ([], ["numeric"])
    assert [record.window.start for record in (first, second)] == [
        log.start_ms + minute * MINUTE_MS for minute in (10, 70)
    ]


def test_a_sparse_column_is_told_when_rows_without_one_are_no_accident():
    """Half its values missing in the reference: 31 rows without one, over how many windows ever."""
    log = Log(watched())
    log.rows(LEARNT, 0, numeric={"a": [1.0, math.nan] * 50, "b": [1.0] * LEARNT})
    for minute in range(1, 12):
        log.rows(4, minute * MINUTE_MS, numeric={"b": [1.0] * 4})
    (record,) = log.schemas()
    assert record.window.start == log.start_ms + 8 * MINUTE_MS
    (change,) = record.changes
    assert (change.since_ms, change.first_offset) == (log.start_ms + MINUTE_MS, 1)


@pytest.mark.parametrize("period", [10, 60])
def test_a_column_that_flaps_is_told_a_few_times_a_day(period):
    """Sent in every other stretch of time, two days long: two records a day."""
    log = log_of()
    for minute in range(1, 2 * 1_440, 10):
        sent = "b" if minute // period % 2 else "ab"
        send(log, minute, 6, numeric=sent, categories="k")
    assert 2 <= len(log.schemas()) <= 2 * 2
    assert {name for record in log.schemas() for name in told(record)} == {"a"}


def test_a_day_after_it_came_back_a_column_goes_as_at_first():
    """An outage of two hours, another one a day later: both told within their first minute."""
    log = log_of()
    for minute in range(1, 2_100, 20):
        gone = any(0 <= minute - at < 120 for at in (100, 1_900))
        send(log, minute, numeric="b" if gone else "ab", categories="k")
    changes = [change for record in log.schemas() for change in record.changes]
    assert [one.change for one in changes] == ["gone", "back"] * 2
    assert [(one.since_ms - log.start_ms) // MINUTE_MS for one in changes] == [101, 221, 1901, 2021]
    assert (1901 - 221) * MINUTE_MS > STEADY_MS


def test_names_that_nobody_sends_again_are_forgotten():
    """The state does not grow with the names that were ever sent."""
    log = log_of()
    for minute in range(1, 4 * 1_440, 30):
        send(log, minute, numeric=["a", "b", f"x{minute}"], categories="k")
    state = log.partition.models["team/model"].state
    assert len(state.schemas["1"].columns) <= 1_440 / 30 + 2


def test_five_thousand_columns_that_vanish_at_once_are_one_bounded_record():
    """The first by name are listed, all are counted, and it is no larger than any record."""
    changes = [
        ColumnChange(column=f"{'x' * 60}{at:04}", change="gone", before=["numeric"], since_ms=1)
        for at in range(5_000)
    ]
    span = Span(name="minute", start=0, end=1)
    output = schema_output(
        SchemaRecord(
            id="1",
            model="team/model",
            version="1",
            window=span,
            from_ms=0,
            to_ms=0,
            reference=ComparedWith(kind="learnt"),
            counts={"gone": 5_000},
            changes=changes,
        )
    )
    record = json.loads(output.value)
    assert OUTPUT_MAX_BYTES / 3 < len(output.value) <= OUTPUT_MAX_BYTES
    assert record["counts"] == {"gone": 5_000}
    assert len(record["changes"]) + record["truncated"] == 5_000
    assert [one["column"] for one in record["changes"]] == [
        one.column for one in changes[: len(record["changes"])]
    ]


def test_all_columns_of_a_wide_model_vanish_and_come_back():
    """Two records of the whole fold, of 1,000 changes each."""
    names = [f"f{at:04}" for at in range(1_000)]
    log = log_of(numeric=names, categories="k")
    for minute, sent in enumerate([names, [], [], names], 1):
        send(log, minute, numeric=sent, categories="k")
    log.tick(10 * MINUTE_MS)
    assert [record.counts for record in log.schemas()] == [{"gone": 1_000}, {"back": 1_000}]


def test_a_version_with_other_columns_is_told_once_against_the_one_before():
    """When its own reference is there; from then on it is held against that."""
    log = log_of()
    send(log, 1, numeric="ab", categories="k")
    send(log, 2, LEARNT, version="2", numeric="bck")
    for minute in (3, 4):
        send(log, minute, version="2", numeric="bck")
    log.tick(10 * MINUTE_MS)
    (record,) = log.schemas()
    assert (record.version, record.versus) == ("2", "1")
    assert told(record) == {"a": "gone", "c": "new", "k": "retyped"}
    assert {one.since_ms for one in record.changes} == {log.start_ms + 2 * MINUTE_MS}
    assert log.windows()[-1].schema_changes == {}


def test_a_version_is_held_against_what_was_told_of_the_one_that_served_last():
    """What came and went within that one is no news in the next."""
    log = log_of()
    send(log, 1, LEARNT, version="2", numeric="abc", categories="k")
    send(log, 2, version="1", numeric="ab", categories="k")
    send(log, 3, version="2", numeric="bcd", categories="k")
    send(log, 4, LEARNT, version="3", numeric="bcd", categories="k")
    log.tick(10 * MINUTE_MS)
    found = [(record.version, record.versus, told(record)) for record in log.schemas()]
    assert found == [
        ("2", "1", {"c": "new"}),
        ("2", "", {"a": "gone", "d": "new"}),
    ]


def test_with_a_profile_each_version_is_held_against_it():
    """Versions that differ from the profile say so, and none against another."""
    learnt = log_of()
    profile = learnt.partition.models["team/model"].state.learnt["1"].profile
    log = Log(watched(profile=profile))
    for version in "12":
        send(log, int(version), version=version, numeric="abc", categories="k")
    log.tick(10 * MINUTE_MS)
    found = [(record.version, record.versus, told(record)) for record in log.schemas()]
    assert found == [("1", "", {"c": "new"}), ("2", "", {"c": "new"})]
    assert log.schemas()[0].reference.kind == "profile"


def test_a_reference_that_an_operator_sets_anew_begins_anew():
    """What differed from the old one is usual in the new one, and what is told says so."""
    log = log_of()
    for minute in (1, 2, 3):
        send(log, minute, numeric="b", categories="k")
    assert [told(record) for record in log.schemas()] == [{"a": "gone"}]
    change = ReferenceChange(
        model="team/model", action="reset", version="1", author="ops", time_ms=log.start_ms
    )
    log.event(change, 3 * MINUTE_MS)
    send(log, 4, LEARNT, numeric="b", categories="k")
    send(log, 5, numeric="b", categories="k")
    send(log, 6, numeric="ab", categories="k")
    log.tick(10 * MINUTE_MS)
    assert [told(record) for record in log.schemas()] == [{"a": "gone"}, {"a": "new"}]


def test_another_window_goes_on_where_the_one_before_ended():
    """A definition with windows of rows in the place of minutes tells nothing twice."""
    log = log_of()
    send(log, 1, numeric="b", categories="k")
    send(log, 2, numeric="b", categories="k")
    other = watched(Window(name="batch", rows=10))
    log.event(MonitorChange(model="team/model", definition=other), 2 * MINUTE_MS)
    for minute in range(3, 6):
        send(log, minute, numeric="b" if minute < 4 else "ab", categories="k")
    assert [told(record) for record in log.schemas()] == [{"a": "gone"}, {"a": "back"}]


def test_windows_that_overlap_count_each_row_once():
    """Of windows of 4 minutes, a minute apart, those that do not overlap are looked at."""
    log = Log(watched(Window(name="slide", size_ms=4 * MINUTE_MS, step_ms=MINUTE_MS)))
    log.rows(LEARNT, 0, numeric={"a": [1.0, math.nan] * 50, "b": [1.0] * LEARNT})
    for minute in range(4, 40):
        log.rows(2, minute * MINUTE_MS, numeric={"b": [1.0] * 2})
    (record,) = log.schemas()
    (change,) = record.changes
    rows = (record.window.end - log.start_ms) // MINUTE_MS * 2
    assert rows >= 31 > rows - 8 - 8
    assert change.since_ms >= log.start_ms


def test_the_default_set_names_a_column_that_goes_in_its_first_alert():
    """Within the hour whose window still has rows with the column: a warning with its cause."""
    log = Log(default_definition())
    for minute in range(200):
        sent = {"categories": "k", "numeric": "b" if minute >= 130 else "ab"}
        send(log, minute, 100, **sent)
    (fired,) = [one for one in log.alerts("MissingValues") if one.condition == "firing"][:1]
    assert (fired.feature, fired.severity) == ("a", "warning")
    assert fired.window.end - log.start_ms == 150 * MINUTE_MS
    assert fired.value == pytest.approx(15 / 60, abs=0.1)
    assert "columns gone: a" in fired.context


def test_an_alert_names_no_column_that_is_back():
    """What was told and is over is no context of the alert's end."""
    log = Log(default_definition())
    for minute in range(240):
        send(log, minute, 100, categories="k", numeric="b" if 70 <= minute < 90 else "ab")
    assert [record.counts for record in log.schemas()] == [{"gone": 1}, {"back": 1}]
    ended = [one for one in log.alerts("MissingValues") if one.previous == "firing"]
    assert ended and not any("columns" in words for one in ended for words in one.context)


def test_while_the_reference_is_learnt_nothing_is_told():
    """Columns that come and go before there is a reference are no change of anything."""
    log = Log(watched())
    send(log, 0, 10, numeric="ab")
    send(log, 1, 10, numeric="b")
    send(log, 2, 10, numeric="c")
    log.tick(10 * MINUTE_MS)
    assert log.schemas() == [] and len(log.windows()) == 3
