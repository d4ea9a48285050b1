"""Records put on the events topic by hand: a letter that is sent again, an operator's word."""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import TransientError
from inferwatch.records.events import ReferenceChange, Verdict
from inferwatch.records.raw import JSON, RawRecord, headers

SEND_S = 30.0


def send(connection: Connection, records: Sequence[RawRecord]) -> None:
    """Put records on the events topic, by their keys, and wait until the brokers have them.

    :raises DeniedError: they refuse it.
    :raises TransientError: they do not answer; what was sent may be sent again.
    """
    if not records:
        return
    failed: list[KafkaError] = []
    producer = Producer(
        connection.librdkafka(
            **{
                "acks": "all",
                # idempotence would end in a fatal error instead of the answer to a record; in order
                # all the same, and the fold takes each record once
                "max.in.flight.requests.per.connection": 1,
                "partitioner": "murmur2_random",
                "message.max.bytes": 2 << 20,
                "log_level": 2,
                "error_cb": lambda _: None,
            }
        )
    )
    for raw in records:
        try:
            producer.produce(
                connection.topic("events.v1"),
                key=raw.key,
                value=raw.value,
                headers=list(raw.headers.items()),
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        except (BufferError, KafkaException) as error:
            raise TransientError(f"a record cannot be sent: {error}") from None
        producer.poll(0)
    left = producer.flush(SEND_S)
    if any(error.code() in REFUSALS for error in failed):
        raise connection.denied("Write", f"topic {connection.topic('events.v1')}")
    if left or failed:
        why = failed[0].str() if failed else "no answer"
        raise TransientError(f"not all was acknowledged: {why}")


def now_ms() -> int:
    """When an operator says a word."""
    return round(time.time() * 1000)


def say(connection: Connection, change: ReferenceChange | Verdict) -> None:
    """Put an operator's word into the log of its model.

    :raises DeniedError: the brokers refuse it.
    :raises TransientError: they do not answer; said again it changes nothing more.
    """
    described = headers(
        "verdict" if isinstance(change, Verdict) else "reference",
        id=str(uuid.uuid4()),
        source="inferwatch/cli",
        time=datetime.fromtimestamp(change.time_ms / 1000, UTC).isoformat(),
        content_type=JSON,
    )
    body, key = msgspec.json.encode(change), change.model.encode()
    send(connection, [RawRecord("", -1, -1, change.time_ms, key, body, described)])
