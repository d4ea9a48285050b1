"""A TCP proxy for Kafka that delays, throttles, cuts and swallows: what networks do.

It stands before one broker. Answers name the broker's own address, which the proxy replaces by its
own of the same length, frame by frame, so that clients do not go around it.
"""

import asyncio
import socket
import struct
import threading
from contextlib import suppress

HOST = "127.0.0.1"


class Proxy:
    """A proxy at `address` before a broker on loopback; its knobs act at once on all connections.

    `delay_s` holds each answer back, `bytes_s` throttles them; `silent` swallows both ways without
    closing (half-open).
    """

    def __init__(self, broker: str) -> None:
        self.delay_s, self.bytes_s, self.silent = 0.0, float("inf"), False
        self.cuts = 0
        self._target = int(broker.rpartition(":")[2])
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener = socket.create_server((HOST, 0))
        self._port = int(self._listener.getsockname()[1])
        self.address = f"{HOST}:{self._port}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._reset)

    def _reset(self) -> None:
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.create_task(asyncio.start_server(self._accept, sock=self._listener))
        self._loop.run_forever()
        self._reset()
        self._listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
            both = {writer, far_writer}
            self._writers |= both
            try:
                asking = asyncio.ensure_future(self._ask(reader, far_writer))
                answering = asyncio.ensure_future(self._answer(far_reader, writer))
                await asyncio.wait([asking, answering], return_when=asyncio.FIRST_COMPLETED)
                for side in (asking, answering):
                    side.cancel()
                await asyncio.gather(asking, answering, return_exceptions=True)
            finally:
                self._writers -= both
        writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if not self.silent:
                writer.write(data)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own, shown = (
            HOST.encode() + struct.pack(">i", port) for port in (self._target, self._port)
        )
        while True:
            size = await reader.readexactly(4)
            body = await reader.readexactly(struct.unpack(">i", size)[0])
            await asyncio.sleep(self.delay_s + len(body) / self.bytes_s)
            if not self.silent:
                writer.write(size + body.replace(own, shown))
                await writer.drain()
