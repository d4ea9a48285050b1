"""Deploys, verdicts and changed definitions: records that act from where they stand in the log."""

import msgspec
import pytest

from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.events import Deploy, MonitorChange, Verdict
from inferwatch.records.outputs import alert_fingerprint
from inferwatch.testing.folding import Log, alert_records

MINUTE = 60_000
MODEL = "team/model"


def above(value):
    """Past the value."""
    return Limit(direction="above", value=value, clear=value)


MANY = Check(alert="Many", metric="rows", window="fast", fail=above(5.0))
ERRORS = Check(alert="Errors", metric="error_rate", window="fast", fail=above(0.5))
BASE = Definition(
    model=ModelFacts(task="binary"),
    windows=[Window(name="fast", size_ms=MINUTE, grace_ms=0), Window(name="batch", rows=4)],
    checks=[MANY, ERRORS],
)


def firing_log():
    """A log in which `Many` fires."""
    log = Log(BASE)
    log.rows(6, 0)
    log.rows(6, MINUTE)
    assert [alert.condition for alert in log.alerts()] == ["firing"]
    return log


def verdict(log, word, record_ms, **fields):
    """An operator's word on `Many`; the transitions that follow."""
    fingerprint = fields.pop("fingerprint", alert_fingerprint("Many", MODEL, "1", "", ""))
    event = Verdict(
        model=MODEL,
        fingerprint=fingerprint,
        verdict=word,
        time_ms=log.start_ms + record_ms,
        **fields,
    )
    return alert_records(log.event(event, record_ms))


def change(log, definition, record_ms=2 * MINUTE):
    """A changed definition; the transitions that follow."""
    return alert_records(log.event(MonitorChange(model=MODEL, definition=definition), record_ms))


@pytest.mark.parametrize("word", ["ack", "silence", "unsilence", "useful", "noise"])
def test_a_verdict_is_told_and_leaves_the_condition(word):
    """It is a transition from firing to firing with the word as its reason: replay hears it too."""
    log = firing_log()
    (alert,) = verdict(log, word, 2 * MINUTE)
    assert (alert.previous, alert.condition, alert.reason) == ("firing", "firing", word)
    assert alert.seq == 2


def test_an_acknowledged_alert_says_so_until_it_has_recovered():
    """The flag travels with every transition of the alert."""
    log = firing_log()
    (alert,) = verdict(log, "ack", 2 * MINUTE)
    assert alert.flags == ["acknowledged"]
    log.rows(1, 2 * MINUTE)
    log.rows(1, 3 * MINUTE)
    assert (log.alerts()[-1].condition, log.alerts()[-1].flags) == ("ok", [])


def test_a_silence_ends_by_its_time_or_by_a_word():
    """`silenced` is a flag: what happens meanwhile is evaluated and on the topic all the same."""
    log = firing_log()
    until_ms = log.start_ms + 4 * MINUTE
    (alert,) = verdict(log, "silence", 2 * MINUTE, until_ms=until_ms)
    assert alert.flags == ["silenced"]
    log.rows(1, 2 * MINUTE)
    log.rows(1, 3 * MINUTE)
    assert (log.alerts()[-1].condition, log.alerts()[-1].flags) == ("ok", ["silenced"])
    log.rows(6, 4 * MINUTE)
    log.rows(1, 5 * MINUTE)
    assert (log.alerts()[-1].condition, log.alerts()[-1].flags) == ("firing", [])
    (alert,) = verdict(log, "silence", 6 * MINUTE)
    assert alert.flags == ["silenced"]
    (alert,) = verdict(log, "unsilence", 7 * MINUTE)
    assert alert.flags == []


def test_what_fires_when_its_silence_is_over_is_told():
    """Channels heard nothing of it meanwhile; the next window says so, once."""
    log = firing_log()
    verdict(log, "silence", 2 * MINUTE, until_ms=log.start_ms + 4 * MINUTE)
    for minute in range(2, 7):
        log.rows(6, minute * MINUTE)
    told = [(alert.reason, alert.condition, alert.flags) for alert in log.alerts()[2:]]
    assert told == [("silence_over", "firing", [])]


