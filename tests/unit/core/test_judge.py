"""Windows judged: by their labels once, in order, when covered or when the wait is over."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from inferwatch.config.timezones import utc_offsets
from inferwatch.core import anomaly, snapshot
from inferwatch.core.metrics import LABEL_METRICS
from inferwatch.records.definition import Check, Clock, Definition, Limit, ModelFacts, Need, Window
from inferwatch.records.outputs import FOLD_VERSION, alert_fingerprint, identity
from inferwatch.testing.folding import Log, alert_records, window_records

MINUTE = 60_000
WAIT = 10 * MINUTE


def below(value):
    """Fails under the value."""
    return Limit(direction="below", value=value, clear=value)


def log_of(*, need=None, windows=None, facts=None, **options):
    """A binary model whose accuracy must be one half at least."""
    check = Check(
        **{
            "alert": "Low",
            "metric": "accuracy",
            "window": "fast",
            "fail": below(0.5),
            "need": need or Need(coverage=0.5),
        }
        | options
    )
    model = ModelFacts(
        **{
            "task": "binary",
            "label_wait_ms": WAIT,
            "label_horizon_ms": 3 * WAIT,
            "restate_every_ms": 5 * MINUTE,
            "segments": ["country"],
        }
        | (facts or {})
    )
    windows = windows or [Window(name="fast", size_ms=MINUTE, grace_ms=0)]
    return Log(Definition(model=model, windows=windows, checks=[check]))


def minute_of_rows(log, minute, n=10, **columns):
    """n rows in one minute, all predicted 1."""
    return log.rows(n, minute * MINUTE + 30_000, prediction=[1.0] * n, **columns)


def ids(first, n):
    """Ids of the log's rows from number `first` on."""
    return [str(row) for row in range(first, first + n)]


def label(log, first, n, value, record_ms):
    """n labels from row number `first` on."""
    return log.labels(ids(first, n), [value] * n, record_ms)


def test_a_window_without_enough_labels_is_published_as_unknown():
    """Coverage stands beside every label figure, and under what its checks ask none has a value."""
    log = log_of()
    minute_of_rows(log, 0)
    label(log, 0, 4, 1.0, 40_000)
    minute_of_rows(log, 1)
    (record,) = log.windows()
    assert (record.labels, record.coverage) == (4, 0.4)
    assert "accuracy" not in record.metrics
    assert record.unknown["accuracy"] == record.unknown["auc"] == "coverage 40 %"
    assert log.alerts() == []


def test_a_label_check_judges_when_its_coverage_is_reached():
    """At once with the label that completes it, on the figures of then."""
    log = log_of()
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    assert label(log, 0, 4, 0.0, 2 * MINUTE) == []
    outputs = label(log, 4, 1, 0.0, 2 * MINUTE)
    (alert,) = alert_records(outputs)
    assert (alert.condition, alert.value, alert.labelled, alert.coverage) == ("firing", 0.0, 5, 0.5)
    assert (alert.limit, alert.rows, alert.window.start) == (0.5, 10, log.start_ms)
    (window,) = window_records(outputs)
    assert (window.revision, window.metrics["accuracy"]) == (1, 0.0)


def test_a_label_check_turns_unknown_when_the_wait_passes_uncovered():
    """`label_wait` after the window's end by the watermark; unknown is neither ok nor firing."""
    log = log_of()
    minute_of_rows(log, 0)
    log.tick(MINUTE)
    label(log, 0, 5, 0.0, 2 * MINUTE)
    minute_of_rows(log, 3)
    label(log, 10, 5, 1.0, 4 * MINUTE)
    log.tick(5 * MINUTE)
    assert [alert.condition for alert in log.alerts()] == ["firing", "ok"]
    minute_of_rows(log, 6)
    log.tick(7 * MINUTE + WAIT - 30_001)
    assert len(log.alerts()) == 2
    log.tick(7 * MINUTE + WAIT + 30_000)
    last = log.alerts()[-1]
    assert (last.previous, last.condition, last.reason) == ("ok", "unknown", "blind")


