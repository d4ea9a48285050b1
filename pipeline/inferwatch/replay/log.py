"""Offset ranges of a topic as records, read once and to a known end."""

import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from inferwatch import reach
from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import TransientError
from inferwatch.records.raw import RawRecord

PATIENCE_S = 10.0
LEADER_S = 30.0
LEADERLESS = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)


class LogReader:
    """Reads offset ranges of one of our topics with an own consumer that never commits."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self._connection = connection
        self._topic = connection.topic(topic)
        self._consumer = Consumer(
            connection.librdkafka(
                **{
                    "group.id": "inferwatch-replay",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "error",
                    "isolation.level": "read_uncommitted",
                    "enable.partition.eof": True,
                    "queued.max.messages.kbytes": 16_384,
                    "log_level": 2,
                    "error_cb": lambda _: None,  # what matters comes back from poll
                }
            )
        )

    def __enter__(self) -> "LogReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def partitions(self) -> list[int]:
        """The topic's partitions.

        :raises ConfigError: there is no such topic.
        :raises DeniedError: the brokers refuse it.
        :raises TransientError: no broker answers.
        """
        return reach.partitions(self._connection, self._consumer, self._topic)

    def ends(self, partition: int) -> tuple[int, int]:
        """The oldest offset that is left, and the one that comes next."""
        place = TopicPartition(self._topic, partition)
        deadline_s = time.monotonic() + LEADER_S
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=PATIENCE_S)
                return low, high
            except KafkaException as error:
                # a topic that was made a moment ago may still be looking for its leader
                passes = error.args[0].retriable() or error.args[0].code() in LEADERLESS
                if error.args[0].code() in REFUSALS:
                    raise self._connection.denied("Read", f"topic {self._topic}") from None
                if not passes or time.monotonic() > deadline_s:
                    raise TransientError(f"partition {partition}: {error.args[0].str()}") from None
            time.sleep(0.2)
            self._consumer.list_topics(self._topic, timeout=PATIENCE_S)  # who leads now

    def read_all(self) -> Iterator[RawRecord]:
        """All that is there now."""
        for partition in self.partitions():
            yield from self.read(partition, *self.ends(partition))

    def read(self, partition: int, start: int, end: int) -> Iterator[RawRecord]:
        """Records of `[start, end)`; the last offsets may hold none (transaction markers)."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        while True:
            message = self._consumer.poll(PATIENCE_S)
            if message is None:
                raise TransientError(f"partition {partition}: nothing came for {PATIENCE_S:.0f} s")
            problem = message.error()
            if problem is not None:
                if problem.code() == KafkaError._PARTITION_EOF:
                    return
                if problem.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    continue  # librdkafka looks for its coordinator, though nothing is committed
                if problem.code() in REFUSALS:
                    raise self._connection.denied("Read", f"topic {self._topic}")
                raise TransientError(f"{self._topic}, partition {partition}: {problem.str()}")
            if message.offset() >= end:
                return
            yield _raw(message)
            if message.offset() == end - 1:
                return


def _raw(message: Any) -> RawRecord:
    _, time_ms = message.timestamp()
    headers = {name: bytes(value or b"") for name, value in message.headers() or []}
    return RawRecord(
        message.topic(),
        message.partition(),
        message.offset(),
        time_ms,
        message.key(),
        message.value(),
        headers,
    )
