"""Rows that wait for their labels: asked about once, with the right errors, and told by alerts."""

import re

import msgspec
import numpy as np
import pytest

from inferwatch.core import error_rows, inspections, snapshot
from inferwatch.core.inspectors import ERROR_SLICE, Request
from inferwatch.inspect.answer import answer
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.events import ErrorSlice, Inspection, MonitorChange
from inferwatch.testing.folding import Log

SECOND_MS = 1_000
ROWS = 250
WHERE = Check(
    alert="Where",
    metric="errors",
    method="error_slice",
    window="batch",
    need=Need(rows=100),
    fail=Limit(direction="above", value=0.1, clear=0.1),
)
DROP = Check(
    alert="Drop",
    metric="accuracy",
    window="batch",
    fail=Limit(direction="below", value=0.9, clear=0.9),
)
BATCH = Window(name="batch", rows=ROWS)
THERE = ErrorSlice(
    rule="age ≤ 30",
    rows=120,
    share=0.24,
    error_rate=0.41,
    before=0.125,
    elsewhere=0.09,
    elsewhere_before=0.08,
)
TOLD = "errors where age ≤ 30: 41 % of 120 rows, 12 % before; elsewhere 9 %, 8 % before"


def definition(checks=(DROP, WHERE), windows=(BATCH,), task="binary", **facts):
    """Windows of 250 rows in which errors are looked for; Drop stands first in the file."""
    return Definition(
        model=ModelFacts(task=task, **facts),
        reference=Reference(min_rows=300),
        windows=list(windows),
        checks=list(checks),
    )


def columns(at, n=ROWS):
    """Two features of the n rows of a window."""
    draw = np.random.default_rng(at)
    return {name: draw.normal(size=n).tolist() for name in ("amount", "age")}


def predict(log, at, n=ROWS, **more):
    """One window's rows, all predicted "1"."""
    more = {"prediction": ["1"] * n} | more
    return log.rows(n, at * SECOND_MS, numeric=columns(at, n), **more)


def label(log, at, wrong, n=ROWS, **more):
    """The labels of that window, of which the first ones say that the prediction was wrong."""
    ids = [str(at * ROWS + row) for row in range(n)]
    return log.labels(ids, ["0"] * wrong + ["1"] * (n - wrong), at * SECOND_MS, **more)


def requests(outputs):
    """What was asked."""
    return [
        msgspec.msgpack.decode(output.value, type=Request)
        for output in outputs
        if output.kind == "request"
    ]


def answered(request, value=0.3, errors=THERE, **more):
    """An answer to a request."""
    return Inspection(
        model=request.model,
        window=request.window,
        method=request.method,
        metric=request.metric,
        value=value,
        errors=errors,
        **more,
    )


def usual(windows=4, **more):
    """A log of past windows whose labels have come: each gives 50 rows to hold new ones against."""
    log = Log(definition(**more))
    for at in range(windows):
        predict(log, at)
        for request in requests(label(log, at, wrong=5)):
            log.event(answered(request, 0.0, None), at * SECOND_MS)
    return log


def the_model(log):
    """The one model of a log."""
    return log.partition.models[log.model]


def test_a_window_is_asked_about_when_its_labels_have_come():
    """The request has the error of each row beside its features; those of windows before are as
    they turned out, fifty of each.
    """
    log = usual(5)
    assert not requests(predict(log, 5))
    (request,) = requests(label(log, 5, wrong=40))
    assert (request.metric, request.method) == ("errors", ERROR_SLICE)
    assert request.features == ["wrong", "amount", "age"]
    rows = request.matrix(request.rows)
    sent = np.float32([*columns(5).values()]).T
    wanted = np.column_stack([np.arange(ROWS) < 40, sent])
    assert sorted(rows.tolist()) == sorted(wanted.astype(np.float32).tolist())
    before = request.matrix(request.reference)
    assert before.shape == (5 * 50, 3)
    known = np.concatenate([np.float32([*columns(at).values()]).T for at in range(5)])
    wrong = {tuple(row): at % ROWS < 5 for at, row in enumerate(known.tolist())}
    assert all(wrong[tuple(row)] == error for error, *row in before.tolist())


def test_alerts_on_labels_wait_for_the_answer_and_tell_it():
    """Also where their check stands before the other in the file; the answer is judged too."""
    log = usual()
    predict(log, 4)
    (request,) = requests(label(log, 4, wrong=60))
    assert not log.alerts()
    log.event(answered(request), 5 * SECOND_MS)
    where, drop = log.alerts()
    assert (where.alert, where.value, where.condition) == ("Where", 0.3, "firing")
    assert (drop.alert, drop.condition, drop.value) == ("Drop", "firing", 0.76)
    assert TOLD in where.context and TOLD in drop.context


