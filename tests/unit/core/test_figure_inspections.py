"""Inspectors of a window's own figures: asked with its past, answered, judged, never forgotten."""

import msgspec
import numpy as np
import pytest

from inferwatch.core import past, snapshot
from inferwatch.core.inspectors import OF_FIGURES, Request
from inferwatch.inspect import OUTLIERS, in_place
from inferwatch.records.decode import decode
from inferwatch.records.definition import Check, Definition, Limit, Need, Reference, Window
from inferwatch.records.events import Inspection, MonitorChange, ReferenceChange, Resource
from inferwatch.testing.builders import TIME_MS, raw_inference
from inferwatch.testing.folding import Log, alert_records

SECOND_MS = 1_000
LIMIT = Limit(direction="above", value=0.99, clear=0.99)
ODD = Check(
    alert="OddWindow",
    metric="figures",
    method="lof",
    window="batch",
    need=Need(rows=50),
    fail=LIMIT,
)
BATCH = Window(name="batch", rows=50)
FIRST = past.WINDOWS_MIN + past.APART


def definition(*checks, min_rows=100_000):
    """Windows of 50 rows; the reference is learnt for longer than there are any."""
    return Definition(
        reference=Reference(min_rows=min_rows), windows=[BATCH], checks=list(checks or (ODD,))
    )


def columns(number):
    """Latencies and errors of one window of 50 rows, usual ones."""
    draw = np.random.default_rng(number)
    return {
        "latency_ms": draw.gamma(4.0, 10.0, 50).tolist(),
        "error": ["E" if one else None for one in draw.random(50) < 0.1],
    }


def send(log, number, **more):
    """One window."""
    return log.rows(50, number * SECOND_MS, **(columns(number) | more))


@pytest.fixture
def short(monkeypatch):
    """A past of three windows is enough, and two stand apart."""
    monkeypatch.setattr(past, "WINDOWS_MIN", 3)
    monkeypatch.setattr(past, "APART", 2)


def grown(*checks, n=5):
    """A log with so many windows."""
    log = Log(definition(*checks))
    for number in range(n):
        send(log, number)
    return log


def requests(outputs):
    """What was asked."""
    return [output for output in outputs if output.kind == "request"]


def read(asked):
    """A request."""
    return msgspec.msgpack.decode(asked.value, type=Request)


def answered(asked, value, **more):
    """Its answer."""
    request = read(asked)
    names = {"model": request.model, "window": request.window, "method": request.method}
    return Inspection(metric=request.metric, value=value, n=1, **names, **more)


def state(log):
    """The model's."""
    return log.partition.models[log.model].state


def test_the_fold_knows_the_inspectors_of_figures():
    """The names that monitor files may use are those that there are."""
    assert tuple(OUTLIERS) == OF_FIGURES


@pytest.mark.usefixtures("short")
def test_a_request_has_the_figures_of_this_window_and_of_past_ones():
    """Those of the window's record, by name; the two windows before it stand apart."""
    log = grown()
    assert not requests(log.outputs)
    (asked,) = requests(send(log, 5))
    request, records = read(asked), log.windows()
    assert (request.metric, request.method, request.window) == ("figures", "lof", records[-1].id)
    assert asked.id == f"{request.window}-lof-figures"
    assert {"error_rate", "latency.p99", "rows"} <= set(request.features)
    wanted = [[one.metrics[name] for name in request.features] for one in records]
    np.testing.assert_allclose(request.matrix(request.rows), wanted[-1:], rtol=1e-6)
    np.testing.assert_allclose(request.matrix(request.reference), wanted[:3], rtol=1e-6)


@pytest.mark.usefixtures("short")
def test_an_answer_is_judged_once_and_says_which_figures():
    """The alert has the share and the figures that deviate; a repeated answer is not heard."""
    log = grown()
    (asked,) = requests(send(log, 5))
    found = answered(asked, 0.995, figures={"latency.p99": 9.25, "cpu": -12.0})
    log.event(found, 6 * SECOND_MS)
    log.event(found, 6 * SECOND_MS)
    (alert,) = log.alerts()
    assert (alert.alert, alert.condition, alert.value) == ("OddWindow", "firing", 0.995)
    assert (alert.limit, alert.window.start) == (0.99, 250)
    told = "figures farthest from past windows: cpu (-12 sd), latency.p99 (+9.25 sd)"
    assert told in alert.context
    assert alert.reference_span == "the windows before"
    assert log.partition.counts.duplicate == {"inspection": 1}
    send(log, 6)
    assert len(state(log).waiting) == 1


def test_it_learns_until_there_is_a_past():
    """Nobody is asked before 120 windows have closed; then the next one is."""
    log = grown(n=FIRST)
    (instance,) = state(log).instances.values()
    assert instance.condition == "learning" and not requests(log.outputs)
    assert len(requests(send(log, FIRST))) == 1


