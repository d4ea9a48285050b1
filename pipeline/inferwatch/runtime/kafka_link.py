"""The real brokers as `delivery.Link`: an idempotent producer and own readers, by aiokafka."""

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Mapping
from typing import Any, NoReturn

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP

from inferwatch.connection import Connection
from inferwatch.errors import ConfigError, Exit, TransientError
from inferwatch.runtime import faust_private
from inferwatch.runtime.checkpoint import Record
from inferwatch.runtime.continuity import CHOSEN_ONCE

REQUEST_MAX_BYTES = 1 << 20
LOOK_S = 5.0
CRASH_VARIABLE = "INFERWATCH_CRASH_AT"


class KafkaLink:
    """Clients of one worker process; `connect` before anything else."""

    def __init__(self, app: faust.App, connection: Connection, group: str, die: Any) -> None:
        self.writer = secrets.token_hex(4)
        self._app, self._connection, self._group, self._die = app, connection, group, die
        self._events = connection.topic("events.v1")
        self._state = connection.topic("state.v1")
        self._crash_at, self._crash_after = _crash(os.environ.get(CRASH_VARIABLE, ""))
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()
        self._prober: AIOKafkaConsumer | None = None
        self._reader: AIOKafkaConsumer | None = None
        self._partitions = 0

    async def connect(self) -> None:
        """Start the clients; does nothing the second time.

        :raises ConfigError: a topic is missing, or the state topic has other partitions.
        :raises KafkaError: no broker answers.
        """
        if self._producer is not None:
            return
        settings = self._connection.aiokafka()
        self._producer = AIOKafkaProducer(
            **settings,
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",  # an eighth of what aiokafka spends on lz4, whose level is 9
            linger_ms=5,
            max_batch_size=256 * 1024,
            max_request_size=REQUEST_MAX_BYTES,
            request_timeout_ms=15_000,
        )
        await self._producer.start()
        self._reader = AIOKafkaConsumer(**settings, **_READER)
        await self._reader.start()
        # an own consumer, because Faust's word about positions is not taken
        self._prober = AIOKafkaConsumer(**settings, **_READER | {"group_id": self._group})
        await self._prober.start()
        self._partitions = await self._count(self._events)
        held = await self._count(self._state)
        if held != self._partitions:
            raise ConfigError(
                f"{self._state} has {held} partitions, {self._events} {self._partitions}",
                fix=f"a model's state lies in the partition of its records; {CHOSEN_ONCE}",
            )

    async def _count(self, topic: str) -> int:
        assert self._producer is not None
        return len(await self._producer.partitions_for(topic))

    async def close(self) -> None:
        """Stop the clients; what was handed to the producer is sent first."""
        for client in (self._prober, self._reader, self._producer):
            if client is not None:
                await client.stop()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int | None = None,
    ) -> Awaitable[None]:
        """Hand a record to the producer, in the order of calls; what it gives ends when the brokers
        have it, or with TransientError when they have been away for too long.
        """
        assert self._producer is not None
        # aiokafka asks for a topic that it does not know, and waits for room: a record that came
        # later went first, and an alert ended before it began
        async with self._turn:
            sent: Awaitable[None] = await self._producer.send(
                self._connection.topic(topic),
                value,
                key=key,
                headers=list(headers.items()),
                partition=partition,
            )
        return _acknowledged(sent)

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Set group offsets; False where the group has moved on."""
        places = {TP(self._events, number): offset for number, offset in offsets.items()}
        return await faust_private.commit(self._app, places)

    async def bounds(self, partition: int) -> tuple[int, int, int]:
        """Oldest offset left in the events partition, its end, and the group's offset."""
        assert self._prober is not None
        place = TopicPartition(self._events, partition)
        self._prober.assign([place])
        heads = await self._prober.beginning_offsets([place])
        ends = await self._prober.end_offsets([place])
        return heads[place], ends[place], await self._prober.committed(place) or 0

    async def first_from(self, partition: int, offset: int) -> int:
        """Offset of the first record at or after `offset`: transactions and compaction leave
        holes.
        """
        assert self._prober is not None
        place = TopicPartition(self._events, partition)
        self._prober.assign([place])
        self._prober.seek(place, offset)
        message = await asyncio.wait_for(self._prober.getone(place), 10.0)
        return int(message.offset)

    async def state(self, partition: int, start: int) -> tuple[list[Record], int]:
        """Records of the state partition from `start` to today's end, and that end."""
        assert self._reader is not None
        place = TopicPartition(self._state, partition)
        self._reader.assign([place])
        end = (await self._reader.end_offsets([place]))[place]
        first = (await self._reader.beginning_offsets([place]))[place]
        self._reader.seek(place, max(first, start))
        records: list[Record] = []
        while await self._reader.position(place) < end:
            batch = await self._reader.getmany(place, timeout_ms=500)
            records += [(message.key, message.value) for message in batch.get(place, [])]
        return records, end

    def partitions(self) -> int:
        """Partitions of the events topic when this process started."""
        return self._partitions

    async def partitions_now(self) -> int:
        """Partitions of the events topic by a new look; those of the start where no broker
        answers within some seconds.
        """
        assert self._producer is not None
        client = self._producer.client
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.force_metadata_update(), LOOK_S)
        return len(client.cluster.partitions_for_topic(self._events) or ()) or self._partitions

    def generation(self) -> int | None:
        """Generation of the group that this member is in."""
        return faust_private.generation(self._app)

    def rebalancing(self) -> bool:
        """Whether an assignment is under way."""
        return bool(self._app.rebalancing)

    def now_s(self) -> float:
        """A clock that only moves forward."""
        return time.monotonic()

    def die(self, code: Exit, why: str) -> NoReturn:
        """End the process at once."""
        self._die(code, why)
        raise AssertionError("a dead process goes on")

    def reach(self, point: str) -> None:
        """Crash here where the environment asks for it: `INFERWATCH_CRASH_AT=C9:3` is the third
        time at C9.
        """
        if point == self._crash_at:
            self._crash_after -= 1
            if self._crash_after <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def _acknowledged(sent: Awaitable[None]) -> None:
    try:
        await sent
    except KafkaError as error:
        if error.retriable or isinstance(error, KafkaTimeoutError):
            raise TransientError(f"a write was not acknowledged in time: {error!r}") from None
        raise


_READER: dict[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "isolation_level": "read_uncommitted",
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_wait_ms": 50,
}


def _crash(asked: str) -> tuple[str, int]:
    point, _, times = asked.partition(":")
    return point, int(times or 1)
