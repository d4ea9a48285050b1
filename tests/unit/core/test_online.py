"""Checks that read every row: what they are fed, when they fire, and when that is over."""

import numpy as np
import pytest
from msgspec.structs import replace

from inferwatch.config import monitors
from inferwatch.core.drift.adwin import Adwin
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Reference, Window
from inferwatch.records.events import Deploy, Verdict
from inferwatch.testing.folding import Log, alert_records

MINUTE = 60_000
ANY = Limit(direction="above", value=0.0, clear=0.0)


def log_of(metric, *, method="adwin", min_rows=10, windows=None, **options):
    """A model with one check that reads rows."""
    check = Check(**{"alert": "Shift", "metric": metric, "method": method, "warn": ANY} | options)
    return Log(
        Definition(
            model=ModelFacts(task="binary", label_horizon_ms=600 * MINUTE),
            reference=Reference(min_rows=min_rows),
            windows=windows or [Window(name="fast", size_ms=MINUTE)],
            checks=[check],
        )
    )


def predicted(log, wrong, at_ms=0):
    """Rows whose truth is 1, answered with 0 where they are wrong."""
    return log.rows(len(wrong), at_ms, prediction=[0.0 if flag else 1.0 for flag in wrong])


def labelled(log, rows, record_ms):
    """The truth of the rows with these numbers, in this order."""
    return log.labels([str(row) for row in rows], [1.0] * len(rows), record_ms)


def shift_of_errors(log, *, before=0.0, after=1.0):
    """600 right-or-wrong rows and 200 of another level; the transitions."""
    draw = np.random.default_rng(1)
    predicted(log, [*(draw.random(600) < before), *(draw.random(200) < after)])
    labelled(log, range(600), MINUTE)
    return alert_records(labelled(log, range(600, 800), 2 * MINUTE))


def test_errors_are_fed_in_the_order_labels_come():
    """1 for wrong and 0 for right, not in the order of predictions: so says the state."""
    log, draw = log_of("error"), np.random.default_rng(2)
    wrong = np.concatenate([draw.random(400) < 0.1, draw.random(400) < 0.7])
    order = draw.permutation(800)
    predicted(log, wrong)
    labelled(log, order, MINUTE)
    (detector,) = log.partition.models["team/model"].detectors.values()
    by_arrival, by_prediction = (Adwin(0.0, 1.0, 0.002) for _ in range(2))
    by_arrival.update_many(wrong[order].astype(np.float64))
    by_prediction.update_many(wrong.astype(np.float64))
    assert detector.dump() == by_arrival.dump() != by_prediction.dump()


def test_a_monitor_file_may_ask_for_the_weighted_mode(tmp_path):
    """`mode: weighted` in the file is a detector in blocks of 64 rows in the fold, however rows
    come; it tells the same change at the end of its block.
    """
    text = 'apiVersion: inferwatch/v1\nmatch: {model: "team/*"}\nmodel: {task: binary}\n'
    text += "windows: {w: {size: 1m}}\n"
    text += "checks: [{alert: Shift, metric: error, method: adwin, params: {mode: weighted}}]\n"
    path = tmp_path / "m.yaml"
    path.write_text(text, encoding="utf-8")
    file, _ = monitors.read(path)
    (check,) = file.definition.checks
    assert check.params == {"block": 64.0}
    draw = np.random.default_rng(2)
    wrong = np.concatenate([draw.random(1_250) < 0.1, draw.random(750) < 0.7])
    dumps = []
    for size in (2_000, 77):
        log = Log(file.definition)
        predicted(log, wrong)
        for first in range(0, 2_000, size):
            labelled(log, range(first, min(first + size, 2_000)), MINUTE)
        (detector,) = log.partition.models["team/model"].detectors.values()
        dumps.append(detector.dump())
        assert [alert.condition for alert in log.alerts()] == ["firing"]
    assert dumps[0] == dumps[1]
    weighted = Adwin(0.0, 1.0, 0.002, 64)
    found = [one.row for one in weighted.update_many(wrong.astype(np.float64))]
    assert weighted.dump() == dumps[0] and all(row % 64 == 63 for row in found)


