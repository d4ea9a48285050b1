"""The alerts topic for on-call tooling: every transition, once and in order.

    for alert in inferwatch.alerts.read(connection, follow=True):
        if alert.condition == "firing":
            page(alert)

The contract of the topic, which `read` keeps for its caller:

- Delivery is at least once. Equal `id` means equal bytes: what comes again is dropped.
- `seq` counts the transitions of one `fingerprint` from 1. What comes behind a higher `seq` is the
  late word of a worker that lost its partition: it is dropped, the highest `seq` rules.
- Alerts of different fingerprints have no order among each other.
- The topic alone tells every state: nothing else need be read, and reading changes nothing.
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from inferwatch import reach
from inferwatch.connection import Connection
from inferwatch.errors import TransientError
from inferwatch.records.outputs import AlertRecord, live

log = logging.getLogger("inferwatch.alerts")

PATIENCE_S = 10.0
OPEN = ("firing", "no_data", "pending")
# librdkafka goes on by itself after these
PASSING = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE)


def read(
    connection: Connection, *, follow: bool = False, since: datetime | None = None
) -> Iterator[AlertRecord]:
    """Transitions from the oldest that is left to the newest; with `follow` it waits for more.

    `since` leaves out what was told before it. Cost: the topic is read from its head, some
    kilobytes a transition. The consumer is its own, in no group: readers do not disturb each other.

    :raises DeniedError: the brokers refuse the topic, or who asks.
    :raises TransientError: no broker answers; while following, an outage is waited out.
    :raises ConfigError: there is no such topic.
    :raises ValueError: `since` has no time zone.
    """
    if since is not None and since.tzinfo is None:
        raise ValueError("since has no time zone")
    since_ms = round(since.timestamp() * 1000) if since is not None else 0
    highest: dict[str, int] = {}
    for alert, time_ms in _records(connection, follow):
        if alert.seq <= highest.get(alert.fingerprint, 0):
            continue
        highest[alert.fingerprint] = alert.seq
        if time_ms >= since_ms:
            yield alert


def current(connection: Connection) -> list[AlertRecord]:
    """The newest transition of every alert that is open: firing, pending, or without data.

    The worst first, then the latest. Raises what `read` raises.
    """
    newest = {alert.fingerprint: alert for alert in read(connection)}
    severities = ("critical", "warning", "info")
    return sorted(
        (alert for alert in newest.values() if alert.condition in OPEN),
        key=lambda alert: (
            OPEN.index(alert.condition),
            severities.index(alert.severity),
            -alert.at_ms,
            alert.fingerprint,
        ),
    )


def _records(connection: Connection, follow: bool) -> Iterator[tuple[AlertRecord, int]]:
    topic = connection.topic("alerts.v1")
    consumer = _consumer(connection)
    try:
        unread = set(reach.partitions(connection, consumer, topic))
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
        while follow or unread:
            message = consumer.poll(PATIENCE_S)
            problem = message.error() if message is not None else None
            if message is None or (problem is not None and problem.code() in PASSING):
                if not follow:
                    raise TransientError(f"no broker answers at {connection.bootstrap_servers}")
            elif problem is None:
                yield from _alert(message)
            elif problem.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            elif problem.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # nothing is committed
                raise connection.failure(problem.code(), f"topic {topic}", problem.str())
    finally:
        consumer.close()


def _consumer(connection: Connection) -> Any:
    settings = {
        "group.id": "inferwatch-alerts",  # a name is asked for; nothing joins it or commits
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_uncommitted",
        "enable.partition.eof": True,
        "log_level": 2,
        "error_cb": lambda _: None,  # what matters comes back from poll
    }
    return Consumer(connection.librdkafka(**settings))


def _alert(message: Any) -> Iterator[tuple[AlertRecord, int]]:
    if not live({name: value or b"" for name, value in message.headers() or []}):
        return
    try:
        yield msgspec.json.decode(message.value() or b"", type=AlertRecord), message.timestamp()[1]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("%s offset %d is no alert: %s", message.topic(), message.offset(), error)
