"""What the notifier reads and writes itself: plans and results, dead letters, positions.

`inferwatch.records.notified` says what a record means. Each process writes under a name of its own,
so that a stalled one that wakes cannot replace what its successor wrote.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from inferwatch.connection import Connection
from inferwatch.records import notified
from inferwatch.records.notified import NotifiedRecord

HOLE_TIMEOUT_S = 10.0


class NotifiedLog:
    """One producer and one consumer; one for each process."""

    def __init__(self, connection: Connection, group: str) -> None:
        self.topic = connection.topic("notified.v1")
        self.writer = secrets.token_hex(4)
        self._connection = connection
        self._producer = AIOKafkaProducer(
            **connection.aiokafka(),
            enable_idempotence=True,
            acks="all",
            max_request_size=1 << 20,
            request_timeout_ms=15_000,
        )
        self._reader = AIOKafkaConsumer(
            **connection.aiokafka(),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted",
            fetch_max_wait_ms=50,
        )

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()
        await self._reader.start()

    async def stop(self) -> None:
        """Send what is queued and disconnect."""
        await self._producer.stop()
        await self._reader.stop()

    async def held(self) -> dict[bytes, NotifiedRecord]:
        """The last record of every key.

        :raises DataError: one cannot be read.
        """
        found: dict[bytes, NotifiedRecord] = {}
        for number in sorted(await self._producer.partitions_for(self.topic)):
            place = TopicPartition(self.topic, number)
            self._reader.assign([place])
            end = (await self._reader.end_offsets([place]))[place]
            await self._reader.seek_to_beginning(place)
            while await self._reader.position(place) < end:
                batch = await self._reader.getmany(place, timeout_ms=500)
                for message in batch.get(place, []):
                    found.pop(message.key, None)
                    if message.value is not None:
                        found[message.key] = notified.read(message.value)
        return found

    async def position(self, topic: str, partition: int) -> int:
        """The last offset that the group is done with, or that the log no longer holds."""
        place = TopicPartition(topic, partition)
        self._reader.assign([place])
        head = (await self._reader.beginning_offsets([place]))[place]
        return int(max(await self._reader.committed(place) or 0, head)) - 1

    async def is_hole(self, topic: str, partition: int, expected: int, found: int) -> bool:
        """Whether the log really holds nothing in between (transaction markers, retention)."""
        place = TopicPartition(topic, partition)
        self._reader.assign([place])
        self._reader.seek(place, expected)
        message = await asyncio.wait_for(self._reader.getone(place), HOLE_TIMEOUT_S)
        return bool(message.offset >= found)

    async def write(self, record: NotifiedRecord) -> Awaitable[Any]:
        """Queue a record; awaiting what is returned waits for its acknowledgement."""
        key = notified.key(record.fingerprint, record.channel, self.writer)
        queued: Awaitable[Any] = await self._producer.send(
            self.topic, msgspec.json.encode(record), key=key
        )
        return queued

    async def forget(self, keys: list[bytes]) -> None:
        """Delete keys of earlier writers, once this one's newer record is acknowledged."""
        for key in keys:
            await self._producer.send_and_wait(self.topic, None, key=key)

    async def dead_letter(self, key: bytes, value: bytes, headers: Mapping[str, bytes]) -> None:
        """Write a dead letter and wait for its acknowledgement."""
        topic = self._connection.topic("dlq.v1")
        await self._producer.send_and_wait(topic, value, key=key, headers=list(headers.items()))