def test_a_silence_ends_by_the_clock_of_records():
    """Of windows too whose rows come an hour late, and of a check that waited for labels."""
    hour = 60 * MINUTE
    always = msgspec.structs.replace(LOW, alert="Many", window="fast", need=Need(labels=1))
    facts = ModelFacts(task="binary", label_wait_ms=2 * hour, label_horizon_ms=2 * hour)
    log = Log(msgspec.structs.replace(BASE, model=facts, checks=[always]))
    for minute in range(3):
        log.rows(1, minute * MINUTE, minute * MINUTE + hour, ids=[str(minute)], prediction=[1.0])
        if not minute:
            log.labels(["0"], [0.0], hour + 1)
    verdict(log, "silence", hour + 2 * MINUTE, until_ms=log.start_ms + hour + 5 * MINUTE)
    log.labels(["1"], [0.0], hour + 5 * MINUTE)
    told = [(alert.reason, alert.condition, alert.flags) for alert in log.alerts()]
    assert told == [
        ("limit_passed", "firing", []),
        ("silence", "firing", ["silenced"]),
        ("silence_over", "firing", []),
    ]


def test_a_silence_that_is_over_is_told_of_no_alert_that_ended():
    """It is forgotten: there is nothing to hear of."""
    log = firing_log()
    verdict(log, "silence", 2 * MINUTE, until_ms=log.start_ms + 4 * MINUTE)
    for minute in range(2, 7):
        log.rows(1, minute * MINUTE)
    assert [alert.reason for alert in log.alerts()[2:]] == ["recovered"]


def test_a_silent_model_is_told_when_the_silence_of_its_alert_is_over():
    """An operator's silence of the check on traffic."""
    silent = Check(alert="Gone", metric="traffic", method="absent", for_ms=MINUTE)
    log = Log(msgspec.structs.replace(BASE, checks=[silent]))
    log.rows(1, 0)
    log.tick(2 * MINUTE)
    (firing,) = log.alerts()
    until_ms = log.start_ms + 4 * MINUTE
    verdict(log, "silence", 2 * MINUTE, until_ms=until_ms, fingerprint=firing.fingerprint)
    for minute in range(3, 7):
        log.tick(minute * MINUTE)
    assert [alert.reason for alert in log.alerts()[2:]] == ["silence_over"]


def test_a_silence_outlives_a_change_of_its_check():
    """It is of the fingerprint, which stays: what fires by the new rule is flagged until then."""
    log = firing_log()
    verdict(log, "silence", 2 * MINUTE, until_ms=log.start_ms + 5 * MINUTE)
    changed = msgspec.structs.replace(MANY, fail=above(4.0))
    change(log, msgspec.structs.replace(BASE, checks=[changed]))
    for minute in range(2, 7):
        log.rows(6, minute * MINUTE)
    told = [(alert.condition, alert.reason, alert.flags) for alert in log.alerts()[2:]]
    assert told == [
        ("ok", "check_changed", ["silenced"]),
        ("firing", "limit_passed", ["silenced"]),
        ("firing", "silence_over", []),
    ]


def test_a_verdict_on_nothing_is_no_error():
    """An unknown fingerprint, or one of another model, moves nothing."""
    log = firing_log()
    assert verdict(log, "ack", 2 * MINUTE, fingerprint="ffff") == []
    assert (
        verdict(log, "ack", 2 * MINUTE, fingerprint=alert_fingerprint("Many", "o/m", "1", "", ""))
        == []
    )


