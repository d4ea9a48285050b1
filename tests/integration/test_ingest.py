"""The bridge on the embedded broker: events of another topic arrive once, whatever ends it."""

import json

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from workers import PATIENCE_S, replayed, running, until

from inferwatch import deadletters
from inferwatch.cli.main import main
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.records.decode import decode
from inferwatch.records.rows import Rows, Truths
from inferwatch.replay.log import LogReader
from inferwatch.runtime import embedded
from inferwatch.runtime.processes import Child
from inferwatch.testing.builders import TIME_MS

pytestmark = [pytest.mark.processes, pytest.mark.timeout(170)]
TOPIC = "orders"
GROUP = "inferwatch.ingest"
PARTITIONS = 2
PRODUCE, OFFSET_COMMIT = 0, 8  # Kafka's numbers of requests
REFUSED = 28
MODELS = ["team/a", "team/b", "team/c"]
PARTS, ROWS, LABELS, RUBBISH = 3, 1_500, 300, 12
TOPICS = {f"inferwatch.{name}": count for name, count in embedded.TOPICS.items()}


@pytest.fixture
def broker():
    """With the topic."""
    broker = embedded.start({**TOPICS, TOPIC: PARTITIONS})
    yield broker
    broker.stop()


@pytest.fixture
def connection(broker, tmp_path):
    """A bridge that was killed leaves its group after 3 s."""
    file = tmp_path / "client.properties"
    file.write_text("session.timeout.ms=3000\nheartbeat.interval.ms=500\n")
    return Connection(broker.bootstrap_servers, file=file)


