"""Topics as code: what should be there, what is, and the difference.

DESIGN: one model, one partition, one order; the state topic has the partitions of the events topic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import ConfigError, DeniedError, TransientError

DAY_MS = 86_400_000
PARTITIONS = 24
TIMEOUT_S = 15.0
THERE = 36  # Kafka's code for a topic that is to be made and exists


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

    :raises DeniedError: they do not believe who this is.
    :raises TransientError: they do not answer.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    told: list[int] = []  # librdkafka tries a wrong password again and tells of it only here
    heard: Any = {"log_level": 0, "error_cb": lambda error: told.append(error.code())}
    client = AdminClient(connection.librdkafka(**heard))
    try:
        client.list_topics(timeout=TIMEOUT_S)
    except KafkaException:
        if KafkaError._AUTHENTICATION in told:
            raise DeniedError(
                f"the brokers do not accept {connection.principal()}: check sasl.mechanism, name "
                "and password, or the certificate"
            ) from None
        raise TransientError(f"no broker answers at {connection.bootstrap_servers}") from None
    return client


def differences(connection: Connection, topics: list[Topic]) -> list[Difference]:
    """What `apply` would have to change, and what it will not. Raises what `apply` raises."""
    from confluent_kafka.admin import ConfigResource

    client = admin(connection)
    there = client.list_topics(timeout=TIMEOUT_S).topics
    found = []
    for topic in topics:
        if topic.name not in there or there[topic.name].error is not None:
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
        described = _answer(connection, future, f"DescribeConfigs on topic {topic.name}")
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
    from confluent_kafka.admin import NewTopic

    client = admin(connection)
    there = client.list_topics(timeout=TIMEOUT_S).topics
    new = [
        NewTopic(topic.name, topic.partitions, replication_factor, config=dict(topic.config))
        for topic in topics
        if topic.name not in there
    ]
    if not new:
        return []
    made = []
    for name, future in client.create_topics(new).items():
        if _answer(connection, future, f"Create on topic {name}", THERE) != THERE:
            made.append(name)
    hidden = {topic.topic for topic in new} - set(made)
    hidden -= set(client.list_topics(timeout=TIMEOUT_S).topics) if hidden else set()
    for name in sorted(hidden):  # what is there, and what nobody else has just made, is not shown
        raise _denied(connection, f"Describe on topic {name}, which exists")
    return made


def _denied(connection: Connection, what: str) -> DeniedError:
    who = connection.principal()
    return DeniedError(f"the brokers refuse {who} {what}: grant it (`kafka-acls --add`)")


def _answer(connection: Connection, future: Any, what: str, fine: int = 0) -> Any:
    """What the brokers answer to a request; the code `fine` is an answer too."""
    from confluent_kafka import KafkaException

    try:
        return future.result(TIMEOUT_S)
    except TimeoutError:
        raise TransientError(f"{what}: no answer in {TIMEOUT_S:.0f} s") from None
    except KafkaException as error:
        problem = error.args[0]
        if fine and problem.code() == fine:
            return fine
        if problem.code() in REFUSALS:
            raise _denied(connection, what) from None
        raise ConfigError(
            f"{what}: {problem.str()}", fix="check partitions and the replication factor"
        ) from None
