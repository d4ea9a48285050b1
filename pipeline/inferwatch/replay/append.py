"""Records put on the events topic by hand: a letter that is sent again, an operator's word."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import TransientError
from inferwatch.records.raw import RawRecord

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
