"""`inferwatch.alerts`: every transition once, in order, and what is open now."""

import itertools
import random
from datetime import UTC, datetime

import pytest
from confluent_kafka import KafkaError, Producer
from hypothesis import given
from hypothesis import strategies as st

from inferwatch import alerts
from inferwatch.connection import Connection
from inferwatch.errors import ConfigError, DeniedError, TransientError
from inferwatch.records.outputs import AlertRecord, canonical
from inferwatch.testing.alerts import alert_record

CONNECTION = Connection("kafka:9092", {"sasl.username": "oncall"})
T0_MS = 1_700_000_000_000


class Message:
    """A record, or an error, as librdkafka gives it."""

    def __init__(self, value=b"", *, offset=0, headers=(), problem=None, partition=0) -> None:
        self._value, self._offset, self._headers = value, offset, list(headers)
        self._problem, self._partition = problem, partition

    def error(self):
        return None if self._problem is None else KafkaError(self._problem, "told so")

    def value(self):
        return self._value

    def headers(self):
        return self._headers

    def timestamp(self):
        return 1, T0_MS + self._offset * 1_000

    def topic(self):
        return "inferwatch.alerts.v1"

    def offset(self):
        return self._offset

    def partition(self):
        return self._partition


END = Message(problem=KafkaError._PARTITION_EOF)


class Consumer:
    """Gives messages one after the other; then nothing comes any more."""

    def __init__(self, messages) -> None:
        self.messages, self.closed = iter(messages), False

    def list_topics(self, topic, timeout):
        described = type("Described", (), {"error": None, "partitions": {0: None}})
        return type("Metadata", (), {"topics": {topic: described}})

    def assign(self, places):
        assert [place.partition for place in places] == [0]

    def poll(self, timeout):
        return next(self.messages, None)

    def close(self):
        self.closed = True


@pytest.fixture
def topic(monkeypatch):
    """Puts messages on the alerts topic; gives the consumer that reads it."""

    def put(*messages) -> Consumer:
        consumer = Consumer(messages)
        monkeypatch.setattr(alerts, "_consumer", lambda connection: consumer)
        return consumer

    return put


def told(*records: AlertRecord) -> list[Message]:
    """Records on the topic, then its end."""
    return [*(Message(canonical(one), offset=at) for at, one in enumerate(records)), END]


