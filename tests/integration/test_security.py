"""On a real Kafka with TLS, SASL and access lists: least rights, and every mistake one sentence."""

import dataclasses
import itertools
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer
from secure_broker import PASSWORD, token
from workers import MODEL, PATIENCE_S, until

from inferwatch import Monitor
from inferwatch.cli.main import main
from inferwatch.connection import Connection
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.errors import Exit
from inferwatch.records.outputs import ComparedWith, Span, WindowRecord, canonical
from inferwatch.replay.log import LogReader
from inferwatch.runtime import topics
from inferwatch.runtime.processes import Child, wait_for
from inferwatch.runtime.rights import Right, rights
from inferwatch.sdk import notice
from inferwatch.testing.alerts import alert_record
from inferwatch.testing.receiver import Answer, Receiver

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(170)]
PREFIX, SOURCE, LETTER, ALERT = "inferwatch.", "orders", "by-hand", "f00d1111"
ROWS = 60
PROCESSES = {
    "worker": ["--tick-every", "1", "--checkpoint-every", "0.5", "--session-timeout", "6"],
    "notifier": ["--session-timeout", "6"],
    "ingest": ["--from", SOURCE],
}
MONITORS = f"""\
apiVersion: inferwatch/v1
match: {{model: {MODEL}}}
windows:
  batch: {{rows: 50}}
checks:
  - alert: Any
    metric: rows
    window: batch
    fail: {{above: 1}}
"""
WAYS = {"worker": "SCRAM-SHA-512", "notifier": "mTLS", "ingest": "SCRAM-SHA-256", "sdk": "OAUTH"}
IMPLY_DESCRIBE = {"Read", "Write"}
CASES = [
    (component, right, operation)
    for component, needed in rights(PREFIX, SOURCE).items()
    for right in needed
    for operation in right.operations
]
numbers = itertools.count()


@pytest.fixture(scope="module")
def broker(secure_broker):
    """With our topics, one that `ingest` reads, a window and an alert."""
    topics.apply(secure_broker.super, topics.wanted(PREFIX, 1), 1)
    topics.apply(secure_broker.super, [topics.Topic(SOURCE, 1, {})], 1)
    span = Span(name="batch", start=0, end=50, rows=50)
    learning = ComparedWith(kind="learning")
    window = WindowRecord(id="1", model=MODEL, version="1", window=span, reference=learning)
    write(secure_broker, f"{PREFIX}windows.v1", canonical(window))
    alert = alert_record(model=MODEL, fingerprint=ALERT)
    write(secure_broker, f"{PREFIX}alerts.v1", canonical(alert))
    return secure_broker


@pytest.fixture
def files(tmp_path) -> Path:
    """A monitor file, and channels of which one takes nothing."""
    (tmp_path / "monitors.yaml").write_text(MONITORS)
    (tmp_path / "secret").write_text("whsec_" + "A" * 43 + "=")
    return tmp_path


def connected(broker, folder, properties, address=None, prefix=PREFIX) -> Connection:
    """A connection by a file of properties."""
    file = folder / "client.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    file.chmod(0o600)
    return Connection(address or broker.sasl, properties, prefix, file)


def command(component, connection, folder) -> list[str]:
    """The command line of a component."""
    more = {
        "worker": ["--monitors", str(folder / "monitors.yaml")],
        "notifier": ["--channels", str(folder / "channels.yaml")],
        "replay": ["topic", "--out", str(folder / "out")],
        "models": [MODEL],
        "reference show": [MODEL],
        "reference accept": [MODEL],
        "reference reset": [MODEL],
        "alerts ack": [ALERT],
        "dlq show": [LETTER],
        "dlq requeue": [LETTER, "--yes"],
        "topics plan": ["--partitions", "1"],
        "topics apply": ["--partitions", "1", "--replication-factor", "1"],
    }
    more = [*more.get(component, []), *PROCESSES.get(component, [])]
    return [*component.split(), *more, *connection.arguments()]


def ran(component, connection, folder, capsys) -> tuple[int, str]:
    """Exit code and words of a command, of a process by its log."""
    words = command(component, connection, folder)
    if component not in PROCESSES:
        code = main(words)
        return code, capsys.readouterr().err
    child = Child(f"{component}-{next(numbers)}", "inferwatch.cli.main", words, folder)
    try:
        return child.process.wait(PATIENCE_S), child.last_words()
    finally:
        child.stop()


def known_as(broker, component, folder, endpoint) -> tuple[str, Connection]:
    """Principal and connection of a component, each with its own way to prove who it is."""
    name = component.replace(" ", "-")
    way = WAYS.get(component, "SCRAM-SHA-512")
    if way == "mTLS":
        path = broker.certificate(name)
        certificates = {
            "security.protocol": "SSL",
            "ssl.ca.location": str(broker.folder / "ca.pem"),
            "ssl.certificate.location": str(path),
            "ssl.key.location": str(path),
        }
        return broker.subject(path), connected(broker, folder, certificates, broker.mtls)
    if way == "OAUTH":
        return f"User:{name}", connected(broker, folder, broker.oauth(endpoint.url, name))
    broker.user(name)
    return f"User:{name}", connected(broker, folder, broker.properties(name, way))


