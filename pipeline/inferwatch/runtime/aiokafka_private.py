"""The name of aiokafka that is not public and that the worker's speed depends on.

tests/unit/runtime/test_aiokafka_private.py fails when a release takes it away.
"""

import asyncio
from typing import Any

from aiokafka import conn

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
