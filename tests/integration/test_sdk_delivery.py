"""The SDK against librdkafka's mock cluster: what was logged arrives, what did not is counted."""

import ctypes
import itertools
import logging
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import confluent_kafka
import msgspec
import pytest

from inferwatch.connection import Connection
from inferwatch.records.batch import InferenceBatch, LabelBatch
from inferwatch.sdk import Monitor, notice

ROW = {f"f{n}": n * 0.5 for n in range(18)} | {"country": "DE", "ok": True}
PREFIXES = (f"t{n}." for n in itertools.count())


class Cluster:
    """One mock broker that can be taken down and up; it keeps its data meanwhile."""

    def __init__(self) -> None:
        libraries = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
        self._kafka = kafka = ctypes.CDLL(str(next(libraries.glob("librdkafka*.so*"))))
        for name in ("conf_new", "new", "mock_cluster_new"):
            getattr(kafka, f"rd_kafka_{name}").restype = ctypes.c_void_p
        kafka.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        configuration = ctypes.c_void_p(kafka.rd_kafka_conf_new())
        kafka.rd_kafka_conf_set(configuration, b"log_level", b"0", None, 0)
        handle = ctypes.c_void_p(kafka.rd_kafka_new(0, configuration, None, 0))
        self._cluster = ctypes.c_void_p(kafka.rd_kafka_mock_cluster_new(handle, 1))
        self.address = kafka.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def down(self) -> None:
        self._kafka.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def up(self) -> None:
        self._kafka.rd_kafka_mock_broker_set_up(self._cluster, 1)


@pytest.fixture(scope="module")
def cluster():
    return Cluster()


@pytest.fixture
def connection(cluster, monkeypatch):
    """A connection with topics of its own."""
    monkeypatch.setattr(notice, "_told", set())
    monkeypatch.delenv("INFERWATCH_DISABLED", raising=False)
    cluster.up()
    properties = {"reconnect.backoff.max.ms": "100", "socket.timeout.ms": "1000"}
    return Connection(cluster.address, properties, next(PREFIXES))


