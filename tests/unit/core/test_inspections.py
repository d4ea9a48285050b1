"""Windows that wait for inspectors: asked once, judged once and in order, never forgotten."""

import msgspec
import numpy as np
import pytest

from inferwatch.core import inspections, snapshot
from inferwatch.core.inspectors import ERROR_SLICE, INSPECTORS, Request
from inferwatch.inspect import ROWS
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Reference,
    Window,
)
from inferwatch.records.events import Inspection, MonitorChange, Pair, Slice
from inferwatch.testing.folding import Log

SECOND_MS = 1_000
ODD = Check(
    alert="Odd",
    metric="features",
    method="lof",
    window="batch",
    need=Need(rows=50),
    fail=Limit(direction="above", value=0.05, clear=0.05),
)
BATCH = Window(name="batch", rows=100)


def definition(checks=(ODD,), windows=(BATCH,), **reference):
    """Windows of 100 rows that `lof` reads, against the first 300 rows."""
    return Definition(
        model=ModelFacts(task="binary"),
        reference=Reference(**({"min_rows": 300} | reference)),
        windows=list(windows),
        checks=list(checks),
    )


def columns(n, seed=0):
    """Two features of n rows."""
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=n).tolist() for name in ("amount", "age")}


def send(log, n, at_s, **more):
    """n rows at a time."""
    return log.rows(n, at_s * SECOND_MS, numeric=columns(n, at_s), **more)


def learnt(**more):
    """A log whose reference is complete: three windows have closed while it was learnt."""
    log = Log(definition(**more))
    for at_s in range(3):
        send(log, 100, at_s)
    return log


def requests(outputs):
    """What was asked."""
    return [output for output in outputs if output.kind == "request"]


def answered(asked, value=0.5, **more):
    """An answer to a request."""
    request = msgspec.msgpack.decode(asked.value, type=Request)
    found = {"value": value, "n": 100, "reference_n": 300, "library": "test 1"} | more
    return Inspection(model=request.model, window=request.window, method=request.method, **found)


def waiting(log):
    """Windows that wait in the model."""
    return log.partition.models[log.model].state.waiting


def test_the_fold_knows_every_inspector():
    """The names that monitor files may use are those that there are."""
    assert tuple(INSPECTORS) == (*ROWS, ERROR_SLICE)


def test_a_request_has_the_rows_of_window_and_reference():
    """Whole rows, of the profile's features by name; those of the window are all its own."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    request = msgspec.msgpack.decode(asked.value, type=Request)
    assert (request.model, request.method, request.features) == (
        "team/model",
        "lof",
        ["age", "amount"],
    )
    sent = {tuple(row) for row in np.float32([*columns(100, 3).values()]).T[:, ::-1].tolist()}
    assert {tuple(row) for row in request.matrix(request.rows).tolist()} == sent
    assert request.matrix(request.reference).shape == (300, 2)
    first = np.float32([columns(100, 0)["age"], columns(100, 0)["amount"]]).T
    np.testing.assert_array_equal(request.matrix(request.reference)[:100], first)
    assert request.window == log.windows()[-1].id


def test_an_answer_is_judged_once():
    """The alert has the value, its window and what tells; a second answer is counted, not heard."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    assert not log.alerts()
    found = answered(asked, 0.5, features={"amount": 0.75, "age": 0.25})
    log.event(found, 4 * SECOND_MS)
    log.event(answered(asked, 0.01), 4 * SECOND_MS)
    (alert,) = log.alerts()
    assert (alert.alert, alert.condition, alert.value) == ("Odd", "firing", 0.5)
    assert (alert.window.start, alert.rows, alert.limit) == (300, 100, 0.05)
    assert alert.context == ["tells by amount (75 %), age (25 %)"]
    assert log.partition.counts.duplicate == {"inspection": 1}
    assert log.partition.counts.conserved() and not waiting(log)


