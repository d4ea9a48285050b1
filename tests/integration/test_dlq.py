"""`inferwatch dlq` on the embedded broker: what is there, and what sending again does."""

import json

import pytest
from confluent_kafka import Producer
from msgspec.structs import replace

from inferwatch import deadletters
from inferwatch.cli.main import main
from inferwatch.connection import Connection
from inferwatch.core.fold import Output, Partition
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.errors import Exit, Reason
from inferwatch.records.decode import decode
from inferwatch.records.raw import RawRecord
from inferwatch.replay.log import LogReader
from inferwatch.runtime import letters
from inferwatch.testing.builders import raw_inference, raw_labels
from inferwatch.testing.streams import definition

MODEL = "binary/m0"
FUTURE = b"io.inferwatch.inference.v2"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def connection(embedded_broker):
    """A connection to a broker of its own."""
    return Connection(embedded_broker)


def produce(connection: Connection, topic: str, records: list[RawRecord]) -> None:
    """Put records on a topic as any client would."""
    producer = Producer(connection.librdkafka(partitioner="murmur2_random", acks="all"))
    for raw in records:
        name, headers = connection.topic(topic), list(raw.headers.items())
        producer.produce(name, key=raw.key, value=raw.value, headers=headers)
    assert producer.flush(20) == 0


def folded(connection: Connection, *, upgraded: bool = False) -> tuple[Partition, list[Output]]:
    """The whole events topic through the fold; an `upgraded` one reads what v2 says as v1."""
    outputs, partition = [], Partition(0)
    with LogReader(connection, "events.v1") as reader:
        for offset, raw in enumerate(reader.read_all()):
            headers = dict(raw.headers)
            if upgraded and headers["ce_type"] == FUTURE:
                headers["ce_type"] = b"io.inferwatch.inference.v1"
            decoded = decode(replace(raw, headers=headers))
            if name := partition.undefined(decoded):
                partition.define(name, definition(name), offset)
            outputs += partition.fold(replace(raw, offset=offset), decoded)
    return partition, outputs


def dead(connection: Connection, quota: letters.Quota | None = None) -> list[deadletters.Letter]:
    """Fold the topic as it is, and put the dead letters where a worker would."""
    with LogReader(connection, "events.v1") as reader:
        places = [(raw.partition, raw.offset) for raw in reader.read_all()]
    partition = Partition(0)
    found = []
    with LogReader(connection, "events.v1") as reader:
        for number, offset in places:
            (raw,) = reader.read(number, offset, offset + 1)
            decoded = decode(raw)
            if name := partition.undefined(decoded):
                partition.define(name, definition(name), raw.offset)
            found += [output for output in partition.fold(raw, decoded) if output.kind == "dead"]
    sent = [letters.fit(output, quota or letters.Quota()) for output in found]
    produce(
        connection,
        "dlq.v1",
        [RawRecord("", 0, 0, 0, one.key, one.value, one.headers) for one in sent],
    )
    return deadletters.read(connection)


def run(connection: Connection, *words: str) -> int:
    """The command line."""
    return main(["dlq", *words, "--bootstrap-server", connection.bootstrap_servers])


def future(offset: int) -> RawRecord:
    """A batch whose type this release does not know yet."""
    raw = raw_inference(model=MODEL, offset=offset, prediction=[1], score=[0.9])
    return replace(raw, headers=raw.headers | {"ce_type": FUTURE})


def test_letters_are_listed_and_shown(connection, capsys):
    """By reason and model, the newest first, as a table and as JSON; one with its headers."""
    broken = replace(future(1), value=b"{", headers={})
    produce(connection, "events.v1", [future(0), broken])
    found = dead(connection)
    assert run(connection, "list") == Exit.DONE
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 3
    assert table[0].split()[:3] == ["ID", "REASON", "KEY"]
    assert run(connection, "list", "--reason", "not_json", "--format", "json") == Exit.DONE
    (line,) = capsys.readouterr().out.splitlines()
    assert (json.loads(line)["key"], json.loads(line)["reason"]) == (MODEL, "not_json")
    (letter,) = [one for one in found if one.reason == Reason.SCHEMA_UNKNOWN]
    assert run(connection, "show", letter.id) == Exit.DONE
    shown = capsys.readouterr().out
    assert FUTURE.decode() in shown
    assert "this release reads 1" in shown
    assert run(connection, "show", "no-such-letter") == Exit.USAGE


