"""A vector of a row arrives with that row, whatever it came as, and costs no other row."""

import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferwatch.records.decode import decode
from inferwatch.records.raw import EMBEDDING_DIM_MAX, RawRecord
from inferwatch.sdk.emitter import BATCH_BYTES_MAX


def read(wire):
    """What the worker makes of every record sent; it rejects nothing."""
    now_ms = round(time.time() * 1000)
    found = []
    for body, headers in zip(wire.bodies, wire.headers, strict=True):
        decoded = decode(RawRecord("events.v1", 0, 0, now_ms, b"risk/fraud", body, headers))
        assert decoded.rejects == ()
        found.append(decoded.record)
    return found


def vectors(wire):
    """The vector of each row that was sent, in order; None where it has none."""
    found = []
    for rows in read(wire):
        block = [None] * rows.n if rows.embedding is None else rows.embedding.tolist()
        found += [None if one is None or math.isnan(one[0]) else one for one in block]
    return found


vector = st.none() | st.lists(st.floats(width=32), min_size=1, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(vector, min_size=1, max_size=6), max_size=4))
def test_every_vector_arrives_with_its_row(wire, calls):
    """By `log` and by `log_batch`, of sizes that change from row to row, with gaps between; one
    with a number that is not finite is missing and its row is there.
    """
    wire.bodies.clear()
    wire.headers.clear()
    monitor, sent = wire.monitor(), []
    for given_ in calls:
        if len(given_) == 1:
            monitor.log(embedding=given_[0], prediction=1)
        else:
            monitor.log_batch({"a": [1.0] * len(given_)}, embedding=given_)
        sent += given_
    wire.drain(monitor)
    whole = [one and (one if all(map(math.isfinite, one)) else None) for one in sent]
    assert vectors(wire) == whole
    assert monitor.counters.delivered == len(sent)


@pytest.mark.parametrize(
    "given_",
    [
        [1, -0.5],
        (1.0, -0.5),
        np.array([1, -0.5]),
        np.array([1, -0.5], "f2"),
        np.array([1, 9, -0.5, 9], ">f4")[::2],
        np.array([1, -0.5], object),
        pd.Series([1, -0.5]),
    ],
)
def test_a_vector_is_any_sequence_of_numbers(wire, given_):
    """Lists, arrays of any kind and width, columns: the same numbers, as they were at the call."""
    monitor = wire.monitor()
    monitor.log(embedding=given_)
    with monitor.timed() as call:
        call.embedding = given_
    wire.drain(monitor)
    assert vectors(wire) == [[1.0, -0.5]] * 2


@pytest.mark.parametrize(
    "given_",
    [
        [[1, 2], [3, 4], [5, 6]],
        np.array([[1, 2], [3, 4], [5, 6]]),
        np.asfortranarray(np.array([[1, 2], [3, 4], [5, 6]], "f4")),
        pd.DataFrame([[1, 2], [3, 4], [5, 6]]),
        pd.Series([[1, 2], [3, 4], [5, 6]]),
        [np.array([1, 2]), (3, 4), [5, 6]],
    ],
)
def test_vectors_are_a_matrix_or_a_column(wire, given_):
    """Each row gets its own, in whatever form they come."""
    monitor = wire.monitor()
    monitor.log_batch({"a": [0.0] * 3}, embedding=given_)
    wire.drain(monitor)
    assert vectors(wire) == [[1, 2], [3, 4], [5, 6]]


def test_a_gap_in_a_data_frame_is_a_row_without(wire):
    """NaN or pandas' NA stands where a column of lists has none, told whole or row by row."""
    gaps = [None, math.nan, np.float32("nan"), pd.NA, pd.NaT]
    monitor = wire.monitor()
    monitor.log_batch({"a": [0.0] * 6}, embedding=pd.Series([[1.0], *gaps], dtype=object))
    for one in gaps:
        monitor.log(embedding=one)
    wire.drain(monitor)
    assert vectors(wire) == [[1.0], *[None] * 10]
    assert monitor.counters.delivered == 11


def test_a_vector_with_a_masked_number_is_missing(wire):
    """numpy would put 1e20 in its place."""
    masked = np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    monitor = wire.monitor()
    monitor.log(embedding=masked[0])
    monitor.log_batch({"a": [0.0] * 2}, embedding=masked)
    wire.drain(monitor)
    assert vectors(wire) == [None, None, [3.0, 4.0]]


def test_the_caller_may_reuse_its_vectors_at_once(wire):
    """They are copied before the call returns."""
    one, many = np.ones(2, "f4"), np.ones((2, 2), "f4")
    monitor = wire.monitor()
    monitor.log(embedding=one)
    monitor.log_batch({"a": [0.0] * 2}, embedding=many)
    one[:], many[:] = 9, 9
    wire.drain(monitor)
    assert vectors(wire) == [[1.0, 1.0]] * 3