def test_an_alert_says_in_words_where_the_window_is_new():
    """And which features no longer go together: phrases of its context."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    new = Slice(rule="amount > 512 and age ≤ 30", share=0.384, reference_share=0.04)
    pairs = [Pair(features=("age", "amount"), before=0.8, now=-0.125)]
    log.event(answered(asked, 0.5, slice=new, pairs=pairs), 4 * SECOND_MS)
    (alert,) = log.alerts()
    assert alert.context == [
        "correlation of age and amount 0.80 → −0.12",
        "new where amount > 512 and age ≤ 30: 38 % of rows, 4 % of the reference's",
    ]


def test_an_alert_on_labels_says_it_too():
    """That of a window whose labels come after the answer, across a checkpoint; no later one."""
    drop = msgspec.structs.replace(
        ODD,
        alert="Drop",
        metric="accuracy",
        method="value",
        need=Need(labels=100),
        fail=Limit(direction="below", value=0.5, clear=0.5),
    )
    log = Log(definition(checks=[ODD, drop]))
    for at_s in range(5):
        asked = requests(send(log, 100, at_s, prediction=["1"] * 100))
        new = Slice(rule="age > 30", share=0.5, reference_share=0.25) if at_s == 3 else None
        for one in asked:
            log.event(answered(one, 0.0, slice=new), at_s * SECOND_MS)
    pieces = snapshot.cut(log.partition.models[log.model])
    log.partition.models[log.model] = snapshot.load(pieces)
    labels = [*"1" * 300, *"0" * 100, *"1" * 100]
    log.labels([str(row) for row in range(500)], labels, 5 * SECOND_MS)
    fired, ended = log.alerts()
    assert (fired.alert, fired.condition, ended.condition) == ("Drop", "firing", "ok")
    assert "new where age > 30: 50 % of rows, 25 % of the reference's" in fired.context
    assert not any("new where" in phrase for phrase in ended.context)


@pytest.mark.parametrize(
    "changed", [{"window": "another"}, {"method": "one_class_svm"}], ids=["window", "method"]
)
def test_an_answer_to_nothing_changes_nothing(changed):
    """It is counted as a repeat, and the window still waits."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    log.event(msgspec.structs.replace(answered(asked), **changed), 4 * SECOND_MS)
    assert log.partition.counts.duplicate == {"inspection": 1}
    assert len(waiting(log)) == 1 and not log.alerts()


def test_windows_are_judged_in_order():
    """An answer that overtakes another waits for it."""
    log = learnt()
    first, second = (requests(send(log, 100, at_s))[0] for at_s in (3, 4))
    log.event(answered(second, 0.0), 5 * SECOND_MS)
    assert not log.alerts() and len(waiting(log)) == 2
    log.event(answered(first, 0.5), 6 * SECOND_MS)
    assert [(alert.condition, alert.window.start) for alert in log.alerts()] == [
        ("firing", 300),
        ("ok", 400),
    ]


def test_a_lost_answer_is_unknown_with_the_reason():
    """Five minutes of the log's time after it was asked, by a tick alone; later it is too late."""
    log = learnt()
    (first,) = requests(send(log, 100, 3))
    log.event(answered(first, 0.5), 4 * SECOND_MS)
    (lost,) = requests(send(log, 100, 5))
    model = log.partition.models[log.model]
    log.tick(5 * SECOND_MS + inspections.WAIT_MS - 1)
    assert len(waiting(log)) == 1
    log.tick(5 * SECOND_MS + inspections.WAIT_MS)
    assert not waiting(log)
    (instance,) = model.state.instances.values()
    assert instance.history[-1] == (400, "unknown") and instance.condition == "firing"
    log.event(answered(lost), 6 * SECOND_MS + inspections.WAIT_MS)
    assert log.partition.counts.duplicate == {"inspection": 1}


def test_so_many_wait_and_no_more(monkeypatch):
    """Beyond the cap the oldest is given up, and the windows after it stay in order."""
    monkeypatch.setattr(inspections, "WAITING_MAX", 2)
    log = learnt()
    asked = [requests(send(log, 100, 3 + at))[0] for at in range(3)]
    assert len(waiting(log)) == 2
    log.event(answered(asked[0]), 9 * SECOND_MS)
    assert log.partition.counts.duplicate == {"inspection": 1}
    log.event(answered(asked[1]), 9 * SECOND_MS)
    assert [alert.window.start for alert in log.alerts()] == [400]


def test_what_cannot_be_asked_says_why():
    """While the reference is learnt, and with fewer rows than the check needs, nobody is asked."""
    log = learnt()
    assert not requests(log.outputs) and not waiting(log)
    (instance,) = log.partition.models[log.model].state.instances.values()
    assert (instance.condition, instance.history) == ("learning", [(200, "learning")])
    few = learnt(checks=[msgspec.structs.replace(ODD, need=Need(rows=200))])
    assert not requests(send(few, 100, 3)) and not waiting(few)
    (instance,) = few.partition.models[few.model].state.instances.values()
    assert (instance.condition, instance.history) == ("unknown", [(300, "unknown")])


def test_more_features_than_inspectors_read_are_unknown(monkeypatch):
    """Nobody is asked, and the alert names the limit: it could only wait for ever."""
    monkeypatch.setattr(inspections, "COLUMNS_MAX", 1)
    log = learnt()
    assert not requests(send(log, 100, 3)) and not waiting(log)
    (instance,) = log.partition.models[log.model].state.instances.values()
    assert instance.condition == "unknown"
    assert instance.blind == "2 numeric features; inspectors read at most 1"


