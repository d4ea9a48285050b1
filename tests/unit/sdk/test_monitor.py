"""A monitor never disturbs its host: no raise, no wait, no thread or import before it is needed."""

import logging
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferwatch.sdk import monitor as module


class Hostile:
    """Whatever is asked of it fails."""

    def _fail(self, *_):
        raise RuntimeError("hostile")

    __str__ = __repr__ = __float__ = __len__ = __iter__ = __eq__ = __getattr__ = _fail
    __hash__ = object.__hash__


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**300, 10**400),
    st.floats(),
    st.text(),
    st.binary(max_size=5),
    st.datetimes(),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), st.floats(), max_size=3),
    st.just(np.zeros(2)),
    st.just(np.datetime64("NaT")),
    st.just("\ud800"),
    st.just(complex(1)),
    st.builds(Hostile),
)
named = st.dictionaries(st.text(max_size=4), junk, max_size=4)
anything = st.one_of(junk, named)


def law(monitor):
    counters = monitor.counters
    assert (
        counters.emitted == counters.delivered + sum(counters.dropped.values()) + counters.pending
    )
    return counters


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["log", "log_batch"]),
            anything,
            st.lists(anything, min_size=11, max_size=11),
        ),
        max_size=4,
    )
)
def test_answers_of_any_kind_never_raise_and_never_break_a_batch(wire, calls):
    """Junk in every argument ends as a sent row or a counted one; packing itself never fails."""
    monitor = wire.monitor()
    for door, features, (
        prediction,
        proba,
        timestamp,
        entity,
        latency,
        error,
        segments,
        key,
        names,
        llm,
        embedding,
    ) in calls:
        more = {"names": names} if door == "log_batch" else {}
        getattr(monitor, door)(
            features,
            prediction,
            proba,
            timestamp=timestamp,
            entity_id=entity,
            latency_ms=latency,
            error=error,
            segments=segments,
            prediction_id=key,
            llm=llm,
            embedding=embedding,
            **more,
        )
    wire.drain(monitor)
    counters = law(monitor)
    assert counters.pending == 0
    assert set(counters.dropped) <= {"bad_row"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(named, min_size=1, max_size=8))
def test_odd_feature_values_do_not_cost_the_row(wire, rows):
    """Each mapping with text names is sent as a row, whatever its values are."""
    monitor = wire.monitor()
    wire.records.clear()
    for row in rows:
        monitor.log(row)
    assert sum(batch.rows for batch in wire.drain(monitor)) == len(rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"features": [1, 2, 3]}, "features is a list, not a mapping of names to values"),
        ({"prediction": [1]}, "prediction is a list, not a number, a text or a truth value"),
        ({"proba": {"a": [0.1]}}, "proba is a dict, not a number or a mapping of class to number"),
        ({"latency_ms": object()}, "latency_ms is a object, not a number"),
        ({"segments": ["DE"]}, "segments is a list, not a mapping of names to numbers"),
        ({"entity_id": {}}, "entity_id is a dict, not a number or a text"),
        ({"llm": 3}, "llm is a int, not a mapping"),
        ({"timestamp": 0.5}, "timestamp is a float, not a datetime or integer ms"),
        ({"prediction": float("inf")}, "an answer, a score, the latency"),
    ],
)
def test_the_argument_that_cost_a_row_is_named(wire, caplog, arguments, said):
    """What it was and what it is to be, in the one warning; the value itself is not quoted."""
    monitor = wire.monitor()
    monitor.log(**arguments)
    assert monitor.counters.dropped == {"bad_row": 1}
    assert f"rows dropped, bad_row: {said}" in caplog.text


