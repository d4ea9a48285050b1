"""The link to real brokers: what a refused write means."""

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, RequestTimedOutError

from inferwatch.connection import Connection
from inferwatch.errors import TransientError
from inferwatch.runtime import kafka_link
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


class Waiting:
    """A producer that knows no topic yet: the first record waits longest."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.looks = 5

    async def send(self, topic, value, **_):
        """Look the topic up, each time in fewer steps, and take the record."""
        for _step in range(self.looks):
            self.looks -= 1
            await asyncio.sleep(0)
        self.taken.append(value)
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent


def test_records_go_in_the_order_of_calls():
    """An alert never ends before it began, on the first record of a topic as on any other."""
    link = KafkaLink(None, Connection("127.0.0.1:1"), "group", None)
    link._producer = producer = Waiting()

    async def write() -> None:
        calls = [link.send("alerts.v1", b"key", b"%d" % seq, {}) for seq in range(4)]
        await asyncio.gather(*await asyncio.gather(*calls))

    asyncio.run(write())
    assert producer.taken == [b"0", b"1", b"2", b"3"]


class Known:
    """What a client knows of the cluster; a new look finds `now`, or nobody answers."""

    def __init__(self, now: int | None) -> None:
        self.now, self.found = now, 4
        self.client = self.cluster = self

    def force_metadata_update(self):
        """A new look."""
        answer = asyncio.get_running_loop().create_future()
        if self.now is not None:
            self.found = self.now
            answer.set_result(True)
        return answer

    def partitions_for_topic(self, topic):
        """None for a topic that is not there."""
        return set(range(self.found)) or None


@pytest.mark.parametrize(("now", "wanted"), [(4, 4), (8, 8), (None, 4), (0, 4)])
def test_partitions_are_looked_up_anew(now, wanted, monkeypatch):
    """Those of the moment; those of the start where no broker answers or the topic is gone."""
    monkeypatch.setattr(kafka_link, "LOOK_S", 0.01)
    link = KafkaLink(None, Connection("127.0.0.1:1"), "group", None)
    link._producer, link._partitions = Known(now), 4
    assert asyncio.run(link.partitions_now()) == wanted
    assert link.partitions() == 4