def test_a_planted_place_is_told():
    """From rows and labels to the words, by the inspector itself: wrong where age is above 1."""
    log = usual(8)
    predict(log, 8)
    ids = [str(8 * ROWS + row) for row in range(ROWS)]
    words = ["0" if age > 0.6 else "1" for age in columns(8)["age"]]
    (asked,) = (one for one in log.labels(ids, words, 8 * SECOND_MS) if one.kind == "request")
    log.event(msgspec.json.decode(answer(asked.value), type=Inspection), 9 * SECOND_MS)
    where, drop = log.alerts()
    assert where.value > 0.5 and (where.alert, drop.alert) == ("Where", "Drop")
    (told,) = (one for one in drop.context if one.startswith("errors where "))
    assert re.match(r"errors where age > 0\.[4-8]\d* ?.*: \d+ % of \d+ rows, ", told)


def test_another_window_is_not_told_of_it():
    """Nor one whose answer named no place."""
    log = usual()
    predict(log, 4)
    (request,) = requests(label(log, 4, wrong=60))
    log.event(answered(request, 0.0, None), 5 * SECOND_MS)
    predict(log, 5)
    (request,) = requests(label(log, 5, wrong=5))
    log.event(answered(request, 0.0, None), 5 * SECOND_MS)
    fired, ended = log.alerts()
    assert (fired.condition, ended.condition) == ("firing", "ok")
    assert not any("errors where" in phrase for one in (fired, ended) for phrase in one.context)


def test_without_an_answer_alerts_wait_five_minutes():
    """Then they say what they know, and the check itself is unknown with the reason."""
    log = usual()
    predict(log, 4)
    label(log, 4, wrong=60)
    log.tick(4 * SECOND_MS + inspections.WAIT_MS - 1)
    assert not log.alerts()
    log.tick(4 * SECOND_MS + inspections.WAIT_MS)
    (drop,) = log.alerts()
    assert drop.alert == "Drop" and not any("errors where" in one for one in drop.context)
    where = [one for one in the_model(log).state.instances.values() if one.alert == "Where"]
    assert [one.condition for one in where] == ["unknown"]


def test_few_past_rows_are_learnt_first():
    """Four windows have their fifty rows each, and nobody is asked about them."""
    log = Log(definition())
    asked = []
    for at in range(5):
        predict(log, at)
        asked.append(len(requests(label(log, at, wrong=5))))
        where = [one for one in the_model(log).state.instances.values() if one.alert == "Where"]
        assert at == 4 or [one.condition for one in where] == ["learning"]
    assert asked == [0, 0, 0, 0, 1]


def test_the_past_is_the_last_twenty_windows():
    """Fifty rows of each, whatever their number."""
    log = usual(23)
    predict(log, 23)
    (request,) = requests(label(log, 23, wrong=5))
    before = request.matrix(request.reference)
    assert before.shape == (1_000, 3)
    first = {tuple(row) for row in np.float32([*columns(3).values()]).T.tolist()}
    assert all(tuple(row) in first for row in before[:50, 1:].tolist())


def test_a_window_whose_labels_do_not_come_is_not_asked_about():
    """Checks are judged at its deadline as without it, and none of its rows is kept."""
    log = usual(label_wait_ms=10 * SECOND_MS)
    predict(log, 4)
    label(log, 4, wrong=60, n=100)
    outputs = predict(log, 30)
    assert not requests(outputs)
    where = [one for one in the_model(log).state.instances.values() if one.alert == "Where"]
    assert [one.condition for one in where] == ["unknown"]
    (track,) = the_model(log).state.tracks["batch"].values()
    assert [*track.kept] == [5 * ROWS] and track.before.shape == (3, 4 * 50)


def test_so_many_windows_keep_their_rows():
    """The next one says so, in its turn."""
    log = usual(4)
    for at in range(4, 5 + error_rows.KEPT_MAX):
        predict(log, at)
    (track,) = the_model(log).state.tracks["batch"].values()
    assert len(track.kept) == error_rows.KEPT_MAX
    for at in range(4, 5 + error_rows.KEPT_MAX):
        for request in requests(label(log, at, wrong=5)):
            log.event(answered(request, 0.0, None), 60 * SECOND_MS)
    asked = [closed.errors.unknown for closed in track.closed.values()]
    assert asked == ["learning"] * 4 + [""] * error_rows.KEPT_MAX + [error_rows.NOT_KEPT]
    (where,) = (one for one in the_model(log).state.instances.values() if one.alert == "Where")
    assert where.condition == "unknown" and not track.kept


def test_errors_of_numbers_are_their_size():
    """By how much each was missed, either way."""
    log = Log(definition([WHERE], task="regression"))
    for at in range(5):
        values = np.arange(ROWS, dtype=np.float64)
        predict(log, at, prediction=values.tolist())
        ids = [str(at * ROWS + row) for row in range(ROWS)]
        truth = values + np.where(np.arange(ROWS) % 2, 3.0, -4.0)
        outputs = log.labels(ids, truth.tolist(), at * SECOND_MS)
    (request,) = requests(outputs)
    assert request.features[0] == "missed_by"
    errors, counts = np.unique(request.matrix(request.rows)[:, 0], return_counts=True)
    assert errors.tolist() == [3.0, 4.0] and counts.tolist() == [125, 125]