def test_the_last_word_in_the_log_rules():
    """Two operators at once: the order of the log decides, in every replay."""
    log = firing_log()
    verdict(log, "silence", 2 * MINUTE)
    verdict(log, "unsilence", 2 * MINUTE)
    (alert,) = verdict(log, "useful", 2 * MINUTE)
    assert alert.flags == []


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ([ERRORS], "check_removed"),
        ([msgspec.structs.replace(MANY, fail=above(50.0)), ERRORS], "check_changed"),
        ([msgspec.structs.replace(MANY, metric="latency.p99"), ERRORS], "check_changed"),
        ([msgspec.structs.replace(MANY, labels={"team": "x"}), ERRORS], "check_changed"),
    ],
)
def test_an_alert_of_a_changed_check_ends_with_its_reason(checks, reason):
    """Nothing goes silently: what fired is told to have ended, and why."""
    log = firing_log()
    (alert,) = change(log, msgspec.structs.replace(BASE, checks=checks))
    assert (alert.alert, alert.previous, alert.condition, alert.reason) == (
        "Many",
        "firing",
        "ok",
        reason,
    )
    assert alert.seq == 2


def test_a_changed_threshold_begins_anew_and_numbers_go_on():
    """A change ends the old alert; what the new rule says next has the next `seq`."""
    log = firing_log()
    change(
        log, msgspec.structs.replace(BASE, checks=[msgspec.structs.replace(MANY, fail=above(4.0))])
    )
    log.rows(5, 2 * MINUTE)
    log.rows(1, 3 * MINUTE)
    assert [(a.seq, a.condition) for a in log.alerts()] == [(1, "firing"), (2, "ok"), (3, "firing")]


def test_what_did_not_change_goes_on():
    """Another check's change touches neither this alert, nor windows and what they hold."""
    log = firing_log()
    other = msgspec.structs.replace(ERRORS, fail=above(0.1))
    assert change(log, msgspec.structs.replace(BASE, checks=[MANY, other])) == []
    log.rows(6, MINUTE + 1, record_ms=2 * MINUTE)
    log.rows(1, 2 * MINUTE)
    assert [w.rows for w in log.windows("fast")] == [6, 12]
    assert len(log.alerts()) == 1


def test_the_same_definition_again_is_no_change():
    """A file that was only touched gives the same digest: nothing happens."""
    log = firing_log()
    assert change(log, BASE) == []
    assert len(log.alerts()) == 1


def test_a_changed_window_starts_empty_and_gets_another_identity():
    """Its figures would not mean the same; windows that did not change keep their panes and ids."""
    log, same = Log(BASE), Log(BASE)
    for each in (log, same):
        each.rows(2, 0)
    windows = [msgspec.structs.replace(BASE.windows[0], size_ms=2 * MINUTE), BASE.windows[1]]
    change(log, msgspec.structs.replace(BASE, windows=windows), record_ms=1_000)
    for each in (log, same):
        each.rows(2, 2_000)
        each.tick(10 * MINUTE)
    assert [w.rows for w in log.windows("fast")] == [2]
    assert [w.rows for w in same.windows("fast")] == [4]
    assert [w.id for w in log.windows("batch")] == [w.id for w in same.windows("batch")]
    assert {w.id for w in log.windows("fast")}.isdisjoint(w.id for w in same.windows("fast"))


def test_a_threshold_is_outside_a_windows_identity():
    """Editing a rule does not publish last month's windows under new ids."""
    log, same = Log(BASE), Log(BASE)
    checks = [msgspec.structs.replace(MANY, fail=above(50.0)), ERRORS]
    for each in (log, same):
        each.rows(2, 0)
    change(log, msgspec.structs.replace(BASE, checks=checks), record_ms=1_000)
    for each in (log, same):
        each.tick(10 * MINUTE)
    assert [w.id for w in log.windows()] == [w.id for w in same.windows()]