def test_a_misspelt_argument_raises_at_once(wire):
    """As in any Python, at the call that has it: a block that is timed does not begin."""
    monitor = wire.monitor()
    for call in (monitor.log, monitor.log_batch, monitor.timed):
        with pytest.raises(TypeError, match="probability"):
            call(probability=0.5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(anything, anything, anything, anything)
def test_labels_and_deploys_of_any_kind_never_raise(wire, key, label, timestamp, version):
    """Junk labels are counted as `bad_row`, junk versions are words."""
    monitor = wire.monitor()
    monitor.log_label(key, label, timestamp, version)
    monitor.log_labels(key, label, timestamp, version)
    monitor.deploy(version)
    wire.drain(monitor)
    assert law(monitor).pending == 0
    assert set(monitor.counters.dropped) <= {"bad_row"}


@settings(deadline=None)
@given(anything, anything, anything, anything)
def test_construction_never_raises(model, version, include, segments):
    """Whatever it is told, a monitor is made; at worst it says once that it sends nothing."""
    made = module.Monitor(model, version, include=include, segments=segments)
    assert isinstance(made.log({"a": 1}), str)


def test_what_could_not_be_sent_is_counted_as_not_delivered(wire):
    """The broker's refusal moves rows from pending to dropped and is told once."""
    monitor = wire.monitor()
    wire.answer = "Broker: Not authorised"
    for _ in range(1_200):
        monitor.log({"a": 1.0})
    wire.drain(monitor)
    counters = law(monitor)
    assert (counters.delivered, counters.dropped) == (0, {"not_delivered": 1_200})
    wire.answer = None
    monitor.log({"a": 1.0})
    assert wire.drain(monitor)[-1].dropped == {"not_delivered": 1_200}


def test_after_close_rows_are_refused_and_counted(wire):
    """`closed` is a reason like any other; closing twice is no error."""
    monitor = wire.monitor()
    monitor.log({"a": 1.0})
    wire.drain(monitor)
    assert monitor.close(0) and monitor.close(0)
    monitor.log({"a": 2.0})
    monitor.log_batch({"a": [1.0, 2.0]})
    assert law(monitor).dropped == {"closed": 3}


def test_the_bound_holds_for_rows_and_for_memory(wire):
    """A burst beyond the buffer is `queue_full`; what was there first is what arrives."""
    monitor = wire.monitor(buffer_rows=1_000)
    ids = [monitor.log({"a": n}) for n in range(1_500)]
    assert law(monitor).dropped == {"queue_full": 500}
    batches = wire.drain(monitor)
    assert b"".join(batch.ids.data for batch in batches).decode() == "".join(ids[:1_000])
    small = wire.monitor(buffer_bytes=1 << 20)
    for _ in range(100):
        small.log({"note": "x" * 100_000})
    assert small.counters.pending == 10


def test_a_full_batch_wakes_the_sender_and_a_single_row_does_not(wire):
    """The caller pays for waking a thread once in 500 rows."""
    monitor = wire.monitor()
    for _ in range(499):
        monitor.log({"a": 1.0})
    assert wire.woken == 0
    monitor.log({"a": 1.0})
    assert wire.woken == 1


def test_a_deploy_divides_the_rows_of_two_versions(wire):
    """Rows before carry the old version, the deploy record stands between, later rows the new."""
    monitor = wire.monitor(version="12")
    monitor.log({"a": 1.0})
    monitor.deploy("13", note="retrained")
    monitor.log({"a": 2.0})
    monitor.deploy("12", rollback=True)
    old, deploy, new, back = wire.drain(monitor)
    assert [old.version, deploy.version, new.version, back.version] == ["12", "13", "13", "12"]
    assert [deploy.kind, deploy.note, back.kind] == ["deploy", "retrained", "rollback"]


def test_a_timed_call_logs_its_latency_and_passes_the_exception_on(wire):
    """Latency is measured, the exception's class is the error, its message stays at home."""
    monitor = wire.monitor()
    with monitor.timed({"a": 1.0}, segments={"country": "DE"}) as call:
        call.prediction, call.proba = 1, 0.9
    with pytest.raises(ZeroDivisionError), monitor.timed({"a": 2.0}) as failed:
        failed.prediction = 1 // 0
    (batch,) = wire.drain(monitor)
    assert batch.ids.data.decode() == call.id + failed.id
    assert np.all(np.frombuffer(batch.latency_ms, "<f4") > 0)
    assert batch.error.words == ["ZeroDivisionError"]
    assert np.frombuffer(batch.error.codes, "<i4").tolist() == [-1, 0]
    assert batch.segments["country"].words == ["DE"]


def test_threads_share_a_monitor_without_losing_a_row(wire):
    """Eight threads at once: every id once, every row counted."""
    import threading

    monitor = wire.monitor()
    ids = []
    threads = [
        threading.Thread(target=lambda: ids.extend([monitor.log({"a": n}) for n in range(1_000)]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches = wire.drain(monitor)
    assert len(set(ids)) == sum(batch.rows for batch in batches) == 8_000
    assert law(monitor).delivered == 8_000


def test_without_a_broker_it_warns_once_and_does_nothing(wire, monkeypatch, caplog):
    """No broker configured: one warning, ids all the same, nothing counted."""
    monkeypatch.delenv("INFERWATCH_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("INFERWATCH_CLIENT_PROPERTIES", raising=False)
    with caplog.at_level(logging.WARNING):
        monitors = [module.Monitor("risk/fraud", "12") for _ in range(2)]
        for monitor in monitors:
            first, second = monitor.log({"a": 1.0}), monitor.log({"a": 1.0}, prediction_id=7)
            assert first and second == "7"
            assert len(monitor.log_batch({"a": [1.0, 2.0]})) == 2
            monitor.log_label(first, 1)
            monitor.deploy("13")
            assert monitor.flush(0) and monitor.close(0)
            assert monitor.counters.emitted == 0
    assert len(caplog.messages) == 1
    assert "INFERWATCH_BOOTSTRAP_SERVERS" in caplog.text


def test_disabled_is_silent(wire, monkeypatch, caplog):
    """INFERWATCH_DISABLED=1 switches everything off without a word."""
    monkeypatch.setenv("INFERWATCH_DISABLED", "1")
    monitor = wire.monitor()
    monitor.log({"a": 1.0})
    assert wire.drain(monitor) == [] and caplog.messages == []


@pytest.mark.parametrize("model", ["", "risk fraud", "risk//fraud", "/risk", "ri\nsk"])
def test_a_name_that_is_no_path_sends_nothing(wire, model, caplog):
    """Model names are keys of topics; what is no `team/model` is refused with one warning."""
    monitor = wire.monitor(model)
    monitor.log({"a": 1.0})
    assert wire.drain(monitor) == []
    assert "named" in caplog.text


def python(code):
    """Runs `code` in a fresh interpreter that sees the same sources."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_importing_and_building_loads_nothing_heavy_and_starts_nothing():
    """No numpy, pandas, psutil or Kafka client before the first row, and no thread."""
    out = python(
        """
        import sys, threading
        from inferwatch import Monitor
        from inferwatch.connection import Connection
        monitor = Monitor("m", "1", connection=Connection("127.0.0.1:1"))
        heavy = {"numpy", "pandas", "psutil", "confluent_kafka", "asyncio"} & set(sys.modules)
        print(sorted(heavy), threading.active_count())
        monitor.log({"a": 1.0})
        print(threading.active_count())
        """
    )
    assert out.splitlines()[:2] == ["[] 1", "2"]


def test_a_deploy_is_waited_for_however_it_ends(wire):
    """`flush` is true once Kafka took the deploy, or it is lost; after `close` none is queued."""
    monitor = wire.monitor()
    for wire.answer in (None, "no brokers"):
        monitor.deploy("13")
        assert not monitor.flush(0)
        wire.drain(monitor)
        assert monitor.flush(0)
    monitor.close(0)
    monitor.deploy("14")
    assert monitor.flush(0) and len(wire.records) == 2