def test_a_window_is_judged_in_order_and_once():
    """A later window that is covered first waits for the one before it."""
    log = log_of()
    for minute in range(3):
        minute_of_rows(log, minute)
    log.tick(4 * MINUTE)
    assert alert_records(label(log, 10, 10, 0.0, 4 * MINUTE)) == []
    alerts = alert_records(label(log, 0, 10, 1.0, 5 * MINUTE))
    assert [(alert.condition, alert.window.start - log.start_ms) for alert in alerts] == [
        ("firing", MINUTE)
    ]
    assert alert_records(label(log, 0, 10, 0.0, 6 * MINUTE)) == []


def test_a_later_restatement_never_moves_an_alert():
    """Corrections restate the window's figures and leave the verdict as it was."""
    log = log_of()
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    label(log, 0, 10, 0.0, 2 * MINUTE)
    assert [alert.condition for alert in log.alerts()] == ["firing"]
    log.labels(ids(0, 10), [1.0] * 10, 3 * MINUTE)
    log.tick(9 * MINUTE)
    last = max(log.windows(), key=lambda w: (w.window.start == log.start_ms, w.revision))
    assert (last.revision, last.metrics["accuracy"]) == (2, 1.0)
    assert [alert.condition for alert in log.alerts()] == ["firing"]


def test_restatements_are_throttled_but_for_coverage():
    """At most one in `restate_every` of record time, and at once when 50 % or 100 % is reached."""
    log = log_of()
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    published_ms = MINUTE + 30_000
    assert label(log, 0, 2, 1.0, published_ms + 1_000) == []
    assert label(log, 2, 1, 1.0, published_ms + 5 * MINUTE - 1) == []
    told = label(log, 3, 1, 1.0, published_ms + 5 * MINUTE)
    assert [(w.revision, w.labels) for w in window_records(told)] == [(1, 4)]
    told = label(log, 4, 1, 1.0, published_ms + 5 * MINUTE + 1)
    assert [(w.revision, w.coverage) for w in window_records(told)] == [(2, 0.5)]
    assert label(log, 5, 4, 1.0, published_ms + 5 * MINUTE + 2) == []
    told = label(log, 9, 1, 1.0, published_ms + 5 * MINUTE + 3)
    assert [(w.revision, w.coverage) for w in window_records(told)] == [(3, 1.0)]


def test_a_throttled_restatement_comes_with_a_tick():
    """The model wakes when the time is over, though no record of its own comes."""
    log = log_of()
    minute_of_rows(log, 0)
    log.tick(2 * MINUTE)
    published_ms = 2 * MINUTE
    label(log, 0, 2, 1.0, 3 * MINUTE)
    assert log.tick(published_ms + 5 * MINUTE - 1) == []
    (window,) = window_records(log.tick(published_ms + 5 * MINUTE))
    assert (window.revision, window.labels) == (1, 2)


def test_a_restated_window_keeps_its_identity_and_its_other_figures():
    """Same model, window and rows under a higher revision; what is no label figure stays."""
    log = log_of()
    minute_of_rows(log, 0, latency_ms=[5.0] * 10)
    minute_of_rows(log, 1)
    label(log, 0, 10, 1.0, 2 * MINUTE)
    first, again = (w for w in log.windows() if w.window.start == log.start_ms)
    assert first.id != again.id
    assert (first.rows, first.from_ms, first.to_ms) == (again.rows, again.from_ms, again.to_ms)
    assert first.metrics.items() <= again.metrics.items()
    assert first.intervals and first.intervals.items() <= again.intervals.items()
    service = {name: why for name, why in first.unknown.items() if name not in LABEL_METRICS}
    assert service == {
        "captured": "no counters",
        "drift": "learning",
        "schema_changes": "learning",
    }
    assert service.items() <= again.unknown.items()


