"""The link to real brokers: what a refused write means."""

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, RequestTimedOutError

from inferwatch.connection import Connection
from inferwatch.errors import TransientError
from inferwatch.runtime.kafka_link import KafkaLink


class Refusing:
    """A producer whose brokers never take anything."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def send(self, *_, **__):
        """A record that will not arrive."""
        sent = asyncio.get_running_loop().create_future()
        sent.set_exception(self.error)
        return sent


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (KafkaTimeoutError(), TransientError),
        (RequestTimedOutError(), TransientError),
        (MessageSizeTooLargeError(), MessageSizeTooLargeError),
    ],
)
def test_brokers_that_are_away_are_no_bug(error, meaning):
    """Time mends a write that nobody took (exit 69), not one that is refused for what it is."""
    link = KafkaLink(None, Connection("127.0.0.1:1"), "group", None)
    link._producer = Refusing(error)

    async def write() -> None:
        await (await link.send("state.v1", b"key", b"value", {}, 0))

    with pytest.raises(meaning):
        asyncio.run(write())