def test_a_corrected_label_counts_as_corrected():
    """Before the window was asked about; what comes later changes no request."""
    log = usual()
    predict(log, 4)
    label(log, 4, wrong=100, n=150)
    log.labels([str(4 * ROWS + row) for row in range(50)], ["1"] * 50, 4 * SECOND_MS + 1)
    ids = [str(4 * ROWS + row) for row in range(150, ROWS)]
    (request,) = requests(log.labels(ids, ["1"] * 100, 4 * SECOND_MS + 2))
    assert request.matrix(request.rows)[:, 0].sum() == 50


def test_labels_that_were_first_count_as_any():
    """Those that came before their predictions: the window is asked about as it closes."""
    log = usual()
    label(log, 4, wrong=60)
    (request,) = requests(predict(log, 4))
    assert request.matrix(request.rows)[:, 0].sum() == 60


def test_windows_that_overlap_have_the_errors_of_both_panes():
    """Each row in every window that holds it."""
    hopping = Window(name="batch", size_ms=2_000, step_ms=1_000, grace_ms=0)
    log, asked = Log(definition(windows=[hopping])), []
    for at in range(9):
        outputs = predict(log, at) + label(log, at, wrong=10 * at)
        for request in requests(outputs):
            asked.append(request.matrix(request.rows)[:, 0])
            log.event(answered(request, 0.0, None), at * SECOND_MS)
    assert [(len(errors), errors.sum()) for errors in asked[-2:]] == [(500, 110), (500, 130)]


def test_each_version_has_a_past_of_its_own():
    """A version without one is not held against another's."""
    log = usual()
    predict(log, 4, version="2")
    assert not requests(label(log, 4, wrong=60))
    one, two = (tracks.before for tracks in the_model(log).state.tracks["batch"].values())
    assert one.shape == (3, 200) and two.shape == (3, 50)


def test_a_column_that_comes_later_is_missing_before():
    """Rows of windows before lack it."""
    log = usual()
    new = {"numeric": columns(4) | {"plan": [2.0] * ROWS}}
    log.rows(ROWS, 4 * SECOND_MS, prediction=["1"] * ROWS, **new)
    (request,) = requests(label(log, 4, wrong=5))
    assert request.features == ["wrong", "amount", "age", "plan"]
    assert np.isnan(request.matrix(request.reference)[:, 3]).all()
    assert (request.matrix(request.rows)[:, 3] == 2.0).all()


@pytest.mark.parametrize("when", ["waiting for labels", "waiting for the answer"])
def test_the_state_knows_what_waits(when):
    """Saved and read back, it asks the same and tells the same."""
    log = usual()
    predict(log, 4)
    if when == "waiting for the answer":
        label(log, 4, wrong=60)
    pieces = snapshot.cut(the_model(log))
    again = log.partition.restore(pieces)
    assert snapshot.cut(again) == pieces
    if when == "waiting for labels":
        label(log, 4, wrong=60)
    (asked,) = log.partition.asked()
    (request,) = requests([asked])
    log.event(answered(request), 5 * SECOND_MS)
    assert all(TOLD in alert.context for alert in log.alerts()) and len(log.alerts()) == 2


@pytest.mark.parametrize("sizes", [[125, 125], [1, 100, 149], [50] * 5])
def test_batches_do_not_show(sizes):
    """Rows and labels in any batches: the same request when all labels are there."""
    whole = msgspec.structs.replace(WHERE, need=Need(rows=100, coverage=1.0))

    def folded(sizes):
        log, asked = usual(checks=[whole]), []
        ends = np.cumsum(sizes).tolist()
        for first, end in zip([0, *ends], ends, strict=False):
            part = {name: column[first:end] for name, column in columns(4).items()}
            log.rows(end - first, 4 * SECOND_MS, numeric=part, prediction=["1"] * (end - first))
        for first, end in zip([0, *ends], ends, strict=False):
            ids = [str(4 * ROWS + row) for row in range(first, end)]
            words = ["0" if row < 60 else "1" for row in range(first, end)]
            asked += [
                one.value for one in log.labels(ids, words, 5 * SECOND_MS) if one.kind == "request"
            ]
        (track,) = the_model(log).state.tracks["batch"].values()
        return asked, track.before.tolist()

    assert folded(sizes) == folded([ROWS]) and len(folded(sizes)[0]) == 1


def test_a_check_that_is_gone_keeps_nothing():
    """What waits for its answer, rows and past alike; the other check is judged at once."""
    log = usual()
    predict(log, 4)
    label(log, 4, wrong=60)
    predict(log, 5)
    log.event(MonitorChange(model=log.model, definition=definition([DROP])), 6 * SECOND_MS)
    (track,) = the_model(log).state.tracks["batch"].values()
    assert not track.kept and track.before is None and not the_model(log).state.waiting
