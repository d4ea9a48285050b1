"""Rights that the brokers refuse, told in one sentence that an operator can act on (exit 77).

They are asked for at the start, so that a worker does not end months later with its first alert, or
a bridge with the first event. What is taken away while Faust runs comes as an error of aiokafka,
which names the topic or group, not who asked and for what.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from inferwatch import reach
from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import DeniedError
from inferwatch.runtime import rights

EMBEDDED = "mockCluster"  # so its name begins; it knows no rights and would let us wait
RIGHTS_S = 5.0
ASK_S = 10.0


class Speaker:
    """Who this process is to the brokers, and as what; set once, when its app is made."""

    connection: Connection | None = None
    component: str = ""


def sentence(error: BaseException | None) -> str:
    """What right is missing, "" where `error` and what caused it are of another kind."""
    for one in _causes(error):
        if isinstance(one, DeniedError):
            return str(one)
        if isinstance(one, TopicAuthorizationFailedError):
            return _told("topic", _named(one))
        if isinstance(one, GroupAuthorizationFailedError):
            return _told("group", _named(one))
        if isinstance(one, ClusterAuthorizationFailedError):
            return _told("cluster", "")
    return ""


def check_topics(connection: Connection, component: str, source: str = rights.SOURCE) -> None:
    """Ask the brokers whether all that the component may do to topics is granted; `source` is the
    full name of the topic that `ingest` reads.

    :raises DeniedError: something is not. Brokers that do not tell are believed to grant all.
    :raises ConfigError: as `reach.check`.
    :raises TransientError: no broker answers.
    """
    needed = rights.rights(connection.prefix, source)[component]
    topics = {right.name: right.operations for right in needed if right.resource == "topic"}
    client = AdminClient(connection.librdkafka(log_level=0, error_cb=lambda _: None))
    seen = reach.asked(connection, lambda timeout_s: client.list_topics(timeout=timeout_s))
    if (seen.cluster_id or "").startswith(EMBEDDED):
        return
    asked = client.describe_topics(
        TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=ASK_S
    )
    for name, operations in topics.items():
        granted = _granted(asked[name])
        missing = [one for one in operations if granted is not None and one not in granted]
        if missing:
            raise connection.denied(" and ".join(missing), f"topic {name}")


def _granted(asked: Any) -> set[str] | None:
    """Words of the operations that are allowed; None where the brokers do not tell."""
    try:
        operations = asked.result(ASK_S).authorized_operations
    except TimeoutError:
        return None
    except KafkaException as error:
        return set() if error.args[0].code() in REFUSALS else None
    if operations is None:
        return None
    return {one.name.title().replace("_", "") for one in operations}


def check_group(connection: Connection, group: str, topic: str) -> None:
    """Fail early where the group is refused: Faust would ask for it for ever. `topic` is the full
    name of what the group reads.

    :raises DeniedError: the principal may not read the group.
    """
    settings: dict[str, Any] = {"group.id": group, "log_level": 2, "error_cb": lambda _: None}
    consumer = Consumer(connection.librdkafka(**settings))
    try:
        code = _refused_code(consumer, topic)
    finally:
        consumer.close()
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
        raise connection.denied("Read", f"group {group}")


def _refused_code(consumer: Consumer, topic: str) -> int:
    """The brokers' answer to the question for an offset; 0 where they gave it, or none at all."""
    try:
        consumer.committed([TopicPartition(topic, 0)], timeout=RIGHTS_S)
        return 0
    except KafkaException as error:
        code = int(error.args[0].code())
    if code != KafkaError._TIMED_OUT:
        return code
    # librdkafka asks for a group's coordinator for ever, and tells here
    message = consumer.poll(0.5)
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


def _told(kind: str, name: str) -> str:
    who = Speaker.connection
    if who is None:
        return f"the brokers refuse {kind} {name}"
    needed = rights.rights(who.prefix).get(Speaker.component, [])
    if kind == "cluster":  # asked for by idempotent producers; Write on any topic includes it
        kind, name = "topic", next(one.name for one in needed if rights.WRITE in one.operations)
    found = [right for right in needed if (right.resource, right.name) == (kind, name)]
    operations = found[0].operations if found else (rights.READ,)
    return str(who.denied(" and ".join(operations), f"{kind} {name}"))
