"""The worker as a process on the embedded broker: exact across kills, deaf to rubbish, clear about
loss.
"""

import random
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Consumer, TopicPartition
from workers import (
    MODEL,
    dead_reasons,
    live_digest,
    published_windows,
    replayed,
    running,
    send,
    until,
)

from inferwatch import Monitor
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.records.raw import RawRecord
from inferwatch.testing.builders import raw_inference, raw_labels

UNKNOWN = {"ce_type": b"io.inferwatch.weather.v1", "content-type": b"application/json"}
pytestmark = [pytest.mark.processes, pytest.mark.timeout(170)]


@pytest.fixture
def connection(embedded_broker):
    """A connection to a broker of its own."""
    return Connection(embedded_broker)


def serve(monitor: Monitor, rows: int, seed: int, shift: float = 0.0) -> list[str]:
    """A model server's traffic: right nine times in ten."""
    chance = random.Random(seed)
    ids = []
    for _ in range(rows):
        amount = chance.gauss(10.0 + shift, 2.0)
        ids.append(
            monitor.log(
                features={"amount": amount, "country": chance.choice(["DE", "FR"])},
                prediction=1,
                proba=chance.random(),
                latency_ms=5.0,
            )
        )
    monitor.log_labels(ids, [int(chance.random() < 0.9) for _ in ids])
    return ids


def test_nothing_is_lost_or_doubled_when_the_worker_is_killed(connection, tmp_path):
    """Across kill -9 every row counts once, and a replay gives the live windows and alerts."""
    monitor = Monitor(MODEL, "1", connection=connection)
    with running(connection, tmp_path, embedded=True) as worker:
        serve(monitor, 1_700, seed=1)
        assert monitor.flush(20)
        until(lambda: worker.rows() >= 500, "some rows are in a checkpoint", worker)
        serve(monitor, 700, seed=2)
        worker.child.kill()
    serve(monitor, 600, seed=3, shift=30.0)
    assert monitor.flush(20)
    with running(connection, tmp_path, embedded=True) as worker:
        serve(monitor, 1_000, seed=4, shift=30.0)
        assert monitor.flush(20)
        until(lambda: worker.rows() == 4_000, "all rows are in a checkpoint", worker)
        until(lambda: worker.metrics()["inferwatch_lag_records"] == 0, "nothing waits", worker)
        assert worker.child.stop() == Exit.DONE
    assert monitor.counters.dropped == {}
    whole = {
        record["window"]["start"]: record["rows"]
        for record in published_windows(connection).values()
        if not record.get("segment")
    }
    assert whole == dict.fromkeys(range(0, 4000, 500), 500)
    summary = replayed(connection)
    assert summary.transitions["Drift ok → firing"] == 1
    assert summary.digest == live_digest(connection)
    assert summary.rows == summary.ok


def test_a_stopped_worker_leaves_nothing_to_fold_again(connection, tmp_path):
    """SIGTERM ends with one last checkpoint: the next worker starts behind it."""
    monitor = Monitor(MODEL, "1", connection=connection)
    with running(connection, tmp_path, embedded=True) as worker:
        serve(monitor, 1_200, seed=1)
        assert monitor.flush(20)
        until(lambda: worker.metrics()["inferwatch_in_total"] >= 2_400, "all is folded", worker)
        worker.child.process.send_signal(signal.SIGTERM)
        assert worker.child.process.wait(20) == Exit.DONE
    before = len(published_windows(connection))
    with running(connection, tmp_path, embedded=True) as worker:
        until(lambda: worker.rows() == 1_200, "the state is there", worker)
        assert worker.metrics()["inferwatch_in_total"] < 500  # ticks, and the worker's own records
    assert len(published_windows(connection)) == before


