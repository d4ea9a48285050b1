"""Topics as code: what should be there, what differs, and what `apply` makes of it."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from inferwatch.cli.main import main
from inferwatch.connection import Connection
from inferwatch.errors import ConfigError, DeniedError, Exit, TransientError
from inferwatch.runtime import embedded, topics
from inferwatch.runtime.topics import Difference

CONNECTION = Connection("kafka:9092", {"sasl.username": "ops"}, prefix="p.")


def refused(code: int, text: str = "no") -> KafkaException:
    """An answer of the brokers."""
    return KafkaException(KafkaError(code, text))


class Brokers:
    """Topics in memory, in the place of an admin client."""

    def __init__(self, wanted: list[topics.Topic]) -> None:
        self.there = {topic.name: [topic.partitions, dict(topic.config)] for topic in wanted}
        self.made: list[tuple[str, int, int, dict[str, str]]] = []
        self.answer: Exception | None = None
        self.hidden: set[str] = set()
        self.made_by_others: set[str] = set()

    def describe_topics(self, asked):
        return {name: self._described(name) for name in asked.topic_names}

    def _described(self, name):
        future = Future()
        if name in self.hidden:
            future.set_exception(refused(KafkaError.TOPIC_AUTHORIZATION_FAILED))
        elif name in self.there and name not in self.made_by_others:
            future.set_result(SimpleNamespace(partitions=list(range(self.there[name][0]))))
        else:
            future.set_exception(refused(KafkaError.UNKNOWN_TOPIC_OR_PART))
        return future

    def _future(self, value):
        future = Future()
        if self.answer is None:
            future.set_result(value)
        else:
            future.set_exception(self.answer)
        return future

    def describe_configs(self, resources):
        return {
            resource: self._future(
                {
                    name: SimpleNamespace(value=value)
                    for name, value in self.there[resource.name][1].items()
                }
            )
            for resource in resources
        }

    def create_topics(self, new):
        self.made += [
            (topic.topic, topic.num_partitions, topic.replication_factor, topic.config)
            for topic in new
        ]
        answers = {}
        for topic in new:
            answers[topic.topic] = self._future(None)
            if topic.topic in self.there:
                answers[topic.topic] = Future()
                answers[topic.topic].set_exception(refused(KafkaError.TOPIC_ALREADY_EXISTS))
        return answers


@pytest.fixture
def brokers(monkeypatch):
    """Brokers that have every topic as it should be."""
    found = Brokers(topics.wanted("p."))
    monkeypatch.setattr(topics, "admin", lambda connection: found)
    return found


def test_what_should_be_there_is_what_the_design_says():
    """State has the partitions of events; alerts are one order; record times are the broker's."""
    found = {topic.name: topic for topic in topics.wanted("p.", 7)}
    assert list(found) == [
        *("p.events.v1", "p.windows.v1", "p.alerts.v1"),
        *("p.state.v1", "p.notified.v1", "p.dlq.v1"),
    ]
    assert [topic.partitions for topic in found.values()] == [7, 7, 1, 7, 1, 1]
    assert found["p.events.v1"].config["message.timestamp.type"] == "LogAppendTime"
    compacted = {
        name for name, topic in found.items() if topic.config["cleanup.policy"] == "compact"
    }
    assert compacted == {"p.state.v1", "p.notified.v1"}
    assert all(int(topic.config["max.message.bytes"]) >= 1 << 20 for topic in found.values())


def test_the_embedded_broker_has_the_same_topics():
    """Names, and which of them have one partition."""
    wanted = {topic.name: topic.partitions for topic in topics.wanted("", 4)}
    assert wanted == embedded.TOPICS


def test_nothing_differs_where_all_is_as_it_should_be(brokers):
    """And nothing is made."""
    assert topics.differences(CONNECTION, topics.wanted("p.")) == []
    assert topics.apply(CONNECTION, topics.wanted("p."), 3) == []
    assert brokers.made == []