def received(connection):
    """All batches on the topic now, in the order of their partitions."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": connection.bootstrap_servers, "group.id": "t", "log_level": 0}
    )
    topic, found = connection.topic("events.v1"), []
    for number in consumer.list_topics(topic, 10).topics[topic].partitions:
        place = confluent_kafka.TopicPartition(topic, number, 0)
        end = consumer.get_watermark_offsets(place, 10)[1]
        consumer.assign([place])
        while place.offset < end:
            message = consumer.poll(10)
            assert message is not None and message.error() is None
            found.append(decoded(message))
            place.offset = message.offset() + 1
    consumer.close()
    return found


def decoded(message):
    types = {b"inference": InferenceBatch, b"label": LabelBatch}
    word = dict(message.headers())["ce_type"].split(b".")[2]
    if word not in types:
        return msgspec.json.decode(message.value())
    return msgspec.msgpack.decode(message.value(), type=types[word])


def rows(batches):
    return sum(batch.rows for batch in batches)


def assert_law(counters):
    dropped = sum(counters.dropped.values())
    assert counters.emitted == counters.delivered + dropped + counters.pending


def test_a_burst_arrives_whole_and_in_sequence(connection):
    """20,000 rows and labels at once: each arrives once, batches in order, counters add up."""
    monitor = Monitor("risk/fraud", "12", connection=connection)
    ids = [monitor.log(ROW, 1, 0.5) for _ in range(20_000)]
    monitor.log_labels(ids, [0] * len(ids))
    assert monitor.flush(30)
    batches = received(connection)
    answers = [batch for batch in batches if isinstance(batch, InferenceBatch)]
    assert b"".join(batch.ids.data for batch in answers).decode() == "".join(ids)
    assert rows(batches) == monitor.counters.delivered == 40_000
    assert [batch.seq for batch in batches] == list(range(len(batches)))
    total = 0
    for batch in batches:
        total += batch.rows
        assert batch.emitted == total and batch.dropped == {}
    assert_law(monitor.counters)
    assert monitor.close()


def test_a_row_is_sent_within_about_a_second_without_a_flush(connection):
    """A lonely row does not wait for a batch to fill."""
    monitor = Monitor("risk/fraud", "12", connection=connection)
    monitor.log(ROW, 1)
    assert monitor._emitter.buffer.wait(10)
    assert rows(received(connection)) == 1
    monitor.close()


def test_an_outage_loses_nothing_that_fits_and_counts_what_does_not(connection, cluster):
    """Down: the buffer fills, the rest is `queue_full`. Up again: what was kept arrives."""
    monitor = Monitor("risk/fraud", "12", connection=connection, buffer_rows=2_000)
    monitor.log(ROW, 1)
    assert monitor.flush(10)
    cluster.down()
    for _ in range(50_000):
        monitor.log(ROW, 1)
        assert monitor.counters.pending <= 50_001
    assert_law(monitor.counters)
    assert not monitor.flush(0.2)
    cluster.up()
    assert monitor.flush(30)
    counters = monitor.counters
    assert_law(counters)
    assert set(counters.dropped) <= {"queue_full"}
    assert rows(received(connection)) == counters.delivered
    monitor.log(ROW, 1)
    assert monitor.flush(30)
    assert received(connection)[-1].dropped == counters.dropped


def test_rows_of_an_outage_beyond_the_timeout_are_not_delivered(cluster):
    """When the client gives up on a batch its rows are counted, and told once."""
    properties = {"message.timeout.ms": "300", "log_level": "0"}
    monitor = Monitor("risk/fraud", "12", connection=Connection("127.0.0.1:1", properties))
    for _ in range(1_500):
        monitor.log(ROW, 1)
    assert monitor.flush(20)
    assert monitor.counters.dropped == {"not_delivered": 1_500}
    assert_law(monitor.counters)
    monitor.close()


def test_close_keeps_its_deadline_with_the_brokers_down(connection, cluster):
    """`close` answers False in time; the rows stay pending, not forgotten."""
    monitor = Monitor("risk/fraud", "12", connection=connection)
    cluster.down()
    monitor.log(ROW, 1)
    start_s = time.monotonic()
    assert not monitor.close(0.5)
    assert time.monotonic() - start_s < 1.5
    assert monitor.counters.pending == 1
    cluster.up()
    assert monitor._emitter.buffer.wait(20)


def test_monitors_of_a_process_share_their_threads(connection):
    """Ten models do not mean ten senders: one sends, one takes samples of the process."""
    import threading

    monitors = [Monitor(f"team/model-{n}", "1", connection=connection) for n in range(10)]
    before = threading.active_count()
    for monitor in monitors:
        monitor.log(ROW, 1)
    assert threading.active_count() - before <= 2
    assert all(monitor.flush(10) for monitor in monitors)
    assert sorted(batch.model for batch in received(connection)) == sorted(
        f"team/model-{n}" for n in range(10)
    )
    assert all(monitor.close() for monitor in monitors)


def run(code, connection, timeout_s=60, **environment):
    """Runs `code` in a server process of its own; answers its exit code and its output."""
    started = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "INFERWATCH_BOOTSTRAP_SERVERS": connection.bootstrap_servers,
            "INFERWATCH_PREFIX": connection.prefix,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    return started.returncode, started.stdout + started.stderr


FORK = """
import os, sys, time
from inferwatch import Monitor
from inferwatch.sdk import transport
transport.EXIT_TIMEOUT_S = 60.0  # eight processes at once on a busy machine
monitor = Monitor("risk/fraud", "12")
if {logged_before}:
    monitor.log({{"parent": 1.0}}, 1)
    monitor.flush(10)
    monitor.log({{"parent": 2.0}}, 1)
children = []
for child in range(8):
    pid = os.fork()
    if pid == 0:
        for n in range(1_000):
            monitor.log({{"child": float(child)}}, 1)
        sys.exit(0)
    children.append(pid)