@pytest.mark.usefixtures("short")
def test_rows_and_figures_of_a_window_are_asked_about_apart():
    """The same method reads both: two requests, and each answer goes to its own check."""
    rows = msgspec.structs.replace(ODD, alert="Rows", metric="features")
    log = Log(definition(ODD, rows, min_rows=250))
    for number in range(6):
        outputs = send(log, number, numeric={"x": np.arange(50.0).tolist()})
    figures, features = requests(outputs)
    assert (read(figures).metric, read(features).metric) == ("figures", "features")
    log.event(answered(features, 1.0), 9 * SECOND_MS)
    assert [alert.alert for alert in log.alerts()] == ["Rows"]
    log.event(answered(figures, 1.0), 9 * SECOND_MS)
    assert [alert.alert for alert in log.alerts()] == ["Rows", "OddWindow"]


@pytest.mark.usefixtures("short")
def test_figures_that_nobody_had_say_nothing():
    """A gauge that begins, and latencies that end, are left out; without a common past: unknown."""
    log = grown()
    sample = Resource(
        model=log.model, version="1", instance="i", time_ms=log.start_ms + 5_000, cpu=0.9
    )
    log.rows(25, 5_000)
    log.event(sample, 5_000)
    (asked,) = requests(log.rows(25, 5_000))
    assert "cpu" in log.windows()[-1].metrics
    assert not {"cpu", "latency.p99"} & set(read(asked).features)
    with_gap = Log(definition())
    for number in range(14):
        outputs = send(with_gap, number, **({"latency_ms": None} if number % 2 else {}))
    (asked,) = requests(outputs)
    assert "latency.p99" not in read(asked).features


@pytest.mark.usefixtures("short")
def test_a_window_of_few_rows_is_neither_judged_nor_kept():
    """Its figures are noise: it is no past of others."""
    log = grown(msgspec.structs.replace(ODD, need=Need(rows=51)), n=8)
    assert not requests(log.outputs) and state(log).tracks["batch"]["1"].past is None
    (instance,) = state(log).instances.values()
    assert instance.condition == "unknown"


@pytest.mark.usefixtures("short")
def test_the_state_has_the_past_and_asks_again():
    """Saved and read back: the same bytes, the same request, and the next window's too."""
    log, other = grown(), grown()
    (asked,) = requests(send(log, 5))
    send(other, 5)
    pieces = snapshot.cut(log.partition.models[log.model])
    assert "past/batch/1" in pieces
    again = log.partition.restore(pieces)
    assert snapshot.cut(again) == pieces and log.partition.asked() == [asked]
    assert log.partition.waits(asked)
    assert requests(send(log, 6)) == requests(send(other, 6)) != []


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("sizes", [[50], [20, 30], [1] * 50])
def test_batches_do_not_show(sizes):
    """A request is the same bytes however the rows of its window were sent."""
    whole, cut = grown(), grown()
    wanted, asked, first = requests(send(whole, 5)), [], 0
    for size in sizes:
        part = {name: one[first : first + size] for name, one in columns(5).items()}
        asked += requests(cut.rows(size, 5 * SECOND_MS, **part))
        first += size
    assert [(one.id, one.value) for one in asked] == [(one.id, one.value) for one in wanted] != []


@pytest.mark.usefixtures("short")
def test_the_past_goes_with_its_check_and_its_reference():
    """Without a check nothing is kept; after a reset of the reference it is gathered anew."""
    for event in (
        MonitorChange(model="team/model", definition=definition(plain(), min_rows=50)),
        ReferenceChange(model="team/model", action="reset", time_ms=TIME_MS),
    ):
        log = Log(definition(min_rows=50))
        for number in range(3):
            send(log, number)
        assert state(log).tracks["batch"]["1"].past is not None
        log.event(event, 6 * SECOND_MS)
        assert state(log).tracks["batch"]["1"].past is None


def plain():
    """A check that no inspector answers."""
    return Check(alert="Errors", metric="error_rate", window="batch", fail=LIMIT)


@pytest.mark.parametrize("method", ["isolation_forest", "lof", "one_class_svm"])
def test_an_odd_window_is_found_among_usual_ones(method):
    """With the real inspectors: slow answers and errors together fire and are named, the window
    before and after them does not; what computed it is in the answer.
    """
    log = grown(msgspec.structs.replace(ODD, method=method), n=FIRST)
    slow = {"latency_ms": [400.0 + at for at in range(50)], "error": ["E"] * 20 + [None] * 30}
    outputs = []
    for number, more in enumerate([{}, slow, {}], FIRST):
        raw = raw_inference(
            n=50,
            model=log.model,
            offset=number + 1_000,
            ids=[f"{number}/{row}" for row in range(50)],
            time_ms=[log.start_ms + number * SECOND_MS] * 50,
            record_time_ms=log.start_ms + number * SECOND_MS,
            **(columns(number) | more),
        )
        outputs += in_place.fold(log.partition, raw, decode(raw))
    first, *rest = alert_records(outputs)
    assert (first.condition, first.window.start) == ("firing", 50 * (FIRST + 1))
    assert [one.condition for one in rest] == ["ok"]
    (told,) = [one for one in first.context if one.startswith("figures farthest")]
    assert "latency" in told