def test_a_check_by_segment_is_an_alert_for_each_segment():
    """And none for all rows together; rows without a segment belong to none."""
    log = log_of(segment_by=["country"])
    country = ["DE"] * 5 + ["FR"] * 4 + [None]
    minute_of_rows(log, 0, segments={"country": country})
    minute_of_rows(log, 1)
    label(log, 0, 5, 0.0, 2 * MINUTE)
    label(log, 5, 5, 1.0, 2 * MINUTE)
    (alert,) = log.alerts()
    assert (alert.segment, alert.value, alert.rows) == ("country=DE", 0.0, 5)
    assert sorted({w.segment for w in log.windows(segment=None)}) == [
        "",
        "country=DE",
        "country=FR",
    ]
    instances = log.partition.models["team/model"].state.instances.values()
    assert sorted(found.segment for found in instances) == ["country=DE", "country=FR"]


def test_segments_beyond_the_cap_are_other_and_nothing_is_lost():
    """The first values are exact, the rest share one; together they are all rows."""
    log = log_of(facts={"segments_max": 2})
    minute_of_rows(log, 0, segments={"country": list("AABBBCDEFG")})
    minute_of_rows(log, 1, segments={"country": ["H"] * 10})
    rows = {w.segment: w.rows for w in log.windows(segment=None) if w.segment}
    assert rows == {"country=A": 2, "country=B": 3, "country=__other__": 5}
    log.tick(2 * MINUTE + 30_000)
    assert [w.rows for w in log.windows(segment="country=__other__")] == [5, 10]


def test_severity_follows_the_limit_that_is_passed():
    """`warn` gives warning, `fail` critical, and a change while firing is told."""
    log = log_of(warn=below(0.8), fail=below(0.5))
    for minute, right in enumerate([7, 3, 7, 10]):
        minute_of_rows(log, minute)
        label(log, minute * 10, right, 1.0, minute * MINUTE + 40_000)
        label(log, minute * 10 + right, 10 - right, 0.0, minute * MINUTE + 40_000)
    log.tick(20 * MINUTE)
    assert [(a.condition, a.severity, a.reason) for a in log.alerts()] == [
        ("firing", "warning", "limit_passed"),
        ("firing", "critical", "severity_raised"),
        ("firing", "warning", "severity_lowered"),
        ("ok", "warning", "recovered"),
    ]


def test_two_of_three_windows_of_a_hopping_size_are_counted_apart():
    """Windows at whole multiples of the size: those that overlap this one do not count twice."""
    windows = [Window(name="fast", size_ms=2 * MINUTE, step_ms=MINUTE, grace_ms=0)]
    log = log_of(
        metric="rows",
        need=Need(),
        windows=windows,
        fail=Limit(direction="above", value=15.0, clear=15.0),
        times=(2, 2),
    )
    for minute in range(4):
        minute_of_rows(log, minute)
    log.tick(4 * MINUTE + 30_000)
    # windows −1…1 (10 rows), 0…2, 1…3, 2…4 (20 each): the one of 2…4 is the first with one before
    (alert,) = (alert for alert in log.alerts() if alert.condition == "firing")
    assert (alert.window.start - log.start_ms) == 2 * MINUTE


def test_windows_of_rows_wait_for_their_labels_from_their_last_row_on():
    """Their end is a row number; `label_wait` counts from the newest event time in them."""
    log = log_of(windows=[Window(name="fast", rows=10)])
    minute_of_rows(log, 0)
    (record,) = log.windows()
    assert (record.window.start, record.window.end, record.window.rows) == (0, 10, 10)
    label(log, 0, 5, 0.0, MINUTE)
    assert [alert.condition for alert in log.alerts()] == ["firing"]
    minute_of_rows(log, 1)
    log.tick(MINUTE + 30_000 + WAIT)
    assert [alert.condition for alert in log.alerts()] == ["firing"]
    state = log.partition.models["team/model"].state.tracks["fast"]["1"]
    assert all(waiting == [10] for waiting in state.queue.values())
    log.tick(MINUTE + 30_000 + WAIT + 1)
    assert all(waiting == [] for waiting in state.queue.values())


def test_what_is_past_the_horizon_is_forgotten_and_takes_no_label():
    """Closed windows and label parts go; a label for them changes nothing and is counted."""
    log = log_of()
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    track = log.partition.models["team/model"].state.tracks["fast"]["1"]
    assert list(track.closed) == [log.start_ms]
    log.rows(1, 3 * WAIT + 2 * MINUTE, prediction=[1.0])
    assert log.start_ms not in track.closed and log.start_ms not in track.labels
    assert window_records(label(log, 0, 10, 0.0, 3 * WAIT + 3 * MINUTE)) == []