def test_a_profile_without_rows_is_unknown():
    """It was built before profiles kept rows."""
    profile = Profile(name="old", rows=100, from_ms=0, to_ms=1)
    log = Log(definition(profile=profile))
    assert not requests(send(log, 100, 0)) and not waiting(log)


def test_an_answer_without_a_value_is_unknown():
    """The inspector's reason is the window's."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    log.event(answered(asked, None, unknown="no columns"), 4 * SECOND_MS)
    (instance,) = log.partition.models[log.model].state.instances.values()
    assert instance.history == [(300, "unknown")]
    assert instance.condition == "unknown" and not log.alerts()


def test_one_answer_serves_all_checks_of_its_method():
    """Two limits on the same figure ask once; another method asks for itself."""
    strict = msgspec.structs.replace(
        ODD, alert="Strict", fail=Limit(direction="above", value=0.6, clear=0.6)
    )
    other = msgspec.structs.replace(ODD, alert="Other", method="one_class_svm")
    log = learnt(checks=[ODD, strict, other])
    asked = requests(send(log, 100, 3))
    assert [output.id.split("-")[1] for output in asked] == ["lof", "one_class_svm"]
    log.event(answered(asked[0], 0.5), 4 * SECOND_MS)
    assert [alert.alert for alert in log.alerts()] == ["Odd"]


def test_the_state_asks_again_what_it_asked():
    """Saved and read back while a window waits: the same request, and its answer is taken."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    model = log.partition.models[log.model]
    pieces = snapshot.cut(model)
    again = log.partition.restore(pieces)
    assert snapshot.cut(again) == pieces and log.partition.asked() == [asked]
    assert log.partition.waits(asked)
    log.event(answered(asked), 4 * SECOND_MS)
    assert not log.partition.waits(asked) and len(log.alerts()) == 1
    assert "waiting" not in snapshot.cut(again)


@pytest.mark.parametrize("sizes", [[100], [50, 50], [30, 30, 40], [1] * 100])
def test_batches_do_not_show(sizes):
    """A window's request is the same bytes however its rows were sent."""

    def folded(sizes):
        log, asked = learnt(), []
        values, first = columns(100, 3), 0
        for size in sizes:
            part = {name: column[first : first + size] for name, column in values.items()}
            asked += requests(log.rows(size, 3 * SECOND_MS, numeric=part))
            first += size
        return [(output.id, output.value) for output in asked]

    assert folded(sizes) == folded([100]) != []


def test_hopping_windows_merge_their_samples():
    """Each window of two panes asks about the rows of both."""
    hopping = Window(name="slow", size_ms=2_000, step_ms=1_000, grace_ms=0)
    log = learnt(windows=[hopping], checks=[msgspec.structs.replace(ODD, window="slow")])
    outputs = [output for at_s in range(3, 7) for output in send(log, 100, at_s)]
    sizes = [len(msgspec.msgpack.decode(one.value, type=Request).rows) for one in requests(outputs)]
    assert sizes[-1] == 200 * 2 * 4


def test_a_window_that_nobody_inspects_keeps_no_rows():
    """Others pay nothing; a check that is added starts its window anew."""
    plain = Check(
        alert="Errors",
        metric="error_rate",
        window="batch",
        fail=Limit(direction="above", value=0.5, clear=0.5),
    )
    log = Log(definition([plain]))
    for at_s in range(3):
        send(log, 100, at_s)
    send(log, 50, 3)
    (track,) = log.partition.models[log.model].state.tracks["batch"].values()
    assert all(pane.cells[""].sample is None for pane in track.panes.values())
    log.event(MonitorChange(model=log.model, definition=definition([plain, ODD])), 4 * SECOND_MS)
    outputs = send(log, 150, 5)
    assert not requests(outputs)  # its reference kept no rows
    (instance,) = [
        one
        for one in log.partition.models[log.model].state.instances.values()
        if one.alert == "Odd"
    ]
    assert instance.condition == "unknown"


def test_a_changed_window_forgets_what_waits():
    """Its answer would be about a window that is defined no more."""
    log = learnt()
    (asked,) = requests(send(log, 100, 3))
    changed = definition(windows=[Window(name="batch", rows=200)])
    log.event(MonitorChange(model=log.model, definition=changed), 4 * SECOND_MS)
    assert not waiting(log)
    log.event(answered(asked), 5 * SECOND_MS)
    assert log.partition.counts.duplicate == {"inspection": 1}