def produce(connection, part):
    """The events of one part, mixed over models and partitions; its rubbish by value."""
    producer = Producer(connection.librdkafka(acks="all"))
    rubbish = [b"{ part %d number %d" % (part, number) for number in range(RUBBISH)]
    for number in range(ROWS):
        said = {"model": MODELS[number % 3], "timestamp": TIME_MS + number}
        said["prediction_id"] = f"{part}-{number}"
        place = number % 7 % PARTITIONS
        answer = {"version": "1", "features": {"x": number, "word": "w"}, "prediction": 1}
        producer.produce(TOPIC, json.dumps(said | answer).encode(), partition=place)
        if number < LABELS:
            producer.produce(TOPIC, json.dumps(said | {"label": 1}).encode(), partition=place)
        if number % (ROWS // RUBBISH) == 0:
            body = rubbish[number // (ROWS // RUBBISH)]
            producer.produce(TOPIC, body, b"a key", partition=place, headers={"trace": b"7"})
    assert producer.flush(20) == 0
    return rubbish


def bridge(connection, folder, number, *options):
    """A bridge as a process."""
    words = ["ingest", "--from", TOPIC, *connection.arguments(), *options]
    return Child(f"bridge{number}", "inferwatch.cli.main", words, folder)


def on_topic(connection):
    """What the records on the events topic say: None where it is no record of ours."""
    with LogReader(connection, "events.v1") as reader:
        return [decode(raw).record for raw in reader.read_all()]


def batches(connection):
    """How many batches there are on the events topic."""
    return sum(isinstance(record, Rows | Truths) for record in on_topic(connection))


def left(connection, group=GROUP):
    """Source records that the group has not committed."""
    consumer = Consumer(connection.librdkafka(**{"group.id": group}))
    places = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    done = sum(max(0, place.offset) for place in consumer.committed(places, timeout=10))
    ends = [consumer.get_watermark_offsets(place, timeout=10)[1] for place in places]
    consumer.close()
    return sum(ends) - done


def killed(connection, folder, number):
    """A bridge that is killed when the brokers have batches of it."""
    before = batches(connection)
    child = bridge(connection, folder, number)
    try:
        until(lambda: batches(connection) > before, "there are batches")
        assert child.running()
    finally:
        child.kill()


def finished(connection, folder, name, *options):
    """A bridge that moves what is left and is stopped."""
    child = bridge(connection, folder, name, *options)
    try:
        until(lambda: left(connection, *options[1:]) == 0, "all is committed")
        assert child.stop() == Exit.DONE
    finally:
        child.kill()
    assert "rows in" in child.last_words()


def test_kills_in_the_middle_neither_lose_nor_double_a_row(broker, connection, tmp_path):
    """Two SIGKILLs behind acknowledged batches whose offsets are not committed: a worker counts
    each row and label once though the log holds repeats, and who reads the dead letters finds each
    record that is no event once.
    """
    broker.order("errors", OFFSET_COMMIT, *[REFUSED] * 500)
    rubbish = [*produce(connection, 0)]
    killed(connection, tmp_path, 0)
    rubbish += produce(connection, 1)
    killed(connection, tmp_path, 1)
    broker.order("clear", OFFSET_COMMIT)
    finished(connection, tmp_path, 2)
    last = produce(connection, 2)
    finished(connection, tmp_path, 3)
    rows = PARTS * ROWS
    with running(connection, tmp_path, embedded=True) as worker:
        until(lambda: counted(worker) >= rows, "the rows are in checkpoints", worker)
        until(lambda: {*dead(connection)} >= {*rubbish, *last}, "the dead letters", worker)
        assert counted(worker) == rows
    assert sorted(dead(connection)) == sorted([*rubbish, *last])
    assert forwarded(connection) > len(rubbish) + len(last)
    summary = folded_once(connection, rows + PARTS * LABELS)
    assert sum(summary.duplicate.values()) > 0


def folded_once(connection, rows):
    """The fold takes so many rows and labels, and accounts for every other."""
    summary = replayed(connection)
    ours = sum(
        record is not None and not isinstance(record, Rows | Truths)
        for record in on_topic(connection)
    )
    assert summary.ok == rows + ours  # the worker's ticks and rules
    refused = sum(summary.rejected.values()) + sum(summary.duplicate.values())
    assert summary.rows == summary.ok + refused
    return summary


def forwarded(connection):
    """How many records there are on the events topic that are none of ours, repeats with them."""
    return sum(record is None for record in on_topic(connection))


def counted(worker):
    """Rows of all models in checkpoints."""
    found = worker.metrics().items()
    return sum(value for name, value in found if name.startswith("inferwatch_model_rows{"))


def dead(connection):
    """What each dead letter is about, which has the key and headers of the source's record."""
    found = [deadletters.original(connection, one) for one in deadletters.read(connection)]
    assert all(raw.key == b"a key" and raw.headers["trace"] == b"7" for raw in found)
    return [raw.value for raw in found]


def test_what_cannot_work_is_said_at_once(connection, capsys):
    """A topic that is not there and one that is ours: one sentence, and who must act."""
    options = ["ingest", *connection.arguments()]
    assert main([*options, "--from", "nowhere"]) == Exit.CONFIG
    assert "there is no topic nowhere" in capsys.readouterr().err
    assert main([*options, "--from", "inferwatch.events.v1"]) == Exit.USAGE
    assert "workers read this topic" in capsys.readouterr().err


def test_a_bridge_of_another_group_doubles_nothing(connection, tmp_path):
    """Rows are known by their place in the source, not by who moved them."""
    produce(connection, 0)
    finished(connection, tmp_path, 0)
    finished(connection, tmp_path, 1, "--group", "other")
    with running(connection, tmp_path, embedded=True) as worker:
        until(lambda: counted(worker) >= ROWS, "the rows are in checkpoints", worker)
    assert sum(folded_once(connection, ROWS + LABELS).duplicate.values()) == ROWS + LABELS


def test_sigterm_finishes_what_was_read(connection, tmp_path):
    """In the middle of a topic: exit 0, and what is committed is what is on the events topic."""
    rubbish = produce(connection, 0)
    child = bridge(connection, tmp_path, 0)
    try:
        until(lambda: on_topic(connection), "the first records")
        assert child.stop() == Exit.DONE
    finally:
        child.kill()
    moved = sum(1 if record is None else record.n for record in on_topic(connection))
    assert moved == ROWS + LABELS + len(rubbish) - left(connection) > 0


@pytest.mark.parametrize(
    ("code", "exit_", "words"),
    [
        (29, Exit.PERMISSION, "refuse User:ANONYMOUS Write on topic inferwatch.events.v1"),
        (87, Exit.UNAVAILABLE, "topic inferwatch.events.v1"),
    ],
)
def test_a_batch_that_is_not_taken_ends_the_bridge(
    broker, connection, tmp_path, code, exit_, words
):
    """One sentence and who must act; nothing behind the batch was committed or sent, so that the
    next bridge brings all of it.
    """
    rubbish = produce(connection, 0)
    broker.order("errors", PRODUCE, *[code] * 3)
    child = bridge(connection, tmp_path, 0)
    assert child.process.wait(PATIENCE_S) == exit_
    assert words in child.last_words()
    assert "Traceback" not in child.last_words()
    child.kill()
    broker.order("clear", PRODUCE)
    finished(connection, tmp_path, 1)
    assert sum(record is None for record in on_topic(connection)) >= len(rubbish)
    found = [record for record in on_topic(connection) if record is not None]
    ends: dict = {}
    rows = 0
    for record in found:
        name = record.model, record.emitter, type(record)
        rows += int((record.source_offsets > ends.get(name, -1)).sum())
        ends[name] = max(ends.get(name, -1), int(record.source_offsets[-1]))
    assert rows == ROWS + LABELS
