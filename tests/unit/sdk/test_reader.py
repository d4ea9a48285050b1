"""What the SDK sends, the reader takes: one odd row never costs the rows that travel with it."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferwatch.records.decode import decode
from inferwatch.records.raw import COLUMNS_MAX, NAME_MAX, TEXT_MAX_BYTES, Decoded, RawRecord
from inferwatch.records.rows import Rows, Truths

LONG = "é" * TEXT_MAX_BYTES
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(10**30), 10**30),
    st.just(10**4_400),
    st.text(max_size=5),
    st.sampled_from([LONG, "x" * 9_000, "\ud800", "\ud801", "a\x00b", ""]),
)
names = st.one_of(st.text(max_size=3), st.sampled_from([LONG, "\ud800", "\ud801", "x" * 9_000, ""]))
columns = st.dictionaries(names, odd, max_size=3)


def read(wire) -> list[Decoded]:
    """Every record sent, as the worker reads it."""
    now_ms = round(time.time() * 1000)
    return [
        decode(RawRecord("events.v1", 0, 0, now_ms, b"risk/fraud", body, headers))
        for body, headers in zip(wire.bodies, wire.headers, strict=True)
    ]


def assert_taken(wire, monitor) -> None:
    """No reject at all, and each row that the counters call delivered is there."""
    found = read(wire)
    assert [decoded.rejects for decoded in found] == [()] * len(found)
    rows = sum(decoded.record.n for decoded in found if isinstance(decoded.record, Rows | Truths))
    assert rows == monitor.counters.delivered


@pytest.fixture
def monitor(wire):
    """One whose records are read by the test."""
    return wire.monitor()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(columns, odd, columns, columns, st.lists(odd, min_size=4, max_size=4)), max_size=5
    )
)
def test_answers_of_any_kind_are_read(wire, calls):
    """Long, odd and doubled names and words, in every place where a caller may put them."""
    monitor = wire.monitor()
    wire.bodies.clear()
    wire.headers.clear()
    for features, prediction, scores, segments, (entity, error, key, latency) in calls:
        monitor.log(
            features,
            prediction,
            dict.fromkeys(scores, 0.5) or None,
            entity_id=entity,
            error=error,
            segments=segments,
            prediction_id=key,
            latency_ms=latency,
        )
    wire.drain(monitor)
    assert_taken(wire, monitor)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(odd, odd), max_size=6), odd)
def test_labels_of_any_kind_are_read(wire, labels, version):
    """A label that is none is counted here, and not found out by the worker."""
    monitor = wire.monitor()
    wire.bodies.clear()
    wire.headers.clear()
    for key, label in labels:
        monitor.log_label(key, label)
    monitor.log_labels([str(n) for n in range(len(labels))], [label for _, label in labels])
    monitor.log_label("1", 1, version=version or None)
    wire.drain(monitor)
    assert_taken(wire, monitor)


def test_a_long_text_is_cut_and_still_joins(wire, monitor):
    """The id of a label is cut like the id of its prediction."""
    monitor.log({"prompt": LONG}, 1, prediction_id=LONG)
    monitor.log({"prompt": "short"}, 1)
    monitor.log_label(LONG, 0)
    wire.drain(monitor)
    assert_taken(wire, monitor)
    rows, truths = (decoded.record for decoded in read(wire))
    assert rows.n == 2 and truths.ids == rows.ids.take(slice(1))
    words = rows.categories["prompt"].words
    assert words[0] == LONG[: TEXT_MAX_BYTES // 2] and words[1] == "short"


def test_many_columns_are_split_and_too_many_are_counted(wire, monitor):
    """Rows with columns of their own fit into smaller batches; a row beyond the cap is dropped."""
    for row in range(8):
        monitor.log({f"r{row}f{n}": 1.0 for n in range(1_000)}, 1)
    monitor.log({f"f{n}": 1.0 for n in range(COLUMNS_MAX + 1)}, 1)
    wire.drain(monitor)
    assert_taken(wire, monitor)
    assert monitor.counters.delivered == 8
    assert monitor.counters.dropped == {"too_large": 1}
    last = read(wire)[-1].record
    assert last.emitted == 8 or last.dropped == 1


def test_a_model_or_version_that_cannot_be_is_told_and_nothing_is_sent(wire, caplog):
    """Rather than a topic full of records that every worker rejects."""
    for settings_ in ({"model": "a" * (NAME_MAX + 1)}, {"version": ""}):
        monitor = wire.monitor(**settings_)
        assert monitor.log({"x": 1.0})
        assert monitor.counters.emitted == 0
    assert ["nothing is sent" in line for line in caplog.messages] == [True, True]
    assert wire.records == []


def test_an_empty_version_is_no_deploy(wire, monitor, caplog):
    """The version that was there stays."""
    monitor.deploy("")
    monitor.log({"x": 1.0})
    [batch] = wire.drain(monitor)
    assert batch.version == "12"
    assert "deploy not sent: the version is empty" in caplog.text


def test_a_note_of_any_length_is_read(wire, monitor):
    """Also one that grows when it is written as JSON."""
    monitor.deploy("13", note='"' * 9_000)
    wire.drain(monitor)
    [deploy] = read(wire)
    assert deploy.rejects == () and deploy.record.version == "13"