def test_a_detector_outlives_a_change_of_its_rule_and_not_of_its_statistic():
    """Two digests a check: severity and labels keep what was learnt, delta and metric do not."""
    adwin = Check(alert="Shift", metric="score", method="adwin", warn=above(0.0))
    reference = Reference(min_rows=4)
    base = msgspec.structs.replace(BASE, checks=[adwin], reference=reference)
    log = Log(base)
    log.rows(8, 0, score=[0.1, 0.2, 0.3, 0.4] * 2)
    model = log.partition.models[MODEL]
    (detector,) = model.detectors.values()
    change(
        log, msgspec.structs.replace(base, checks=[msgspec.structs.replace(adwin, mode="observe")])
    )
    assert list(model.detectors.values()) == [detector]
    changed = msgspec.structs.replace(adwin, params={"delta": 0.1})
    change(log, msgspec.structs.replace(base, checks=[changed]))
    assert model.detectors == {}
    log.rows(1, 1, score=[0.1])
    assert [found.delta for found in model.detectors.values()] == [0.1]


def test_a_detector_is_scaled_by_the_reference_in_force():
    """With another reference values mean something else: it begins anew; errors need no scale."""
    checks = [
        Check(alert=metric, metric=metric, method="adwin", warn=above(0.0))
        for metric in ("score", "error")
    ]
    base = msgspec.structs.replace(BASE, checks=checks, reference=Reference(min_rows=4))
    log = Log(base)
    log.rows(8, 0, score=[0.1, 0.2, 0.3, 0.4] * 2, prediction=[1.0] * 8)
    log.labels(["0"], [1.0], 1)
    model = log.partition.models[MODEL]
    assert [key.split("\x1f")[0] for key in model.detectors] == ["score", "error"]
    change(log, msgspec.structs.replace(base, reference=Reference(min_rows=5)))
    assert [key.split("\x1f")[0] for key in model.detectors] == ["error"]


def test_figures_that_no_check_reads_any_more_are_forgotten():
    """Those of windows and of hours, of all rows and of segments; latencies are told by any alert,
    and what another check reads goes on.
    """
    checks = [
        Check(alert="Hour", metric="rows", method="seasonal", window="fast", fail=above(9.0)),
        Check(alert="Odd", metric="rows", method="zscore", window="fast", fail=above(9.0)),
        Check(
            alert="Part",
            metric="error_rate",
            method="zscore",
            window="fast",
            segment_by=["country"],
            fail=above(9.0),
        ),
    ]
    facts = ModelFacts(task="binary", segments=["country"])
    base = msgspec.structs.replace(BASE, model=facts, checks=checks)
    log = Log(base)
    for minute in range(4):
        log.rows(2, minute * MINUTE, latency_ms=[1.0] * 2, segments={"country": ["DE", "FR"]})
    track = log.partition.models[MODEL].state.tracks["fast"]["1"]
    latencies = {f"{segment}\x1flatency.p99" for segment in ("", "country=DE", "country=FR")}
    parts = {f"country={one}\x1ferror_rate" for one in ("DE", "FR")}
    assert {*track.series} == {*latencies, *parts, "\x1frows"} and [*track.hours] == ["\x1frows"]
    before = list(track.series["\x1frows"])
    change(log, msgspec.structs.replace(base, checks=checks[1:2]), 4 * MINUTE)
    track = log.partition.models[MODEL].state.tracks["fast"]["1"]
    assert ({*track.series}, track.hours) == ({*latencies, "\x1frows"}, {})
    assert track.series["\x1frows"] == before


def test_a_deploy_is_context_for_what_begins_within_an_hour():
    """Alerts that begin after it name the last one, in words; an hour later none does."""
    log = Log(BASE)
    log.rows(1, 0)
    for version, minute in (("2", 1), ("3", 4)):
        at_ms = log.start_ms + minute * MINUTE
        log.event(Deploy(model=MODEL, version=version, time_ms=at_ms), minute * MINUTE)
    log.rows(6, 6 * MINUTE)
    log.rows(1, 7 * MINUTE)
    log.rows(6, 120 * MINUTE)
    log.rows(1, 121 * MINUTE)
    firing = [alert for alert in log.alerts() if alert.condition == "firing"]
    assert [alert.context for alert in firing] == [["two minutes after deploy v3"], []]