def test_an_alert_says_what_where_and_since_when():
    """Identity from its names, the first bad record, the window, the limit, and when it began."""
    log = log_of(labels={"team": "risk"}, annotations={"runbook": "see there"})
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    label(log, 0, 10, 0.0, 2 * MINUTE)
    (alert,) = log.alerts()
    assert alert.fingerprint == alert_fingerprint("Low", "team/model", "1", "", "")
    assert alert.id == identity(alert.fingerprint, 1, FOLD_VERSION)
    assert (alert.first_bad, alert.began_ms) == ("events.v1/0@0", log.start_ms)
    assert alert.at_ms == log.start_ms + MINUTE
    assert (alert.labels, alert.annotations) == ({"team": "risk"}, {"runbook": "see there"})


@pytest.mark.parametrize("mode", ["alert", "observe"])
def test_an_observed_check_is_evaluated_like_any_other(mode):
    """It is on the topic with its mode; who sends, decides."""
    log = log_of(mode=mode)
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    label(log, 0, 10, 0.0, 2 * MINUTE)
    assert [(alert.condition, alert.mode) for alert in log.alerts()] == [("firing", mode)]


def test_a_check_on_rows_speaks_when_its_window_closes():
    """What needs no label is judged with the window itself."""
    log = log_of(metric="error_rate", fail=Limit(direction="above", value=0.2, clear=0.1))
    minute_of_rows(log, 0, error=["Timeout"] * 3 + [None] * 7)
    outputs = minute_of_rows(log, 1)
    (alert,) = alert_records(outputs)
    assert (alert.value, alert.coverage, alert.rows) == (0.3, None, 10)


def test_an_anomaly_check_compares_with_the_windows_before():
    """The window itself is not part of its own past; twelve are needed."""
    log = log_of(
        metric="rows", method="zscore", fail=Limit(direction="above", value=3.0, clear=3.0)
    )
    for minute in range(13):
        minute_of_rows(log, minute, n=10 + minute % 2)
    minute_of_rows(log, 13, n=30)
    log.tick(15 * MINUTE)
    (alert,) = log.alerts()
    assert (alert.window.start - log.start_ms, alert.rows) == (13 * MINUTE, 30)