def test_nothing_is_sent_without_yes(connection, capsys):
    """A requeue says what it would do; one without a choice is refused."""
    produce(connection, "events.v1", [future(0)])
    dead(connection)
    assert run(connection, "requeue", "--reason", "schema_unknown") == Exit.DONE
    assert "would send 1" in capsys.readouterr().out
    assert run(connection, "requeue", "--yes") == Exit.USAGE
    partition, _ = folded(connection)
    assert partition.counts.in_ == 1


def test_an_unknown_schema_is_folded_after_the_upgrade_once(connection, capsys):
    """F28: sent again with its bytes, key and headers, in log order, twice: the release that knows
    it folds each record once, whichever copy comes first.
    """
    produce(connection, "events.v1", [future(offset) for offset in (4, 0, 2, 9)])
    found = dead(connection)
    newest = found[0]
    for words in ([newest.id], ["--reason", "schema_unknown"], ["--since", "1h"]):
        assert run(connection, "requeue", *words, "--yes") == Exit.DONE
    assert "sent 4, left 0" in capsys.readouterr().out
    before, outputs = folded(connection)
    assert before.counts.rejected == {Reason.SCHEMA_UNKNOWN: 4 + 1 + 4 + 4}
    attempts = [output.headers[f"{ERROR_HEADERS}attempts"] for output in outputs]
    assert attempts == [b"1"] * 4 + [b"2"] * 9
    after, _ = folded(connection, upgraded=True)
    assert after.counts.ok == 4
    assert after.counts.duplicate == {"id": 9}


def test_an_event_without_a_number_is_folded_once_too(connection):
    """A sender that numbers nothing is protected by the marker, across separate requeues."""
    body = {"model": MODEL, "version": "1", "timestamp": "2026-01-01T00:00:00Z", "prediction": 1}
    singles = [
        RawRecord(
            *("", 0, 0, 0, MODEL.encode()),
            json.dumps(body | {"prediction_id": f"p{number}"}).encode(),
            {"ce_type": FUTURE},
        )
        for number in range(3)
    ]
    produce(connection, "events.v1", singles)
    found = dead(connection)
    for letter in (found[0], found[2], found[1], found[0]):
        assert run(connection, "requeue", letter.id, "--yes") == Exit.DONE
    with LogReader(connection, "events.v1") as reader:
        copies = [raw for raw in reader.read_all() if "inferwatch-from" in raw.headers]
    partition = Partition(0)
    for offset, raw in enumerate(copies):
        known = raw.headers | {"ce_type": b"io.inferwatch.inference.v1"}
        decoded = decode(replace(raw, headers=known))
        if name := partition.undefined(decoded):
            partition.define(name, definition(name), offset)
        partition.fold(replace(raw, offset=offset), decoded)
    assert (partition.counts.ok, partition.counts.duplicate) == (3, {"id": 1})


def test_a_pointer_is_followed_to_the_log(connection, capsys):
    """Over the quota the bytes come from the record itself, while the topic has it."""
    spent = letters.Quota()
    while spent.take():
        pass
    broken = replace(future(0), value=b"{", headers={"content-type": b"application/json"})
    produce(connection, "events.v1", [broken])
    (letter,) = dead(connection, spent)
    assert (letter.body, letter.size_bytes) == (letters.OVER_QUOTA, 0)
    raw = deadletters.original(connection, letter)
    assert raw is not None
    assert raw.value == b"{"
    gone = replace(letter, offset=10_000)
    assert deadletters.original(connection, gone) is None


def test_what_cannot_be_sent_again_is_said(connection, capsys):
    """Some rows of a batch: its other rows are counted, so the batch would be a repeat."""
    produce(
        connection,
        "events.v1",
        [raw_labels(model=MODEL, ids=["a", "b"], label=[1.0, float("nan")])],
    )
    (letter,) = dead(connection)
    assert run(connection, "requeue", letter.id, "--yes") == Exit.FINDINGS
    told = capsys.readouterr()
    assert "other rows are counted" in told.err
    assert "sent 0, left 1" in told.out
