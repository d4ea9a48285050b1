"""Topics as code: what should be there, what is, and the difference.

A model's records, its state and its windows lie in partitions of one number: these topics have as
many.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from inferwatch import reach
from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import ConfigError, TransientError

DAY_MS = 86_400_000
PARTITIONS = 24
TIMEOUT_S = 15.0
PASSING = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_CONTROLLER,
)
"""What a later try need not meet: brokers that are away, or choose a controller."""


@dataclass(frozen=True)
class Topic:
    """One topic: `config` holds the settings that we rely on."""

    name: str
    partitions: int
    config: Mapping[str, str]


def wanted(prefix: str, partitions: int = PARTITIONS) -> list[Topic]:
    """Every topic of a deployment."""
    kept = {"max.message.bytes": str(1 << 20)}
    compacted = kept | {
        "cleanup.policy": "compact",
        "segment.bytes": str(32 << 20),
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.2",
        "delete.retention.ms": str(DAY_MS),
    }

    def deleted(days: int) -> dict[str, str]:
        return kept | {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}

    stamped = {"message.timestamp.type": "LogAppendTime"}
    return [
        Topic(f"{prefix}events.v1", partitions, deleted(35) | stamped),
        Topic(f"{prefix}windows.v1", partitions, deleted(90)),
        Topic(f"{prefix}alerts.v1", 1, deleted(90)),
        Topic(f"{prefix}state.v1", partitions, compacted),
        Topic(f"{prefix}notified.v1", 1, compacted),
        Topic(f"{prefix}dlq.v1", 1, deleted(14)),
    ]


@dataclass(frozen=True)
class Difference:
    """A topic that is missing, or a setting of one that differs."""

    topic: str
    what: str
    found: str
    wanted: str


def admin(connection: Connection) -> Any:
    """A client that reaches the brokers.

    Raises what `reach.check` raises.
    """
    reach.check(connection)
    return AdminClient(connection.librdkafka(log_level=0, error_cb=lambda _: None))


def differences(connection: Connection, topics: list[Topic]) -> list[Difference]:
    """What `apply` would have to change, and what it will not. Raises what `apply` raises."""
    client = admin(connection)
    there = _seen(connection, client, topics)
    found = []
    for topic in topics:
        if topic.name not in there:
            found.append(
                Difference(topic.name, "topic", "missing", f"{topic.partitions} partitions")
            )
            continue
        partitions = len(there[topic.name].partitions)
        if partitions != topic.partitions:
            found.append(
                Difference(topic.name, "partitions", str(partitions), str(topic.partitions))
            )
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic.name)
        future = client.describe_configs([resource])[resource]
        described = _answer(connection, future, "DescribeConfigs", topic.name, 0)
        for name, value in topic.config.items():
            if described[name].value != value:
                found.append(Difference(topic.name, name, str(described[name].value), value))
    return found


def apply(connection: Connection, topics: list[Topic], replication_factor: int) -> list[str]:
    """Create what is missing; gives the names. Never deletes, never alters.

    :raises ConfigError: the broker cannot make a topic so.
    :raises DeniedError: it refuses to.
    :raises TransientError: it does not answer.
    """
    client = admin(connection)
    seen = _seen(connection, client, topics)
    new = [
        NewTopic(topic.name, topic.partitions, replication_factor, config=dict(topic.config))
        for topic in topics
        if topic.name not in seen
    ]
    if not new:
        return []
    answers = client.create_topics(new).items()
    there = KafkaError.TOPIC_ALREADY_EXISTS  # made by another just now
    return [name for name, future in answers if _answer(connection, future, "Create", name, there)]


def _seen(connection: Connection, client: Any, topics: list[Topic]) -> dict[str, Any]:
    """Those of the topics that are there, described; what may not be seen is not taken for missing.

    A request for topics by name that could make them, as librdkafka's others may, is not used.
    """
    asked = client.describe_topics(TopicCollection([topic.name for topic in topics]))
    found = {}
    for name, future in asked.items():
        described = _answer(connection, future, "Describe", name, KafkaError.UNKNOWN_TOPIC_OR_PART)
        if described:
            found[name] = described
    return found


def _answer(connection: Connection, future: Any, operation: str, topic: str, fine: int) -> Any:
    """What the brokers answer to a request, True where that is nothing; False for the code
    `fine`.
    """
    what = f"{operation} on topic {topic}"
    try:
        return future.result(TIMEOUT_S) or True
    except TimeoutError:
        raise TransientError(f"{what}: no answer in {TIMEOUT_S:.0f} s") from None
    except KafkaException as error:
        problem = error.args[0]
        if problem.code() == fine:
            return False
        if problem.code() in REFUSALS:
            raise connection.denied(operation, f"topic {topic}") from None
        if problem.code() in PASSING:
            raise TransientError(f"{what}: {problem.str()}") from None
        raise ConfigError(
            f"{what}: {problem.str()}", fix="check partitions and the replication factor"
        ) from None