@pytest.fixture
def endpoint():
    """A token endpoint on loopback; whoever asks for a token is `sdk`."""
    body = json.dumps({"access_token": token("sdk"), "expires_in": 3600})
    as_json = {"Content-Type": "application/json"}
    with Receiver(lambda _: Answer(headers=as_json, body=body.encode())) as receiver:
        yield receiver


def log_rows(connection) -> Monitor:
    """Rows by the SDK, delivered or given up."""
    monitor = Monitor(MODEL, "1", connection=connection)
    for row in range(ROWS):
        monitor.log({"x": float(row)}, prediction=1)
    monitor.flush(PATIENCE_S)
    monitor.close()
    return monitor


def write(broker, topic, value, headers=()) -> None:
    """By the super user."""
    producer = Producer(broker.super.librdkafka())
    producer.produce(topic, value, key=MODEL.encode(), headers=list(headers))
    assert producer.flush(20) == 0


def works(broker, component, connection, folder, capsys) -> None:
    """Let a component do all that it has rights for."""
    if component == "sdk":
        assert log_rows(connection).counters.delivered == ROWS
        return
    if component not in PROCESSES:
        assert ran(component, connection, folder, capsys) == (Exit.DONE, "")
        return
    if component == "worker":
        write(broker, f"{PREFIX}events.v1", b"rubbish")
    written = {
        "worker": ["state.v1", "windows.v1", "alerts.v1", "dlq.v1"],
        "notifier": ["notified.v1", "dlq.v1"],
        "ingest": ["events.v1"],
    }
    before = {topic: ends(broker, topic) for topic in written[component]}
    if component == "ingest":
        label = {"model": MODEL, "prediction_id": "a", "label": 1, "timestamp": 1}
        write(broker, SOURCE, json.dumps(label).encode())
    words = command(component, connection, folder)
    with Receiver(lambda _: Answer(status=400)) as receiver:
        (folder / "channels.yaml").write_text(
            f"notify:\n  - {{type: webhook, name: w, url: '{receiver.url}', secret_file: secret}}\n"
        )
        with Child(component, "inferwatch.cli.main", words, folder) as child:
            for topic in written[component]:
                wait_for(
                    lambda topic=topic: ends(broker, topic) > before[topic],
                    PATIENCE_S,
                    f"a record on {topic}",
                    [child],
                )
            assert child.stop() == Exit.DONE, child.last_words()


def ends(broker, topic) -> int:
    """How many records were written to one of our topics."""
    with LogReader(broker.super, topic) as reader:
        return sum(reader.ends(number)[1] for number in reader.partitions())


def test_every_right_that_is_printed_is_used_and_no_other(broker, files, endpoint, capsys):
    """With them each component does all that it is for; the brokers' own audit says what of."""
    pointer = {"id": LETTER, "topic": f"{PREFIX}events.v1", "partition": "0", "offset": "0"}
    pointer |= {"reason": "not_json", "body": "over quota"}
    headers = [(f"{ERROR_HEADERS}{name}", value.encode()) for name, value in pointer.items()]
    wrong = {}
    for component, needed in rights(PREFIX, SOURCE).items():
        principal, connection = known_as(broker, component, files, endpoint)
        if component == "topics apply":
            connection = dataclasses.replace(connection, prefix="made.")
            needed = rights("made.")[component]
        broker.grant(principal, needed)
        works(broker, component, connection, files, capsys)
        if component == "sdk":
            write(broker, f"{PREFIX}dlq.v1", b"", headers)
        printed = {
            (right.resource, right.name, operation.upper().replace("CONFIGS", "_CONFIGS"))
            for right in needed
            for operation in right.operations
        }
        implied = {(kind, name, "DESCRIBE") for kind, name, word in printed if word != "CREATE"}
        used = broker.asked(principal)
        if printed - used or used - printed - implied:
            wrong[component] = sorted(printed - used), sorted(used - printed - implied)
    assert wrong == {}


def told(principal, operation, right) -> str:
    """The sentence about a right that is missing."""
    return f"the brokers refuse {principal} {operation} on {right.resource} {right.name}: grant it"


