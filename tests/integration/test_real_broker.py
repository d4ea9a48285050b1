"""What counts only on a real Kafka: rebalancing, dropped log heads, topics with their settings."""

import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource
from workers import Worker, live_digest, published_windows, replayed, running, send, until

from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.runtime import topics
from inferwatch.testing.builders import raw_inference, raw_labels

MODELS = [f"team/model-{number}" for number in range(6)]
PARTITIONS = 6
ROWS = 250
pytestmark = [pytest.mark.kafka, pytest.mark.processes, pytest.mark.timeout(280)]


@pytest.fixture
def connection(kafka, request):
    """Topics of a test's own on the real broker."""
    made = Connection(kafka, prefix=f"{request.node.originalname}.")
    topics.apply(made, topics.wanted(made.prefix, PARTITIONS), replication_factor=1)
    return made


def wave(connection: Connection, number: int) -> None:
    """A batch of rows and one of labels for each model."""
    records = []
    for model in MODELS:
        amounts = [10.0 + row % 7 + 40.0 * (number >= 6) for row in range(ROWS)]
        at = {"model": model, "offset": number, "emitter": f"{model}-server"}
        right = [int(row % 10 > 0) for row in range(ROWS)]
        ids = [f"{number}-{row}" for row in range(ROWS)]
        records += [
            raw_inference(
                n=ROWS, numeric={"amount": amounts}, prediction=[1.0] * ROWS, ids=ids, **at
            ),
            raw_labels(ids=ids, label=right, **(at | {"emitter": f"{model}-labels"})),
        ]
    send(connection, records)


def known_rows(worker: Worker) -> dict[str, float]:
    """Rows of every model in the checkpoints that this worker wrote or restored."""
    samples = worker.metrics()
    return {
        model: samples.get(f'inferwatch_model_rows{{model="{model}"}}', 0.0) for model in MODELS
    }


def test_workers_join_die_and_leave_without_a_trace(connection, tmp_path):
    """Partitions wander between three workers, one is killed: rows, windows, alerts exact."""
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    with running(connection, folders[0], embedded=False) as first:
        wave(connection, 0)
        wave(connection, 1)
        until(lambda: sum(known_rows(first).values()) >= 2 * ROWS, "some rows are safe", first)
        with running(connection, folders[1], embedded=False) as second:
            wave(connection, 2)
            first.child.kill()
            wave(connection, 3)
            wave(connection, 4)
            owned = "inferwatch_partitions"
            until(lambda: second.metrics()[owned] == PARTITIONS, "it has taken over", second)
            with running(connection, folders[2], embedded=False) as third:
                wave(connection, 5)
                wave(connection, 6)
                assert second.child.stop() == Exit.DONE
                wave(connection, 7)
                wanted = dict.fromkeys(MODELS, 8.0 * ROWS)
                until(lambda: known_rows(third) == wanted, "all rows are in checkpoints", third)
                assert third.child.stop() == Exit.DONE
    whole = {
        (record["model"], record["window"]["start"]): record["rows"]
        for record in published_windows(connection).values()
        if not record.get("segment")
    }
    assert whole == {(model, start): 500 for model in MODELS for start in range(0, 2_000, 500)}
    summary = replayed(connection)
    assert summary.transitions["Drift ok → firing"] == len(MODELS)
    assert summary.digest == live_digest(connection)


def test_a_log_without_its_head_is_refused(connection, tmp_path):
    """Records dropped before they were folded: worker and replay stop with 78, nobody guesses."""
    with running(connection, tmp_path, embedded=False) as worker:
        wave(connection, 0)
        until(lambda: min(known_rows(worker).values()) == ROWS, "the rows are safe", worker)
    wave(connection, 1)
    admin = AdminClient(connection.librdkafka())
    for number in range(PARTITIONS):
        end = TopicPartition(connection.topic("events.v1"), number, -1)
        admin.delete_records([end])[end].result(20)
    behind = Worker(connection, tmp_path, embedded=False)
    assert behind.child.process.wait(60) == Exit.CONFIG
    assert "--accept-state-loss" in behind.child.last_words()
    replay = inferwatch("replay", "topic", *connection.arguments(), "--out", str(tmp_path / "out"))
    assert (replay.returncode, replay.stderr.count("\n")) == (Exit.CONFIG, 1)
    assert "has dropped the records before offset" in replay.stderr


def test_topics_have_the_settings_that_delivery_needs(kafka):
    """`topics plan` says what is missing, `apply` makes it, and then the plan is empty."""
    options = ["--bootstrap-server", kafka, "--prefix", "planned."]
    options += ["--partitions", "3", "--replication-factor", "1"]
    before = inferwatch("topics", "plan", *options)
    assert before.stdout.count("is missing") == 6, before.stdout
    assert inferwatch("topics", "apply", *options).returncode == Exit.DONE
    after = inferwatch("topics", "plan", *options)
    assert (after.returncode, after.stdout.count("is missing")) == (Exit.DONE, 0)
    settings = settings_of(kafka, "planned.events.v1")
    assert settings["message.timestamp.type"] == "LogAppendTime"
    assert settings_of(kafka, "planned.state.v1")["cleanup.policy"] == "compact"
    assert settings_of(kafka, "planned.notified.v1")["cleanup.policy"] == "compact"


def settings_of(servers: str, topic: str) -> dict[str, str]:
    """What the broker itself says of a topic."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": servers})
    found = admin.describe_configs([resource])[resource].result(20)
    return {name: entry.value for name, entry in found.items()}


def inferwatch(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line."""
    return subprocess.run(
        [sys.executable, "-m", "inferwatch.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