print([os.waitpid(pid, 0)[1] for pid in children])
"""


@pytest.mark.parametrize("logged_before", [False, True])
def test_forked_workers_deliver_every_row_once(connection, logged_before):
    """8 children × 1,000 rows, forked before or after the first row: all arrive, none twice.

    Each child has its own emitter, ends cleanly, and leaves the parent's rows to the parent.
    """
    code, output = run(FORK.format(logged_before=logged_before), connection)
    assert (code, output) == (0, "[0, 0, 0, 0, 0, 0, 0, 0]\n")
    batches = received(connection)
    by_emitter = {}
    for batch in batches:
        by_emitter[batch.emitter] = by_emitter.get(batch.emitter, 0) + batch.rows
    assert sorted(by_emitter.values()) == [2] * logged_before + [1_000] * 8


def test_multiprocessing_children_deliver_when_they_close(connection):
    """A `fork` child of multiprocessing ends without atexit on some versions: `close` is enough."""
    code, output = run(
        """
        import multiprocessing
        from inferwatch import Monitor
        monitor = Monitor("risk/fraud", "12")
        monitor.log({"a": 1.0}, 1)

        def work(n):
            monitor.log({"a": float(n)}, 1)
            return monitor.close(10)

        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(pool.map(work, range(3), chunksize=1).count(True) >= 1)
            pool.close()
            pool.join()
        """,
        connection,
    )
    assert (code, output) == (0, "True\n")
    assert rows(received(connection)) >= 2


def test_an_ending_process_delivers_what_it_has(connection):
    """At exit the last rows go out without a flush."""
    code, output = run(
        """
        from inferwatch import Monitor
        monitor = Monitor("risk/fraud", "12")
        for _ in range(1_234):
            monitor.log({"a": 1.0}, 1)
        """,
        connection,
    )
    assert (code, output) == (0, "")
    assert rows(received(connection)) == 1_234


def test_a_process_that_only_tells_of_a_deploy_does_so(connection):
    """As the step of a pipeline that deploys: with no row to wait for it ended before it sent."""
    code, output = run(
        """
        from inferwatch import Monitor
        Monitor("risk/fraud", "12").deploy("13", note="retrained")
        """,
        connection,
    )
    assert (code, output) == (0, "")
    assert [one["version"] for one in received(connection)] == ["13"]


def test_an_ending_process_is_held_up_no_longer_than_its_deadline():
    """With the brokers down the exit takes two seconds, not thirty, and the loss is said."""
    code, output = run(
        """
        import time
        from inferwatch import Monitor
        monitor = Monitor("risk/fraud", "12")
        monitor.log({"a": 1.0}, 1)
        print(time.monotonic(), flush=True)
        """,
        Connection("127.0.0.1:1"),
        timeout_s=20,
    )
    ended_s = time.monotonic()
    assert code == 0
    assert "1 rows or deploys were not delivered" in output
    began_s = float(output.splitlines()[0])
    print(f"exit with brokers down took {ended_s - began_s:.2f} s")
    assert ended_s - began_s < 10


def test_a_sigterm_handler_that_exits_drains(connection):
    """The documented two lines are enough for a server that is stopped by SIGTERM."""
    code, _ = run(
        """
        import os, signal, sys
        from inferwatch import Monitor
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        monitor = Monitor("risk/fraud", "12")
        for _ in range(100):
            monitor.log({"a": 1.0}, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
        connection,
    )
    assert code == 0
    assert rows(received(connection)) == 100


def test_broken_client_settings_are_counted_and_told_once(caplog):
    """A property that librdkafka refuses costs the rows, not the server."""
    connection = Connection("127.0.0.1:1", {"no.such.setting": "1"})
    monitor = Monitor("risk/fraud-broken", "12", connection=connection)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            monitor.log(ROW, 1)
            assert monitor.flush(10)
    assert monitor.counters.dropped == {"not_delivered": 3}
    assert ["no.such.setting" in line for line in caplog.messages] == [True]
