"""Rights that the brokers refuse, told in one sentence that an operator can act on (exit 77).

aiokafka's errors name the topic or group, not who asked and for what: one process speaks as one
principal, and what it needs of each topic is known.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from inferwatch.connection import Connection
from inferwatch.errors import DeniedError

NEEDS = {
    "events.v1": "Read and Write",
    "state.v1": "Read and Write",
    "notified.v1": "Read and Write",
    "windows.v1": "Write",
    "alerts.v1": "Write (a worker) or Read (a notifier)",
    "dlq.v1": "Write",
}
RIGHTS_S = 5.0


class Rights:
    """Who this process is to the brokers; `Rights.of` is set once, when its app is made."""

    of: Connection | None = None


def sentence(error: BaseException | None) -> str:
    """What right is missing, "" where `error` and what caused it are of another kind."""
    for one in _causes(error):
        if isinstance(one, DeniedError):
            return str(one)
        if isinstance(one, TopicAuthorizationFailedError):
            return _told(Rights.of, "topic", _named(one))
        if isinstance(one, GroupAuthorizationFailedError):
            return _told(Rights.of, "group", _named(one))
        if isinstance(one, ClusterAuthorizationFailedError):
            return _told(Rights.of, "cluster", "")
    return ""


def check_group(connection: Connection, group: str, topic: str) -> None:
    """Fail early where the group is refused: Faust would ask for it for ever.

    :raises DeniedError: the principal may not read the group, or the topic.
    """
    settings: dict[str, Any] = {"group.id": group, "log_level": 2, "error_cb": lambda _: None}
    consumer = Consumer(connection.librdkafka(**settings))
    name = connection.topic(topic)
    try:
        code = _refused_code(consumer, name)
    finally:
        consumer.close()
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
        raise DeniedError(_told(connection, "group", group))
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        raise DeniedError(_told(connection, "topic", name))


def _refused_code(consumer: Consumer, topic: str) -> int:
    """The brokers' answer to the question for an offset; 0 where they gave it, or none at all."""
    try:
        consumer.committed([TopicPartition(topic, 0)], timeout=RIGHTS_S)
        return 0
    except KafkaException as error:
        code = int(error.args[0].code())
    if code != KafkaError._TIMED_OUT:
        return code
    message = consumer.poll(
        0.5
    )  # librdkafka asks for a group's coordinator for ever, and tells here
    problem = message.error() if message is not None else None
    return int(problem.code()) if problem is not None else 0


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []  # Faust raises errors from themselves
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def _named(error: BaseException) -> str:
    found = error.args[0] if error.args else ""
    names = sorted(map(str, found)) if isinstance(found, set | frozenset | list) else [str(found)]
    return ", ".join(name for name in names if name)


def _told(connection: Connection | None, kind: str, name: str) -> str:
    who = connection.principal() if connection else "this process"
    short = name.removeprefix(connection.prefix) if connection else name
    needed = {"topic": NEEDS.get(short, "Read"), "group": "Read"}.get(kind, "IdempotentWrite")
    resource = f"{kind} {name}".strip()
    return f"the brokers refuse {who} {needed} on {resource}: grant it (`kafka-acls --add`)"
