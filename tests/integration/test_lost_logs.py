"""Logs that were emptied, damaged or made anew: workers stop with a sentence, nobody guesses."""

import time
from collections.abc import Sequence

import pytest
import traffic
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from fleet import Fleet, Group
from workers import Worker, live_digest, published_windows, replayed, running, until

from inferwatch.connection import Connection
from inferwatch.core.placement import partition_of
from inferwatch.errors import Exit
from inferwatch.replay.log import LogReader
from inferwatch.runtime import topics

MODEL = "team/model"
OPTIONS = ("--session-timeout", "4", "--tick-every", "3600")
QUIET = {"embedded": False, "options": OPTIONS, "monitors": traffic.MONITORS}
pytestmark = [pytest.mark.kafka, pytest.mark.processes, pytest.mark.timeout(280)]


@pytest.fixture
def connection(kafka, request):
    """Topics of one partition for a test of its own."""
    made = Connection(kafka, prefix=f"{request.node.originalname}.")
    topics.apply(made, topics.wanted(made.prefix, 1), replication_factor=1)
    return made


@pytest.fixture
def folded(connection, tmp_path) -> traffic.Feeder:
    """A worker has folded six batches and gone."""
    feeder = traffic.Feeder(connection, [MODEL], 1)
    feed(feeder, 6)
    with running(connection, tmp_path, **QUIET) as worker:
        until_folded(connection, worker)
    return feeder


def feed(feeder: traffic.Feeder, batches: int) -> None:
    """More batches, all on the topic."""
    for _ in range(batches):
        feeder.send(MODEL)
    feeder.finish()


def until_folded(connection: Connection, worker: Worker | None = None) -> None:
    """Wait until the group has committed the whole log."""
    with Group(connection, 1) as group:
        until(lambda: group.has_reached(group.ends()), "the log is folded", worker)


def make_anew(connection: Connection, names: Sequence[str]) -> None:
    """Delete topics and create them again, empty."""
    admin = AdminClient(connection.librdkafka())
    full = [connection.topic(name) for name in names]
    for gone in admin.delete_topics(full).values():
        gone.result(20)
    until(lambda: not set(full) & set(admin.list_topics(timeout=10).topics), "they are gone")
    topics.apply(connection, topics.wanted(connection.prefix, 1), replication_factor=1)


def refused(connection: Connection, tmp_path, code: Exit) -> str:
    """What a worker says that ends with `code`."""
    worker = Worker(connection, tmp_path, **QUIET)
    until(lambda: not worker.child.running(), f"it ends with {code}")
    words = worker.child.last_words().splitlines()[-1]
    assert worker.child.process.returncode == code, words
    return words


def test_an_emptied_state_topic_stops_the_worker_until_an_operator_says_so(
    connection, folded, tmp_path
):
    """Commits without states are exit 78; with `--accept-state-loss` it goes on behind them, and
    the log says what it passed over.
    """
    make_anew(connection, ["state.v1"])
    assert "--accept-state-loss" in refused(connection, tmp_path, Exit.CONFIG)
    options = (*OPTIONS, "--accept-state-loss")
    with running(connection, tmp_path, **QUIET | {"options": options}) as worker:
        feed(folded, 2)
        until_folded(connection, worker)
        assert worker.rows() == 2 * traffic.ROWS
        assert worker.metrics()["inferwatch_gap_total"] == 1
    assert replayed(connection).gaps == 1
    with running(connection, tmp_path, **QUIET):
        pass  # and from then on without it


def test_a_recreated_events_topic_stops_the_worker(connection, folded, tmp_path):
    """Offsets that begin again would look like repeats: exit 78, and the way out is to begin anew
    with both topics.
    """
    make_anew(connection, ["events.v1"])
    again = traffic.Feeder(connection, [MODEL], 1)
    feed(again, 2)
    words = refused(connection, tmp_path, Exit.CONFIG)
    assert "made anew" in words and "state.v1" in words
    make_anew(connection, ["events.v1", "state.v1", "windows.v1", "alerts.v1"])
    again = traffic.Feeder(connection, [MODEL], 1)
    feed(again, 4)
    with running(connection, tmp_path, **QUIET) as worker:
        until_folded(connection, worker)
    windows = list(published_windows(connection).values())
    assert traffic.wrong_windows(again.batches, windows) == []
    assert replayed(connection).digest == live_digest(connection)