@pytest.mark.parametrize(
    ("component", "right", "operation"), CASES, ids=lambda part: getattr(part, "name", part)
)
def test_without_a_right_a_component_says_which(
    broker, files, capsys, caplog, component, right, operation
):
    """One sentence with principal, operation and resource, and exit 77; the SDK tells it in the
    server's log, counts what it drops and goes on.
    """
    name = f"without-{next(numbers)}"
    broker.user(name)
    prefix = f"{name}." if component == "topics apply" else PREFIX
    less = Right(right.resource, right.name, (operation,), right.pattern)
    left = [
        Right(one.resource, one.name, (word,), one.pattern)
        for one in rights(PREFIX, SOURCE)[component]
        for word in one.operations
        if (one.resource, one.name, word) != (less.resource, less.name, operation)
    ]
    if component == "topics apply":
        moved = f"{prefix}{right.name.removeprefix(PREFIX)}"
        right = Right(right.resource, moved, right.operations)
        left = [
            Right(one.resource, f"{prefix}{one.name.removeprefix(PREFIX)}", one.operations)
            for one in left
        ]
    broker.grant(f"User:{name}", left)
    connection = connected(broker, files, broker.properties(name), prefix=prefix)
    (files / "channels.yaml").write_text("notify:\n  - {type: console, name: c}\n")
    if component == "sdk":
        notice._told.clear()
        with caplog.at_level(logging.WARNING):
            assert log_rows(connection).counters.dropped == {"not_delivered": ROWS}
            until(lambda: told(f"User:{name}", operation, right) in caplog.text, "a warning")
        return
    code, words = ran(component, connection, files, capsys)
    assert code == Exit.PERMISSION, words
    assert told(f"User:{name}", operation, right) in words


def test_a_bridge_asks_before_there_is_anything_to_move(broker, files, capsys):
    """Without Write on events, and nothing on its source that it could write."""
    topics.apply(broker.super, [topics.Topic("quiet", 1, {})], 1)
    name = f"without-{next(numbers)}"
    broker.user(name)
    read, write, group = rights(PREFIX, "quiet")["ingest"]
    broker.grant(
        f"User:{name}", [read, dataclasses.replace(write, operations=("Describe",)), group]
    )
    connection = connected(broker, files, broker.properties(name))
    assert main(["ingest", "--from", "quiet", *connection.arguments()]) == Exit.PERMISSION
    assert told(f"User:{name}", "Write", write) in capsys.readouterr().err


MISTAKES = {
    "a wrong password": (77, "the brokers do not accept User:{name} by SCRAM-SHA-512: check"),
    "a wrong authority": (78, "is not to be trusted: unable to get local issuer certificate"),
    "another host name": (78, "is not to be trusted: "),
    "an expired broker": (78, "is not to be trusted: certificate has expired"),
    "a host that is none": (69, "no broker answers at nowhere.invalid:9092: nowhere.invalid: "),
    "no TLS": (78, "speaks TLS"),
    "a certificate of none": (77, "does not accept the subject of "),
    "an expired client": (77, "does not accept the subject of "),
}


def mistaken(broker, mistake, folder) -> tuple[str, Connection]:
    """A user's connection with one thing wrong."""
    name = f"mistaken-{next(numbers)}"
    broker.user(name)
    properties, address = broker.properties(name), broker.sasl
    if mistake == "a wrong password":
        properties["sasl.password"] = "staple battery"
    elif mistake == "a wrong authority":
        properties["ssl.ca.location"] = str(broker.folder / "other-ca.pem")
    elif mistake == "another host name":
        address = address.replace("localhost", "127.0.0.1")
    elif mistake == "an expired broker":
        address = broker.expired
    elif mistake == "a host that is none":
        address = "nowhere.invalid:9092"
    elif mistake == "no TLS":
        properties = {}
    else:
        past = datetime.now(UTC) - timedelta(days=2)
        expired = {"not_after": past} if mistake == "an expired client" else {}
        path = broker.certificate(name, **expired)
        properties = {"security.protocol": "SSL", "ssl.ca.location": properties["ssl.ca.location"]}
        properties["ssl.certificate.location"] = properties["ssl.key.location"] = str(path)
        if mistake == "a certificate of none":
            broker.stranger(path)
        address = broker.mtls
    return name, connected(broker, folder, properties, address)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("component", ["worker", "alerts"])
def test_a_mistake_is_one_sentence_and_not_endless_retries(
    broker, files, capsys, mistake, component
):
    """The documented exit says who must act; nothing is tried for ever, no secret is shown."""
    code, says = MISTAKES[mistake]
    name, connection = mistaken(broker, mistake, files)
    found, words = ran(component, connection, files, capsys)
    assert (found, words.count("\n")) == (code, 1 if component == "alerts" else 0), words
    assert says.format(name=name) in words
    assert PASSWORD not in words and "staple battery" not in words


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_server_goes_on_whatever_is_wrong(broker, files, caplog, mistake):
    """The SDK answers at once, keeps rows for better times, and warns, without a secret."""
    notice._told.clear()
    _, connection = mistaken(broker, mistake, files)
    with caplog.at_level(logging.WARNING, "inferwatch"):
        monitor = Monitor(MODEL, "1", connection=connection)
        assert monitor.log({"x": 1.0}, prediction=1)
        until(lambda: caplog.records, "a warning")
        assert monitor.log({"x": 2.0}, prediction=1)
        monitor.close(0.0)
    counters = monitor.counters
    assert counters.emitted == 2 == counters.pending + sum(counters.dropped.values())
    assert PASSWORD not in caplog.text and "staple battery" not in caplog.text