LOW = Check(
    alert="Low",
    metric="accuracy",
    window="wide",
    fail=Limit(direction="below", value=0.1, clear=0.1),
)


def test_a_window_that_is_defined_anew_takes_no_label_of_rows_before_it():
    """A label, and a correction of one, for a row that only the old definition counted: the window
    holds the rows since, and their labels.
    """
    window = Window(name="wide", size_ms=MINUTE, grace_ms=0)
    log = Log(msgspec.structs.replace(BASE, windows=[window], checks=[LOW]))
    log.rows(3, 0, ids=["a", "b", "c"], prediction=[1.0] * 3)
    log.labels(["a"], [1.0], 1_000)
    wider = msgspec.structs.replace(window, grace_ms=1)
    change(log, msgspec.structs.replace(log.definition, windows=[wider]), 2_000)
    log.rows(2, 3_000, ids=["d", "e"], prediction=[1.0] * 2)
    log.labels(["a", "b", "d"], [0.0, 1.0, 1.0], 4_000)
    log.rows(1, 2 * MINUTE, ids=["f"], prediction=[1.0])
    first = log.windows("wide")[0]
    assert (first.rows, first.labels, first.coverage) == (2, 1, 0.5)


def test_what_was_late_for_a_window_that_is_gone_is_late_for_no_other():
    """A prediction that one window missed and another counted is labelled in that other, whatever
    becomes of the first.
    """
    strict = Window(name="strict", size_ms=MINUTE, grace_ms=0)
    wide = Window(name="wide", size_ms=MINUTE, grace_ms=10 * MINUTE)
    checks = [LOW, msgspec.structs.replace(LOW, alert="Strict", window="strict")]
    log = Log(msgspec.structs.replace(BASE, windows=[strict, wide], checks=checks))
    log.rows(1, 0, ids=["a"], prediction=[1.0])
    log.rows(1, 2 * MINUTE, ids=["b"], prediction=[1.0])
    log.rows(1, 1_000, 2 * MINUTE, ids=["late"], prediction=[1.0])
    change(log, msgspec.structs.replace(log.definition, windows=[wide], checks=[LOW]))
    log.labels(["a", "late"], [1.0, 1.0], 2 * MINUTE)
    log.rows(1, 20 * MINUTE, ids=["c"], prediction=[1.0])
    first = log.windows("wide")[0]
    assert (first.rows, first.labels) == (2, 2)


def test_windows_of_rows_that_are_defined_anew_end_at_their_own_rows():
    """The first has what is left of its rows, the next is whole; none waits for a history."""
    log = Log(BASE)
    log.rows(10, 0)
    windows = [BASE.windows[0], Window(name="batch", rows=6)]
    change(log, msgspec.structs.replace(BASE, windows=windows), 0)
    log.rows(8, 0)
    found = [(one.window.start, one.rows) for one in log.windows("batch")]
    assert found == [(0, 4), (4, 4), (6, 2), (12, 6)]


def test_a_check_that_leaves_its_segments_waits_for_their_labels_no_more():
    """It says nothing of a segment's windows that were closed before, once their labels come."""
    below = Limit(direction="below", value=0.5, clear=0.5)
    need = Need(labels=1, coverage=0.9)
    check = msgspec.structs.replace(LOW, window="fast", segment_by=["country"], need=need)
    check = msgspec.structs.replace(check, fail=below)
    facts = ModelFacts(task="binary", segments=["country"], label_horizon_ms=20 * MINUTE)
    base = msgspec.structs.replace(BASE, model=facts, checks=[check])
    log = Log(base)
    for at_ms in (0, MINUTE):
        log.rows(4, at_ms, segments={"country": ["DE"] * 4}, prediction=[1.0] * 4)
    whole = msgspec.structs.replace(check, segment_by=[])
    change(log, msgspec.structs.replace(base, checks=[whole]))
    log.labels(["0", "1", "2", "3"], [0.0] * 4, 2 * MINUTE)
    assert [alert for alert in log.alerts() if alert.segment] == []