def test_a_group_offset_beyond_the_log_stops_the_worker(connection, folded, tmp_path):
    """Out of range at the other end: exit 78, never a reset."""
    client = Consumer(connection.librdkafka(**{"group.id": f"{connection.prefix}worker"}))
    place = TopicPartition(connection.topic("events.v1"), 0, 1_000_000)
    until(lambda: committed(client, place), "the group is empty and takes an offset")
    client.close()
    assert "999999" in refused(connection, tmp_path, Exit.CONFIG)


def committed(client: Consumer, place: TopicPartition) -> bool:
    """Whether the group took the offset; while its last member is leaving it takes none."""
    try:
        client.commit(offsets=[place], asynchronous=False)
    except KafkaException:
        return False
    return True


def test_more_partitions_than_the_state_topic_stop_the_worker(connection, folded, tmp_path):
    """A model's state would be looked for in the wrong place: exit 78 names both topics."""
    grow(connection, "events.v1", 3)
    words = refused(connection, tmp_path, Exit.CONFIG)
    assert "state.v1 has 1 partitions" in words and "events.v1 3" in words


def test_more_partitions_under_a_running_worker_end_it(connection, folded, tmp_path):
    """It notices within a tick, says both numbers, and what it folded until then is safe: on topics
    that were both made larger no model is looked for in the wrong place.
    """
    with running(connection, tmp_path, embedded=False, monitors=traffic.MONITORS) as worker:
        grow(connection, "events.v1", 7)
        until(lambda: not worker.child.running(), "it notices")
        words = worker.child.last_words().splitlines()[-1]
        assert worker.child.process.returncode == Exit.CONFIG, words
        assert "has 7 partitions, 1 when this worker started" in words
    assert partition_of(MODEL, 7) != 0
    grow(connection, "state.v1", 7)
    assert f"the state of {MODEL} lies in partition 0" in refused(connection, tmp_path, Exit.CONFIG)


def grow(connection: Connection, name: str, partitions: int) -> None:
    """Make a topic larger, and wait until the broker says so."""
    admin, topic = AdminClient(connection.librdkafka()), connection.topic(name)
    for grown in admin.create_partitions([NewPartitions(topic, partitions)]).values():
        grown.result(20)
    until(
        lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == partitions,
        "the topic has grown",
    )


def test_a_flipped_bit_in_a_state_stops_the_worker_and_names_the_model(
    connection, folded, tmp_path
):
    """A damaged chunk is exit 74 with the model's name."""
    with LogReader(connection, "state.v1") as reader:
        held = {raw.key: raw.value for raw in reader.read_all()}
    assert len([key for key in held if key[:2] == b"r|"]) == 1
    chunks = [key for key, value in held.items() if key[:2] == b"c|" and value]
    producer = Producer(connection.librdkafka(acks="all"))
    for key in chunks:
        damaged = bytearray(held[key])
        damaged[len(damaged) // 2] ^= 1
        producer.produce(connection.topic("state.v1"), bytes(damaged), key)
    assert producer.flush(20) == 0
    assert MODEL in refused(connection, tmp_path, Exit.STORAGE)


def test_a_broker_that_is_away_for_long_is_waited_for(real_broker, connection, folded, tmp_path):
    """Away 12 s under a worker, then away when workers start: all is folded once it is back."""
    with Fleet(
        connection, tmp_path, embedded=False, options=OPTIONS, more={"monitors": traffic.MONITORS}
    ) as fleet:
        fleet.start("worker")
        fleet.until_ready()
        real_broker.order("kill")
        gone_s = time.monotonic()
        for _ in range(4):
            folded.send(MODEL)
        until(lambda: time.monotonic() - gone_s > 12, "12 seconds are over")
        fleet.kill("worker")
        until(lambda: ("worker", int(Exit.UNAVAILABLE)) in fleet.exits, "it finds no broker")
        real_broker.order("start")
        folded.finish()
        fleet.until_ready()
        until_folded(connection)
        assert fleet.unexpected() == []
    windows = list(published_windows(connection).values())
    assert traffic.wrong_windows(folded.batches, windows) == []
    assert replayed(connection).digest == live_digest(connection)