def test_a_change_names_its_levels_and_its_first_record():
    """Before and after the change, the record that completed it, the deploy that preceded it."""
    log = log_of("error")
    log.event(Deploy(model="team/model", version="1", time_ms=log.start_ms - 2 * MINUTE), 0)
    (alert,) = shift_of_errors(log)
    assert (alert.reference, alert.reference_span) == (0.0, "the level before the change")
    assert alert.value > 0.5
    assert alert.first_bad == f"events.v1/0@{log.offset - 1}"
    assert alert.context == ["two minutes after deploy v1"]
    assert alert.severity == "warning"


def test_an_error_rate_that_falls_is_information():
    """A change too, but not a problem; the same fall of a score is as severe as its check says."""
    (alert,) = shift_of_errors(log_of("error", fail=ANY), before=1.0, after=0.0)
    assert (alert.condition, alert.severity) == ("firing", "info")
    log = log_of("score", fail=ANY)
    log.rows(300, 0, score=[0.9, 0.8] * 150)
    (alert,) = alert_records(log.rows(300, 1, score=[0.2, 0.1] * 150))
    assert (alert.severity, alert.causes) == ("critical", ["went down"])


@pytest.mark.parametrize("keep_ms", [0, 5 * MINUTE])
def test_a_detection_stays_for_an_hour_after_the_last(keep_ms):
    """Or for as long as the check says, by the event time of rows; then it is quiet."""
    log = log_of("error", keep_firing_for_ms=keep_ms)
    shift_of_errors(log)
    quiet_ms = keep_ms or 60 * MINUTE
    assert alert_records(log.rows(1, quiet_ms - 1)) == []
    (alert,) = alert_records(log.rows(1, quiet_ms + 10))
    assert (alert.condition, alert.reason) == ("ok", "quiet")
    assert alert.at_ms == log.start_ms + quiet_ms
    assert alert_records(log.rows(1, 10 * quiet_ms)) == []


def test_an_error_found_late_stays_as_long_as_one_found_early():
    """The hour begins where rows have come to, not at the prediction that a late label judged."""
    log = log_of("error")
    predicted(log, [False] * 600 + [True] * 200)
    log.rows(1, 100 * MINUTE, ids=["x"])
    labelled(log, range(800), 100 * MINUTE)
    assert [alert.began_ms for alert in log.alerts()] == [log.start_ms]
    assert alert_records(log.rows(1, 160 * MINUTE - 1)) == []
    assert [a.reason for a in alert_records(log.rows(1, 160 * MINUTE))] == ["quiet"]


def test_a_silence_ends_no_detection():
    """No row, no evidence: ticks leave it firing, and then without data, until rows come."""
    log = log_of("error")
    silent = Check(alert="Silent", metric="traffic", method="absent", for_ms=120 * MINUTE)
    log.definition = replace(log.definition, checks=[*log.definition.checks, silent])
    shift_of_errors(log)
    assert alert_records(log.tick(119 * MINUTE)) == []
    told = [(a.alert, a.condition) for a in alert_records(log.tick(121 * MINUTE))]
    assert told == [("Silent", "firing"), ("Shift", "no_data")]
    assert alert_records(log.tick(900 * MINUTE)) == []
    told = [(a.alert, a.condition, a.reason) for a in alert_records(log.rows(1, 901 * MINUTE))]
    assert told == [("Shift", "ok", "quiet"), ("Silent", "ok", "recovered")]


def silence(log, until_ms):
    """An operator's silence of the alert that came last."""
    fingerprint, now_ms = log.alerts()[-1].fingerprint, log.start_ms + 3 * MINUTE
    word = Verdict(
        model="team/model",
        fingerprint=fingerprint,
        verdict="silence",
        time_ms=now_ms,
        until_ms=log.start_ms + until_ms,
    )
    log.event(word, 3 * MINUTE)


