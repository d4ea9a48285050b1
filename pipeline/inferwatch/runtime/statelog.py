"""Checkpoints on `state.v1`: a model's state in parts, its root last, and the marker after all.

Keys carry a random number of the writing process, so that a stalled owner that wakes up can only
overwrite its own older records, even through compaction; at restore the highest offset rules. Parts
go to one of two slots in turn, so that a crash between two parts never mixes two checkpoints.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from inferwatch.connection import Connection
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Definition

PART_BYTES = 512_000
FORMAT = 1
REQUEST_MAX_BYTES = 1 << 20


class StateLossError(ConfigError):
    """The state topic does not hold what the group's offset says was folded."""


class BrokenStateError(Exception):
    """A checkpoint cannot be read back: storage, not configuration."""


class Root(msgspec.Struct, frozen=True):
    """What makes the parts of one model's checkpoint a whole."""

    model: str
    offset: int
    slot: int
    parts: int
    checksum: str
    format: int = FORMAT


@dataclass
class Restored:
    """What a partition of the state topic held. `keys` are all of other writers."""

    offset: int = -1
    models: dict[str, bytes] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)


class StateLog:
    """Writes and reads checkpoints; one for each process."""

    def __init__(self, connection: Connection, producer: AIOKafkaProducer) -> None:
        self.topic = connection.topic("state.v1")
        self.writer = secrets.token_hex(4)
        self.written_bytes: dict[int, int] = {}
        self._connection, self._producer = connection, producer
        self._slots: dict[str, int] = {}

    def _key(self, *parts: object) -> bytes:
        return "|".join(str(part) for part in (*parts, self.writer)).encode()

    async def _send(self, partition: int, key: bytes, value: bytes | None) -> None:
        size = len(key) + len(value or b"")
        self.written_bytes[partition] = self.written_bytes.get(partition, 0) + size
        await (await self._producer.send(self.topic, value, key=key, partition=partition))

    async def write_model(self, partition: int, model: str, offset: int, data: bytes) -> None:
        """Parts first, each acknowledged; then the root that makes them count."""
        slot = self._slots[model] = 1 - self._slots.get(model, 1)
        cut = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
        for number, part in enumerate(cut):
            await self._send(partition, self._key("p", model, slot, number), part)
        root = Root(model, offset, slot, len(cut), checksum(data))
        await self._send(partition, self._key("r", model), msgspec.json.encode(root))

    async def write_definition(self, partition: int, model: str, definition: Definition) -> None:
        """A model's first definition, before its first record is folded."""
        await self._send(partition, self._key("d", model), msgspec.json.encode(definition))

    async def write_marker(self, partition: int, offset: int) -> None:
        """Everything up to `offset` is in the states before this record."""
        await self._send(partition, self._key("o"), str(offset).encode())

    async def forget(self, partition: int, keys: list[bytes]) -> None:
        """Tombstones for other writers' keys; only after a commit that followed the newer roots."""
        for key in keys:
            await self._send(partition, key, None)

    async def restore(self, partitions: list[int]) -> dict[int, Restored]:
        """The newest whole state of each partition.

        :raises BrokenStateError: no checkpoint of a model is whole.
        :raises ConfigError: a newer release wrote it.
        """
        settings = self._connection.aiokafka()
        consumer = AIOKafkaConsumer(
            **settings,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_uncommitted",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=50,
        )
        await consumer.start()
        try:
            return {number: await self._restore(consumer, number) for number in partitions}
        finally:
            await consumer.stop()

    async def _restore(self, consumer: Any, number: int) -> Restored:
        place = TopicPartition(self.topic, number)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        held: dict[bytes, bytes] = {}
        while await consumer.position(place) < end:
            batch = await consumer.getmany(place, timeout_ms=500)
            for message in batch.get(place, []):
                if message.value is None:
                    held.pop(message.key, None)
                else:
                    held[message.key] = message.value
        return gather(held, self.writer)


def gather(held: Mapping[bytes, bytes], writer: str) -> Restored:
    """The newest whole state out of the last record of each key."""
    found = Restored()
    roots: dict[str, list[tuple[Root, str]]] = {}
    for key, value in held.items():
        kind, *rest = key.decode().split("|")
        if rest[-1] != writer:
            found.keys.append(key)
        if kind == "o":
            found.offset = max(found.offset, int(value))
        elif kind == "d":
            found.definitions[rest[0]] = msgspec.json.decode(value, type=Definition)
        elif kind == "r":
            root = msgspec.json.decode(value, type=Root)
            if root.format > FORMAT:
                raise ConfigError(
                    f"a checkpoint has format {root.format}, this release reads {FORMAT}",
                    fix="start the release that wrote it",
                )
            roots.setdefault(root.model, []).append((root, rest[-1]))
    for model, candidates in roots.items():
        found.models[model] = _newest(held, candidates)
    return found


def _newest(held: Mapping[bytes, bytes], candidates: list[tuple[Root, str]]) -> bytes:
    for root, writer in sorted(candidates, key=lambda pair: -pair[0].offset):
        keys = [
            f"p|{root.model}|{root.slot}|{number}|{writer}".encode() for number in range(root.parts)
        ]
        data = b"".join(held.get(key, b"") for key in keys)
        if checksum(data) == root.checksum:
            return data
    model = candidates[0][0].model
    raise BrokenStateError(f"no checkpoint of {model} is whole: a part is missing or damaged")


def checksum(data: bytes) -> str:
    """Names the bytes of a state."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