def test_rubbish_goes_to_the_dead_letters_and_the_worker_goes_on(connection, tmp_path):
    """Every unreadable record or row is a dead letter with its reason; good rows still count."""
    good = raw_inference(n=500, offset=1, model=MODEL, numeric={"amount": [1.0] * 500})
    rubbish = [
        RawRecord("", 0, 0, 0, MODEL.encode(), b"\xff\xfe not a batch", good.headers),
        RawRecord("", 0, 0, 0, MODEL.encode(), (good.value or b"")[:40], good.headers),
        RawRecord("", 0, 0, 0, MODEL.encode(), b"{}", good.headers | UNKNOWN),
        RawRecord("", 0, 0, 0, b"other/model", good.value, good.headers),
        raw_inference(n=2, offset=2, model=MODEL, time_ms=[-1, 1 << 60], record_time_ms=1),
    ]
    with running(connection, tmp_path, embedded=True) as worker:
        send(connection, [*rubbish, good])
        until(lambda: worker.rows() >= 500, "the good rows are folded", worker)
        until(lambda: len(dead_reasons(connection)) >= 5, "the dead letters are there", worker)
        metrics = worker.metrics()
    reasons = dead_reasons(connection)
    assert {"not_msgpack", "type_unknown", "key_mismatch", "bad_time"} <= set(reasons)
    counted = {
        name.split('"')[1]: int(value)
        for name, value in metrics.items()
        if name.startswith("inferwatch_rejected_total") and value
    }
    assert set(counted) == set(reasons)


def test_a_batch_that_comes_twice_counts_once(connection, tmp_path):
    """Equal (emitter, seq) is one batch: a producer may repeat what it is not sure of."""
    first = raw_inference(n=500, offset=1, model=MODEL, numeric={"amount": [1.0] * 500})
    labels = raw_labels(
        ids=[f"1-{row}" for row in range(500)], label=[1] * 500, offset=2, model=MODEL
    )
    with running(connection, tmp_path, embedded=True) as worker:
        send(connection, [first, first, labels, labels])
        until(lambda: worker.rows() >= 500, "the rows are folded", worker)
        until(lambda: worker.metrics()["inferwatch_lag_records"] == 0, "nothing waits", worker)
        assert worker.rows() == 500
    summary = replayed(connection)
    assert summary.duplicate == {"id": 1_000}


def test_a_lost_state_stops_the_worker_until_an_operator_says_so(connection, tmp_path):
    """A group that has folded more than its state knows is exit 78, never a silent zero."""
    partitions = [TopicPartition(connection.topic("events.v1"), number, 7) for number in range(4)]
    client = Consumer(connection.librdkafka(**{"group.id": f"{connection.prefix}worker"}))
    client.commit(offsets=partitions, asynchronous=False)
    client.close()
    from workers import Worker

    worker = Worker(connection, tmp_path, embedded=True)
    assert worker.child.process.wait(60) == Exit.CONFIG
    assert "--accept-state-loss" in worker.child.last_words()
    with running(connection, tmp_path, embedded=True, options=("--accept-state-loss",)):
        pass


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["--bootstrap-server", "127.0.0.1:1"], Exit.UNAVAILABLE, "no broker answers"),
        ([], Exit.USAGE, "--bootstrap-server"),
        (["--bootstrap-server", "nonsense"], Exit.CONFIG, "host:port"),
        (
            ["--bootstrap-server", "127.0.0.1:1", "--monitors", "BAD"],
            Exit.CONFIG,
            "did you mean 'metric'",
        ),
    ],
)
def test_what_cannot_work_is_one_sentence_and_an_exit_code(tmp_path, arguments, code, words):
    """No broker, no address, a broken monitor file: the operator is told what to do."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        'apiVersion: inferwatch/v1\nmatch: {model: "a/b"}\nchecks:\n'
        "  - alert: X\n    metrc: accuracy\n",
        encoding="utf-8",
    )
    given = [str(bad) if word == "BAD" else word for word in arguments]
    ended = subprocess.run(
        [sys.executable, "-m", "inferwatch.cli.main", "worker", *given],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": ""},
        check=False,
    )
    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
