"""Answers of brokers reach aiokafka's reader whole, the same ones and in their order."""

import asyncio
import inspect

import pytest
from aiokafka import conn
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.runtime.aiokafka_private import (
    KEPT_BYTES,
    LEAST_BYTES,
    WholeAnswers,
    read_whole_answers,
)


class Heard(WholeAnswers):
    """Remembers what the reader is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop.create_future(), asyncio.StreamReader(loop=loop), loop=loop)
        self.given: list[bytes] = []

    def data_received(self, data) -> None:
        self.given.append(bytes(data))

    def take(self, data: bytes) -> None:
        """What a transport does with what has come."""
        while data:
            room = self.get_buffer(-1)
            part = data[: len(room)]
            room[: len(part)] = part
            self.buffer_updated(len(part))
            data = data[len(part) :]


@pytest.fixture
def heard():
    """A protocol without a transport."""
    loop = asyncio.new_event_loop()
    yield Heard(loop)
    loop.close()


def framed(body: bytes) -> bytes:
    """An answer on the wire."""
    return len(body).to_bytes(4, "big") + body


@given(
    bodies=st.lists(st.binary(max_size=40) | st.just(b"x" * 3 * LEAST_BYTES), max_size=6),
    cuts=st.lists(st.integers(0, 40), max_size=30),
)
def test_however_it_is_cut_the_reader_gets_whole_answers(bodies, cuts):
    """All of them, in order, each by itself or with others; the last may never end."""
    loop = asyncio.new_event_loop()
    heard = Heard(loop)
    wire = b"".join(map(framed, bodies))
    unfinished = framed(b"unfinished")[:-1]
    left = wire + unfinished
    for size in cuts:
        heard.take(left[:size])
        left = left[size:]
    heard.take(left)
    loop.close()
    assert b"".join(heard.given) == wire
    ends = {sum(len(body) + 4 for body in bodies[:count]) for count in range(len(bodies) + 1)}
    given_bytes = [sum(map(len, heard.given[:count])) for count in range(len(heard.given) + 1)]
    assert set(given_bytes) <= ends


def test_a_promise_takes_no_memory(heard):
    """What is no broker may say any size: the buffer is as large as what has come asks for."""
    heard.take(b"HTTP/1.1 400 Bad Request" + b"x" * LEAST_BYTES)
    assert heard.given == []
    assert len(heard.get_buffer(-1)) < 2 * LEAST_BYTES


def test_a_size_below_zero_is_left_to_the_reader(heard):
    """aiokafka closes the connection on it."""
    heard.take(b"\xff\xff\xff\xff")
    assert heard.given == [b"\xff\xff\xff\xff"]


def test_the_room_of_a_large_answer_is_given_back(heard):
    """What is kept is bounded; an answer of the usual size finds its room again."""
    heard.take(framed(b"x" * (KEPT_BYTES // 4)))
    assert KEPT_BYTES // 4 < len(heard.get_buffer(-1)) <= KEPT_BYTES
    heard.take(framed(b"x" * KEPT_BYTES) + b"\0")
    assert len(heard.get_buffer(-1)) == LEAST_BYTES - 1
    assert [len(answer) for answer in heard.given] == [KEPT_BYTES // 4 + 4, KEPT_BYTES + 4]


def test_connections_read_through_it(monkeypatch):
    """aiokafka makes its protocol by this name, and each that is made later is ours."""
    monkeypatch.setattr(conn, "AIOKafkaProtocol", conn.AIOKafkaProtocol)
    read_whole_answers()
    assert conn.AIOKafkaProtocol is WholeAnswers
    source = inspect.getsource(conn.AIOKafkaConnection.connect)
    assert "AIOKafkaProtocol(self._closed_fut, reader, loop=loop)" in source


def test_a_socket_is_read_through_it():
    """An answer of megabytes and one behind it come through asyncio's own transport and reader."""
    bodies = [b"x" * 3_000_000, b"behind"]

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(map(framed, bodies)))
        await reader.read()  # until the other side has had enough
        writer.close()

    async def read() -> list[bytes]:
        loop, server = asyncio.get_running_loop(), await asyncio.start_server(answers, "127.0.0.1")
        reader = asyncio.StreamReader(loop=loop)
        transport, _ = await loop.create_connection(
            lambda: WholeAnswers(loop.create_future(), reader, loop=loop),
            *server.sockets[0].getsockname(),
        )
        seen = []
        for _ in bodies:
            seen.append(
                await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
            )
        transport.close()
        server.close()
        return seen

    assert asyncio.run(asyncio.wait_for(read(), 30)) == bodies