def test_what_differs_is_named(brokers):
    """A missing topic, other partitions, another setting: what is, and what should be."""
    del brokers.there["p.dlq.v1"]
    brokers.there["p.alerts.v1"][0] = 3
    brokers.there["p.events.v1"][1]["message.timestamp.type"] = "CreateTime"
    assert topics.differences(CONNECTION, topics.wanted("p.")) == [
        Difference("p.events.v1", "message.timestamp.type", "CreateTime", "LogAppendTime"),
        Difference("p.alerts.v1", "partitions", "3", "1"),
        Difference("p.dlq.v1", "topic", "missing", "1 partitions"),
    ]


def test_only_what_is_missing_is_made(brokers):
    """With its settings; what is there stays as it is, however it differs."""
    del brokers.there["p.state.v1"]
    brokers.there["p.alerts.v1"][0] = 3
    wanted = {topic.name: topic for topic in topics.wanted("p.")}
    assert topics.apply(CONNECTION, list(wanted.values()), 2) == ["p.state.v1"]
    assert brokers.made == [("p.state.v1", 24, 2, dict(wanted["p.state.v1"].config))]


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (refused(KafkaError.INVALID_REPLICATION_FACTOR), ConfigError, "check partitions and the"),
        (refused(KafkaError.TOPIC_AUTHORIZATION_FAILED), DeniedError, "refuse User:ops Create on"),
        (TimeoutError(), TransientError, "no answer in 15 s"),
        (refused(KafkaError._TIMED_OUT), TransientError, "Create on topic"),
        (refused(KafkaError._TRANSPORT), TransientError, "Create on topic"),
        (refused(KafkaError.NOT_CONTROLLER), TransientError, "Create on topic"),
    ],
)
def test_what_the_brokers_refuse_is_told_by_who_must_act(brokers, answer, error, says):
    """The operator, whoever grants rights, or time."""
    brokers.there.clear()
    brokers.answer = answer
    with pytest.raises(error, match=says):
        topics.apply(CONNECTION, topics.wanted("p."), 3)


@pytest.mark.parametrize("code", [29, 31])
def test_apply_without_a_right_ends_with_77(brokers, code, capsys):
    """One sentence on standard error: who, what, on which topic, and how to grant it."""
    del brokers.there["p.state.v1"]
    brokers.answer = refused(code)
    arguments = ["topics", "apply", "--bootstrap-server", "kafka:9092", "--prefix", "p."]
    assert main(arguments) == Exit.PERMISSION
    assert capsys.readouterr().err == (
        "inferwatch: the brokers refuse User:ANONYMOUS Create on topic p.state.v1: "
        "grant it (`kafka-acls --add`)\n"
    )


def test_a_topic_that_may_not_be_seen_is_not_taken_for_missing(brokers):
    """Neither is it made, nor said to differ: the right is named."""
    brokers.hidden = {"p.alerts.v1"}
    for asked in (lambda topic: topics.apply(CONNECTION, topic, 3), differing):
        with pytest.raises(DeniedError, match=r"refuse User:ops Describe on topic p\.alerts\.v1"):
            asked(topics.wanted("p."))


def differing(wanted):
    """What differs."""
    return topics.differences(CONNECTION, wanted)


def test_a_topic_that_another_has_just_made_is_no_error(brokers):
    """Two that apply at the same time: the second made nothing, and says so."""
    brokers.made_by_others = {"p.alerts.v1"}
    assert topics.apply(CONNECTION, topics.wanted("p."), 3) == []


def test_settings_that_cannot_be_read_are_told(brokers):
    """`plan` needs a right too."""
    brokers.answer = refused(KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    with pytest.raises(DeniedError, match=r"DescribeConfigs on topic p\.events\.v1"):
        topics.differences(CONNECTION, topics.wanted("p."))
    brokers.answer = TimeoutError()
    with pytest.raises(TransientError):
        topics.differences(CONNECTION, topics.wanted("p."))


def test_no_broker_is_told():
    """With the address."""
    with pytest.raises(TransientError, match=r"no broker answers at 127\.0\.0\.1:1"):
        topics.admin(Connection("127.0.0.1:1"))