def transition(fingerprint: str, seq: int, **more) -> AlertRecord:
    """A transition of an alert; equal arguments are equal records."""
    return alert_record(id=f"{fingerprint}-{seq}", fingerprint=fingerprint, seq=seq, **more)


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 6), min_size=1),
    st.integers(0, 1 << 32),
)
def test_transitions_come_once_and_in_order(highest, seed):
    """Whatever workers repeat, each fingerprint's `seq` only rises, and the last one is told.

    A topic is all transitions in order, with repeats of earlier ones anywhere behind them.
    """
    draw = random.Random(seed)
    records: list[AlertRecord] = []
    upcoming = {name: iter(range(1, top + 1)) for name, top in highest.items()}
    while upcoming:
        name = draw.choice(sorted(upcoming))
        seq = next(upcoming[name], None)
        if seq is None:
            del upcoming[name]
            continue
        records.append(transition(name, seq))
        records += draw.choices(records, k=draw.choice([0, 0, 1, 3]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alerts, "_consumer", lambda connection: Consumer(told(*records)))
        found = list(alerts.read(CONNECTION))
    for name, top in highest.items():
        assert [one.seq for one in found if one.fingerprint == name] == list(range(1, top + 1))
    assert len({one.id for one in found}) == len(found)


def test_a_late_word_is_dropped(topic):
    """What comes behind a higher `seq` is of a worker that lost its partition."""
    late = transition("a", 2, condition="ok", previous="firing")
    topic(*told(transition("a", 1), transition("a", 3), late, transition("b", 1)))
    assert [(one.fingerprint, one.seq) for one in alerts.read(CONNECTION)] == [
        *(("a", 1), ("a", 3), ("b", 1)),
    ]


def test_since_leaves_out_what_was_told_before(topic):
    """By record time; what is left out still counts for the order."""
    records = [transition("a", 1), transition("a", 2), transition("a", 1), transition("a", 3)]
    topic(*told(*records))
    since = datetime.fromtimestamp(T0_MS / 1000 + 2, UTC)
    assert [one.seq for one in alerts.read(CONNECTION, since=since)] == [3]
    with pytest.raises(ValueError, match="since has no time zone"):
        next(alerts.read(CONNECTION, since=datetime(2026, 1, 1)))


def test_only_live_and_readable_records_are_told(topic, caplog):
    """A backtest is not told; what is no alert is logged with its place, and reading goes on."""
    topic(
        Message(canonical(transition("a", 1)), headers=[("run", b"backtest")]),
        Message(b"\xff\xfe", offset=1),
        Message(b"{}", offset=2),
        Message(None, offset=3),
        Message(canonical(transition("b", 1)), offset=4, headers=[("run", b"live"), ("x", None)]),
        END,
    )
    assert [one.fingerprint for one in alerts.read(CONNECTION)] == ["b"]
    assert [line.split(" is no alert")[0] for line in caplog.messages] == [
        f"inferwatch.alerts.v1 offset {offset}" for offset in (1, 2, 3)
    ]


def test_reading_ends_at_the_end_and_following_does_not(topic):
    """`follow` waits through the end of the topic, silences and outages."""
    more = Message(canonical(transition("b", 1)), offset=9)
    outage = Message(problem=KafkaError._ALL_BROKERS_DOWN)
    consumer = topic(*told(transition("a", 1)), None, outage, END, more)
    found = list(itertools.islice(alerts.read(CONNECTION, follow=True), 2))
    assert [one.fingerprint for one in found] == ["a", "b"]
    consumer = topic(*told(transition("a", 1)), more)
    assert [one.fingerprint for one in alerts.read(CONNECTION)] == ["a"]
    assert consumer.closed


@pytest.mark.parametrize("found", [None, Message(problem=KafkaError._TRANSPORT)])
def test_silence_before_the_end_is_an_error(topic, found):
    """Half a topic is not taken for all of it."""
    consumer = topic(Message(canonical(transition("a", 1))), found)
    with pytest.raises(TransientError, match="no broker answers at kafka:9092"):
        list(alerts.read(CONNECTION))
    assert consumer.closed


def test_other_errors_are_told_by_who_must_act(topic):
    """A right that is missing is for whoever grants it; the rest may pass."""
    topic(Message(problem=KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(DeniedError, match=r"User:oncall .*inferwatch\.alerts\.v1"):
        list(alerts.read(CONNECTION))
    topic(Message(problem=KafkaError._MSG_TIMED_OUT))
    with pytest.raises(TransientError, match=r"alerts\.v1: told so"):
        list(alerts.read(CONNECTION))


def test_what_is_open_is_told_the_worst_first(topic):
    """The newest transition of each alert that is firing, without data or pending; then by age."""
    topic(
        *told(
            transition("ended", 1, at_ms=9),
            transition("ended", 2, condition="ok", previous="firing", at_ms=10),
            transition("pending", 1, condition="pending", severity="critical", at_ms=9),
            transition("gone", 1, condition="no_data", at_ms=9),
            transition("warned", 1, severity="warning", at_ms=9),
            transition("older", 1, severity="critical", at_ms=3),
            transition("newer", 1, severity="critical", at_ms=5),
            transition("twin", 1, severity="critical", at_ms=5),
        )
    )
    assert [one.fingerprint for one in alerts.current(CONNECTION)] == [
        *("newer", "twin", "older", "warned", "gone", "pending"),
    ]


def test_a_topic_is_read_from_a_broker(embedded_broker):
    """From its head, with repeats dropped; a second reader reads all of it again."""
    connection = Connection(embedded_broker)
    producer = Producer(connection.librdkafka(log_level=0))
    for one in (transition("a", 1), transition("a", 2), transition("a", 1), transition("b", 1)):
        producer.produce(connection.topic("alerts.v1"), canonical(one), one.fingerprint.encode())
    assert producer.flush(20) == 0
    for _ in range(2):
        found = list(alerts.read(connection))
        assert [one.id for one in found] == ["a-1", "a-2", "b-1"]
    assert found[0] == transition("a", 1)
    following = alerts.read(connection, follow=True)
    assert [next(following).id for _ in range(3)] == ["a-1", "a-2", "b-1"]
    following.close()
    with pytest.raises(ConfigError, match=r"no topic other\.alerts\.v1"):
        list(alerts.read(Connection(embedded_broker, prefix="other.")))


def test_no_broker_is_told(monkeypatch):
    """After some patience, with the address."""
    monkeypatch.setattr(alerts, "PATIENCE_S", 0.3)
    with pytest.raises(TransientError, match=r"no broker answers at 127\.0\.0\.1:1"):
        list(alerts.read(Connection("127.0.0.1:1")))