@pytest.mark.parametrize(
    "given_",
    [
        *("text", 0.5, [], {}, object(), ["a"], [None], [[1.0]], [1.0, None], 1j),
        *(b"\0\0\x80?", bytearray(4)),  # bytes are numbers too, of 0 to 255: not those meant
        [1.0] * (EMBEDDING_DIM_MAX + 1),
        np.ones((1, 2)),
        np.ones(0),
    ],
)
def test_what_is_no_vector_costs_its_row(wire, caplog, given_):
    """It is counted, and named in the warning; a batch loses all its rows, which come together."""
    monitor = wire.monitor()
    monitor.log(embedding=given_)
    said = f"embedding is a {type(given_).__name__}, not 1 to {EMBEDDING_DIM_MAX} numbers"
    assert f"rows dropped, bad_row: {said}" in caplog.text
    monitor.log_batch({"a": [0.0, 0.0]}, embedding=[given_, [1.0]])
    monitor.log(embedding=[1.0])
    wire.drain(monitor)
    assert monitor.counters.dropped == {"bad_row": 3}
    assert vectors(wire) == [[1.0]]


def test_a_column_of_another_length_is_refused(wire):
    """Two vectors are not those of three rows."""
    monitor = wire.monitor()
    monitor.log_batch({"a": [0.0] * 3}, embedding=np.ones((2, 4)))
    assert monitor.counters.dropped == {"bad_row": 3}


@pytest.mark.parametrize("door", ["log", "log_batch"])
def test_long_vectors_are_cut_into_records_of_their_size(wire, door):
    """500 rows of 768 numbers arrive complete and in order, in records below the limit that say
    how many rows came so far.
    """
    sent = np.random.default_rng(0).normal(size=(500, 768)).astype("f4")
    monitor = wire.monitor()
    if door == "log":
        for one in sent:
            monitor.log(embedding=one)
    else:
        monitor.log_batch({"a": np.zeros(500)}, embedding=sent)
    batches = wire.drain(monitor)
    assert max(map(len, wire.bodies)) <= BATCH_BYTES_MAX
    assert len(wire.bodies) < 2 * sent.nbytes / BATCH_BYTES_MAX
    found = read(wire)
    np.testing.assert_array_equal(np.concatenate([rows.embedding for rows in found]), sent)
    assert [one.seq for one in batches] == list(range(len(batches)))
    assert [one.emitted for one in batches] == np.cumsum([one.rows for one in batches]).tolist()


def test_vectors_fill_the_buffer_as_what_they_take(wire):
    """A burst beyond the memory that was allowed is dropped and counted."""
    monitor = wire.monitor(buffer_bytes=1 << 20)
    for _ in range(100):
        monitor.log(embedding=np.zeros(EMBEDDING_DIM_MAX, "f4"))
    assert monitor.counters.pending == (1 << 20) // (400 + 4 * EMBEDDING_DIM_MAX)
    assert monitor.counters.pending + monitor.counters.dropped["queue_full"] == 100


@pytest.mark.parametrize(
    ("chosen", "leaves"),
    [
        ({}, True),
        ({"include": ["amount"]}, False),
        ({"include": ["amount", "embedding"]}, True),
        ({"include": ["*"], "hash": ["embedding"]}, False),
        ({"hash": ["amount"]}, True),
    ],
)
def test_a_vector_leaves_only_where_it_may(wire, monkeypatch, chosen, leaves):
    """`include` has to name it, and what is to be hashed is left out: in no byte, by no door."""
    monkeypatch.setenv("INFERWATCH_HASH_KEY", "k")
    canary = np.array([1234.5, -8.25], "<f4")
    monitor = wire.monitor(**chosen)
    monitor.log({"amount": 1.0}, embedding=canary)
    monitor.log_batch({"amount": [1.0]}, embedding=[canary])
    wire.drain(monitor)
    assert (canary.tobytes() in b"".join(wire.bodies)) == leaves
    assert vectors(wire) == ([canary.tolist()] * 2 if leaves else [None] * 2)


def test_a_vector_that_is_not_to_blame_is_not_blamed(wire, caplog):
    """A gap costs no row, nor does what may not leave: the warning is about what did."""
    wire.monitor("risk/gap").log(prediction=math.inf, embedding=math.nan)
    wire.monitor("risk/kept", include=["amount"]).log(prediction=math.inf, embedding="text")
    assert caplog.text.count("rows dropped, bad_row: an answer, a score") == 2