def told_since(log, before):
    """Reason, condition, flags and minute of the transitions behind the first `before`."""
    return [
        (one.reason, one.condition, one.flags, (one.at_ms - log.start_ms) // MINUTE)
        for one in log.alerts()[before:]
    ]


@pytest.mark.parametrize("batches", [[10, 20, 21, 70, 80], [10, 80]])
def test_a_detection_that_outlasts_its_silence_is_told(batches):
    """Channels heard nothing of it: it is told once, before its own end, however rows come."""
    log = log_of("error")
    shift_of_errors(log)
    silence(log, 15 * MINUTE)
    for minute in batches:
        log.rows(1, minute * MINUTE)
    assert told_since(log, 2) == [
        ("silence_over", "firing", [], 15),
        ("quiet", "ok", [], 60),
    ]


@pytest.mark.parametrize("until", [61, 70])
@pytest.mark.parametrize("batches", [[59, 60, 65, 80], [10, 60, 80]])
def test_a_silence_that_outlasts_its_detection_is_over_without_a_word(batches, until):
    """There is nothing left to hear of, and the next detection is told by itself, once."""
    log = log_of("error")
    shift_of_errors(log)
    silence(log, until * MINUTE)
    for minute in batches:
        log.rows(1, minute * MINUTE, ids=[f"later{minute}"])
    assert told_since(log, 2) == [("quiet", "ok", ["silenced"], 60)]
    names = [f"n{number}" for number in range(600)]
    log.rows(600, 81 * MINUTE, ids=names, prediction=[1.0] * 600)
    log.labels(names, [1.0] * 600, 82 * MINUTE)
    log.rows(1, 83 * MINUTE, ids=["last"])
    again = told_since(log, 3)
    assert [one[:3] for one in again] == [("limit_passed", "firing", [])]


@pytest.mark.parametrize("batches", [1, 3])
def test_what_is_found_behind_a_silence_is_told_once(batches):
    """A detection of the very batch that passes the end of a silence has no flag, and is no news
    a second time: what stood until then is told, and its end.
    """
    log = log_of("score")
    low, high = [0.2, 0.1] * 150, [0.9, 0.8] * 150
    log.rows(300, 0, score=low)
    log.rows(300, 1, score=high)
    assert [one.condition for one in log.alerts()] == ["firing"]
    silence(log, 90 * MINUTE)
    for _ in range(batches):
        n = 300 // batches
        log.rows(n, 100 * MINUTE, score=low[:n])
    log.rows(1, 101 * MINUTE, score=[0.1])
    assert [(one[0], one[2]) for one in told_since(log, 2)] == [
        ("silence_over", []),
        ("quiet", []),
        ("limit_passed", []),
    ]


@pytest.mark.parametrize("batches", [1, 3])
def test_a_silence_ends_by_the_clock_of_records(batches):
    """An operator's two hours are over where rows are three hours behind, as where they are not."""
    log = log_of("error")
    shift_of_errors(log)
    silence(log, 120 * MINUTE)
    for minute in (119, 120):
        for _ in range(batches):
            log.rows(3 // batches, MINUTE, minute * MINUTE)
    assert told_since(log, 2) == [("silence_over", "firing", [], 120)]


@pytest.mark.parametrize("method", ["adwin", "page_hinkley"])
def test_each_feature_is_a_stream_of_its_own(method):
    """`feature.*` watches every number that is sent; only the one that moved is told."""
    log, draw = log_of("feature.*", method=method, min_rows=200), np.random.default_rng(3)
    for step in range(10):
        moved = 5.0 if step > 4 else 0.0
        values = {"a": draw.normal(0, 1, 100), "b": draw.normal(moved, 1, 100)}
        log.rows(100, step, numeric={name: column.tolist() for name, column in values.items()})
    assert {(alert.feature, alert.condition) for alert in log.alerts()} == {("b", "firing")}


def test_a_version_is_watched_by_itself():
    """Another level of another version is no change of this one."""
    log, draw = log_of("score", min_rows=100), np.random.default_rng(4)
    for step in range(10):
        for version, level in (("1", 0.2), ("2", 0.8)):
            scores = np.clip(draw.normal(level, 0.05, 50), 0, 1)
            log.rows(50, step, version=version, score=scores.tolist())
    assert log.alerts() == []
    assert len(log.partition.models["team/model"].detectors) == 2


def test_nothing_is_fed_while_the_reference_is_learnt():
    """Without a scale there is no detector; rows of the learning span are not fed later either."""
    log = log_of("score", min_rows=100)
    log.rows(100, 0, score=[0.1, 0.9] * 50)
    model = log.partition.models["team/model"]
    assert model.detectors == {}
    log.rows(1, 1, score=[0.5])
    assert len(model.detectors) == 1


def test_labels_that_are_taken_back_are_not_fed_again():
    """A correction feeds the new answer once; the old one stays what the stream has seen."""
    log = log_of("error")
    predicted(log, [False] * 4)
    labelled(log, range(4), 1_000)
    log.labels(["0"], [0.0], 2_000)
    again = log_of("error")
    predicted(again, [False] * 5)
    labelled(again, range(4), 1_000)
    again.labels(["4"], [0.0], 2_000)
    states, others = (
        {key: live.dump() for key, live in one.partition.models["team/model"].detectors.items()}
        for one in (log, again)
    )
    assert states == others
    assert len(states) == 2


def test_a_changed_mix_of_classes_is_no_change_of_errors():
    """Labels of one class come late: errors of each class stay, and so does the alert.

    The model is right in 19 of 20 rows of class 0 and in 8 of 20 of class 1, whose labels come
    last. Together their errors rise from 5 to 60 %; a class by itself that gets worse is told.
    """
    log, draw = log_of("error"), np.random.default_rng(5)
    truth = draw.permutation(np.repeat([0, 1], 2_000))
    wrong = draw.random(4_000) < np.where(truth == 1, 0.6, 0.05)
    log.rows(4_000, 0, prediction=np.where(wrong, 1 - truth, truth).astype(float).tolist())
    for value in (0, 1):
        rows = np.flatnonzero(truth == value)
        log.labels([str(row) for row in rows], [float(value)] * len(rows), MINUTE)
    assert log.alerts() == []
    predicted(log, [True] * 400, 2 * MINUTE)
    (alert,) = alert_records(labelled(log, range(4_000, 4_400), 2 * MINUTE))
    assert alert.causes == ["went up where the truth is 1"]


def test_what_gets_better_does_not_lower_what_another_class_fires():
    """Errors of class 1 rise: those of class 0 may fall, only its own fall makes it information."""
    log = log_of("error")
    answers = [1.0] * 1_200 + [0.0] * 1_200 + [1.0] * 1_200
    log.rows(3_600, 0, prediction=answers)

    def label(first, end, value):
        """Labels of one class."""
        rows = [str(row) for row in range(first, end)]
        return alert_records(log.labels(rows, [value] * len(rows), MINUTE))

    label(0, 600, 0.0)
    label(600, 1_200, 1.0)
    (rise,) = label(1_200, 1_500, 1.0)
    assert (rise.severity, rise.causes) == ("warning", ["went up where the truth is 1"])
    assert label(1_500, 1_800, 0.0) == []
    (fall,) = label(2_400, 3_600, 1.0)
    assert (fall.severity, fall.reason) == ("info", "severity_lowered")


def test_many_classes_share_a_bounded_number_of_streams():
    """Of 30 true classes the first 20 have streams of their own, the others one together."""
    log = log_of("error")
    log.definition = replace(log.definition, model=ModelFacts(task="multiclass"))
    names = [f"c{number:02}" for number in range(30)]
    log.rows(30, 0, prediction=names)
    log.labels([str(row) for row in range(30)], names, MINUTE)
    assert len(log.partition.models["team/model"].detectors) == 21


def test_a_regression_has_no_errors_to_count():
    """Right or wrong is a word of classes; its residuals have figures of their own."""
    log = log_of("error")
    log.definition = replace(log.definition, model=ModelFacts(task="regression"))
    log.rows(2, 0, prediction=[1.0, 2.0])
    log.labels(["0", "1"], [3.0, 4.0], 1_000)
    assert log.partition.models["team/model"].detectors == {}