def test_a_debounced_score_begins_nothing_unless_it_is_the_highest():
    """Of two spikes the lesser is told by nobody; what has begun lasts while scores are high."""

    def told(**params):
        log = log_of(
            metric="rows",
            method="mad",
            params=params,
            fail=Limit(direction="above", value=6.0, clear=6.0),
        )
        counts = [*[10, 12, 9, 11, 13, 8] * 4, 90, 80, 70, 10, 11, 10, 60, 70, 10, 11]
        for minute, n in enumerate(counts):
            minute_of_rows(log, minute, n=n)
        log.tick(40 * MINUTE)
        return [((a.window.start - log.start_ms) // MINUTE, a.condition) for a in log.alerts()]

    first = [(24, "firing"), (27, "ok")]
    assert told(floor=0.01) == [*first, (30, "firing"), (32, "ok")]
    assert told(floor=0.01, debounce=10.0) == first


def test_an_hour_of_the_day_is_compared_with_that_hour_of_other_days():
    """A busy noon is nothing, another busy hour is, by the model's clock.

    In Berlin it is 26 March at first; on the 29th clocks go forward, and by UTC noon is then in
    another slot.
    """
    hour = 60 * MINUTE
    busy = {"Europe/Berlin": [], "UTC": []}
    for zone, found in busy.items():
        log = log_of(
            metric="rows",
            method="seasonal",
            params={"period": 24.0},
            fail=Limit(direction="above", value=6.0, clear=6.0),
            windows=[Window(name="fast", size_ms=hour, grace_ms=0)],
            facts={"clock": Clock(timezone=zone, utc_offsets=list(utc_offsets(zone)))},
        )
        log.start_ms = int(datetime(2026, 3, 25, 23, tzinfo=UTC).timestamp() * 1_000)
        for number in range(24 * 5):
            time_ms = log.start_ms + number * hour
            clock = datetime.fromtimestamp(time_ms / 1_000, ZoneInfo("Europe/Berlin"))
            n = 40 if clock.hour == 12 else 10
            n = 40 if number == 24 * 4 + 20 else n
            log.rows(n, number * hour + MINUTE, prediction=[1.0] * n)
        log.tick(24 * 5 * hour + hour)
        for alert in log.alerts():
            if alert.condition == "firing":
                found.append((alert.window.start - log.start_ms) // hour)
    assert busy["Europe/Berlin"] == [24 * 4 + 20]
    assert busy["UTC"] == [24 * 3 + 11]


def test_past_figures_are_those_of_closed_windows_once_each():
    """Labels that restate a window, and checks that come and go, leave its past as it is."""
    limit = Limit(direction="above", value=3.0, clear=3.0)
    watched = [
        Check(alert="A", metric="rows", method="ewma", window="fast", fail=limit),
        Check(alert="B", metric="rows", method="seasonal", window="fast", fail=limit),
        Check(alert="C", metric="accuracy", window="fast", fail=below(0.5)),
    ]
    log = log_of()
    log.definition = msgspec.structs.replace(log.definition, checks=watched)
    for minute in range(5):
        minute_of_rows(log, minute, n=10 + minute)
    log.tick(6 * MINUTE)
    (track,) = log.partition.models[log.model].state.tracks["fast"].values()
    start = log.start_ms // anomaly.HOUR_MS
    kept = {"\x1frows": [10.0, 11.0, 12.0, 13.0, 14.0]}, {"\x1frows": {start: 10.0}}
    assert (track.series, track.hours) == kept
    for _ in range(3):
        label(log, 0, 60, 1.0, 7 * MINUTE)
        log.tick(20 * MINUTE)
    assert len(log.windows()) > 5
    assert (track.series, track.hours) == kept


def test_only_what_checks_read_is_kept():
    """Of a segment the figures of the checks on it, and no more of them than asked."""
    check = {"metric": "rows", "method": "mad", "params": {"window": 20.0, "past_min": 12.0}}
    log = log_of(**check, segment_by=["country"], fail=Limit(direction="above", value=9, clear=9))
    for minute in range(30):
        minute_of_rows(log, minute, n=10, segments={"country": ["DE"] * 10})
    (track,) = log.partition.models[log.model].state.tracks["fast"].values()
    assert {key: len(past) for key, past in track.series.items()} == {"country=DE\x1frows": 20}
    assert track.hours == {}


class Closed(dict):
    """Windows that may be looked up and not looked through."""

    def _no(self, *_):
        pytest.fail("a batch looked through all closed windows")

    __iter__ = keys = values = items = _no


def test_a_batch_costs_nothing_for_the_windows_that_wait_for_labels():
    """Windows wait for labels for weeks, by tens of thousands: a batch, a label and a tick inside
    a minute look none of them through, and what they have to tell is told.
    """
    log = log_of(need=Need(coverage=1.0))
    for minute in range(4):
        minute_of_rows(log, minute)
    (track,) = log.partition.models[log.model].state.tracks["fast"].values()
    assert len(track.closed) == 3
    track.closed, track.labels = Closed(track.closed), Closed(track.labels)
    minute_of_rows(log, 3)
    log.tick(4 * MINUTE - 10_000)
    assert window_records(label(log, 0, 10, 1.0, 4 * MINUTE - 9_000))[0].coverage == 1.0
    minute_of_rows(log, 3)


def test_labels_that_came_before_a_restart_are_told_after_it():
    """A window that waits for its turn to be restated waits in a snapshot too."""
    log = log_of()
    minute_of_rows(log, 0)
    minute_of_rows(log, 1)
    assert label(log, 0, 2, 1.0, MINUTE + 31_000) == []
    model = log.partition.models[log.model]
    log.partition.restore(snapshot.cut(model))
    told = window_records(log.tick(MINUTE + 30_000 + 5 * MINUTE))
    assert [(w.window.start - log.start_ms, w.labels) for w in told if w.revision] == [(0, 2)]
