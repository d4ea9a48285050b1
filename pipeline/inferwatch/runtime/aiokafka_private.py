"""The names of aiokafka that are not public and that the worker's speed depends on.

tests/unit/runtime/test_aiokafka_private.py fails when a release takes one away.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from aiokafka import conn
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from inferwatch.kernels import crc32c, jit

SIZE_BYTES = 4
LEAST_BYTES, KEPT_BYTES = 64 << 10, 8 << 20


class WholeAnswers(conn.AIOKafkaProtocol, asyncio.BufferedProtocol):
    """aiokafka's protocol, whose reader gets whole answers: a size in four bytes, and so many.

    asyncio's reader moves what it has with every part that comes, stops the socket and wakes who
    waits: half of what reading an answer of megabytes costs. Here parts lie behind each other in
    one buffer, which grows with what comes, not with what a size promises, and goes back after an
    answer above 8 MiB. Of an answer that does not end the reader sees nothing but the end.
    """

    def __init__(self, *arguments: Any, loop: asyncio.AbstractEventLoop, **others: Any) -> None:
        super().__init__(*arguments, loop=loop, **others)
        self._room, self._filled_bytes = bytearray(LEAST_BYTES), 0

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next part goes."""
        return memoryview(self._room)[self._filled_bytes :]

    def buffer_updated(self, nbytes: int) -> None:
        """A part is there: hand on the answers that are whole with it."""
        self._filled_bytes += nbytes
        end = self._whole_bytes()
        if end:
            self.data_received(memoryview(self._room)[:end])
            self._forget(end)
        if self._filled_bytes == len(self._room):
            self._room = self._room + bytes(len(self._room))  # not in place: the transport has it

    def _whole_bytes(self) -> int:
        """Where the last whole answer ends."""
        end = 0
        while self._filled_bytes - end >= SIZE_BYTES:
            size = int.from_bytes(self._room[end : end + SIZE_BYTES], "big", signed=True)
            if self._filled_bytes - end - SIZE_BYTES < size:
                break
            end += SIZE_BYTES + max(0, size)  # below 0 is for the reader to refuse
        return end

    def _forget(self, end: int) -> None:
        rest = self._room[end : self._filled_bytes]
        if len(self._room) > KEPT_BYTES:
            self._room = bytearray(LEAST_BYTES)
        self._room[: len(rest)] = rest
        self._filled_bytes = len(rest)


def read_whole_answers() -> None:
    """On every connection that is made from now on."""
    conn.AIOKafkaProtocol = WholeAnswers


class CheckedBatch:
    """aiokafka's record batch, whose checksum is ours: half the time, and the fold goes on."""

    SIZE_AT, HEAD_BYTES, CHECKED_AT = 8, 12, 21  # of the format's version 2
    LEAST_BYTES = 16 << 10

    def __init__(self, batch: Any, checked: memoryview) -> None:
        self._batch, self._checked = batch, checked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batch)

    def validate_crc(self) -> bool:
        """Whether the bytes are those that the producer has sent."""
        found = crc32c.checksum(np.frombuffer(self._checked, np.uint8), crc32c.TABLES)
        return bool(found == self._batch.crc)


class Batches:
    """aiokafka's batches of one partition; the large ones are `CheckedBatch`."""

    def __init__(self, data: bytes) -> None:
        self._records, self._rest = MemoryRecords(data), memoryview(data)
        self.size_in_bytes, self.has_next = self._records.size_in_bytes, self._records.has_next

    def next_batch(self) -> Any:
        """The batch that comes next; None behind the last one."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        size_at = CheckedBatch.SIZE_AT
        size = int.from_bytes(self._rest[size_at : size_at + SIZE_BYTES], "big")
        whole = self._rest[: CheckedBatch.HEAD_BYTES + size]
        self._rest = self._rest[len(whole) :]
        if len(whole) < CheckedBatch.LEAST_BYTES or getattr(batch, "magic", 0) != 2:
            return batch
        return CheckedBatch(batch, whole[CheckedBatch.CHECKED_AT :])


def check_by_parts() -> None:
    """In every consumer, from now on, where the kernel is compiled and reads words as they lie."""
    if sys.byteorder == "little" and not jit.settings.DISABLE_JIT:
        fetcher.MemoryRecords = Batches
