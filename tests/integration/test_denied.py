"""Rights that are missing: each process and command ends with 77 and says what to grant."""

import pytest
from confluent_kafka import Producer
from workers import Worker, send

from inferwatch.cli.main import main
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.ingest import bridge
from inferwatch.runtime import denied, embedded
from inferwatch.testing.builders import raw_inference

PRODUCE, FETCH, COMMIT, COORDINATOR = 0, 1, 8, 10
TOPIC, GROUP = 29, 30
pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(170)]


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        (PRODUCE, TOPIC, "Read and Write on topic inferwatch.state.v1"),
        (FETCH, TOPIC, "Read and Write on topic inferwatch.events.v1"),
        (COMMIT, GROUP, "Read on group inferwatch.worker"),
    ],
)
def test_a_worker_without_a_right_ends_with_77(asked, code, told, tmp_path):
    """F71: one sentence with principal, operation and resource, whoever asked: we or Faust."""
    broker = embedded.start()
    connection = Connection(broker.bootstrap_servers)
    send(connection, [raw_inference(model="team/model", offset=0)])
    broker.order("errors", asked, *([code] * 50))
    worker = Worker(connection, tmp_path, embedded=True)
    try:
        assert worker.child.process.wait(60) == Exit.PERMISSION, worker.child.last_words()
        assert f"the brokers refuse User:ANONYMOUS {told}" in worker.child.last_words()
    finally:
        worker.child.stop()
        broker.stop()


def test_a_group_that_is_refused_is_told_before_the_start(tmp_path):
    """Faust would ask for it for ever: it is asked for first, by a client that gives up."""
    broker = embedded.start()
    broker.order("errors", COORDINATOR, *([GROUP] * 50))
    worker = Worker(Connection(broker.bootstrap_servers), tmp_path, embedded=True)
    try:
        assert worker.child.process.wait(60) == Exit.PERMISSION, worker.child.last_words()
        assert "Read on group inferwatch.worker" in worker.child.last_words()
    finally:
        worker.child.stop()
        broker.stop()


def test_a_bridge_asks_for_its_group_before_it_starts(capsys, monkeypatch):
    """It ends with the sentence that the others give, and no bridge was made."""
    monkeypatch.setattr(bridge, "run", lambda *_: pytest.fail("it started"))
    broker = embedded.start()
    broker.order("errors", COORDINATOR, *([GROUP] * 50))
    options = Connection(broker.bootstrap_servers).arguments()
    source = "inferwatch.alerts.v1"
    try:
        assert main(["ingest", "--from", source, *options]) == Exit.PERMISSION
    finally:
        broker.stop()
    assert "refuse User:ANONYMOUS Read on group inferwatch.ingest" in capsys.readouterr().err


def test_the_sentence_names_the_principal_and_ends_on_circles():
    """A user or a certificate by name; Faust raises errors from themselves."""
    error = denied.TopicAuthorizationFailedError({"x.dlq.v1"})
    error.__cause__ = error
    denied.Speaker.connection = Connection("b:1", {"sasl.username": "watch"}, prefix="x.")
    denied.Speaker.component = "worker"
    try:
        assert denied.sentence(error) == (
            "the brokers refuse User:watch Write on topic x.dlq.v1: grant it (`kafka-acls --add`)"
        )
        outer = ValueError()
        outer.__context__ = error
        assert "User:watch" in denied.sentence(outer)
        assert denied.sentence(ValueError()) == denied.sentence(None) == ""
    finally:
        denied.Speaker.connection = None


@pytest.mark.parametrize(("command", "topic"), [("dlq list", "dlq.v1"), ("alerts", "alerts.v1")])
def test_a_command_ends_with_77_too(command, topic, capsys):
    """Reading commands say the same, with one line and no traceback."""
    broker = embedded.start()
    connection = Connection(broker.bootstrap_servers)
    producer = Producer(connection.librdkafka())
    producer.produce(connection.topic(topic), b"x")
    assert producer.flush(20) == 0
    broker.order("errors", FETCH, *([TOPIC] * 50))
    try:
        assert main([*command.split(), *connection.arguments()]) == Exit.PERMISSION
    finally:
        broker.stop()
    told = capsys.readouterr().err
    assert told.startswith(
        "inferwatch: the brokers refuse User:ANONYMOUS Read on topic inferwatch."
    )
    assert told.count("\n") == 1
