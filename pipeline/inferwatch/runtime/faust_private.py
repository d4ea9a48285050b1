"""The names of Faust that are not public and that the shell depends on, all in one place.

tests/unit/runtime/test_faust_private.py fails when a release takes one away.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import faust
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from faust.types.tuples import Message


async def commit(app: faust.App, offsets: dict[Any, int]) -> bool:
    """Commit group offsets; False where the group has moved on."""
    # pylint would call it private: there is no public way to commit what Faust does not track
    accepted = bool(await app.consumer._commit(offsets))
    # Faust leaves out what is not assigned any more, and answers as if it were committed
    return accepted and offsets.keys() <= set(app.consumer.assignment())


def generation(app: faust.App) -> int | None:
    """Generation of the consumer group that this member is in."""
    return app.consumer_generation_id


class Run(NamedTuple):
    """The messages that one fetch brought, under the names by which Faust's loop reads one."""

    topic: str
    offset: int
    key: None
    value: list[Message]


class RunConsumer(Consumer):
    """Faust's consumer, which hands on what one fetch brought where Faust hands on a message.

    Faust makes four tasks of what it hands on and takes it through a queue, an event and a stream:
    a fifth of the worker's time, where that was paid for each message. The agent's stream gives
    lists of messages, each with its own place, offset and generation.
    """

    def __init__(self, transport: Any, callback: Any, **others: Any) -> None:
        super().__init__(transport, callback=self._hand_on, **others)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """What Faust's own gives one by one, together, as if it were the last of them."""
        messages = [message async for _, message in super().getmany(timeout)]
        if messages:
            last = messages[-1]
            yield last.tp, Run(last.topic, last.offset, None, messages)

    async def _hand_on(self, run: Run) -> None:
        """Wait for room in the queue of each agent; a rebalance empties it, and ends the wait."""
        with contextlib.suppress(asyncio.CancelledError):
            for topic in self.app.topics:
                await topic.queue.put(run.value)


def in_runs(app: faust.App) -> None:
    """Let the app's agents get lists of messages; to be called before the app has a consumer."""
    app.transport.Consumer = RunConsumer


def slow_assignor(seconds: float) -> None:
    """Give late followers of the embedded broker time to ask for their assignment.

    Its group coordinator answers a follower that comes after the leader's SyncGroup with error 42,
    which no real broker does; Faust then idles until the watchdog ends it.
    """
    from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

    original = RoundRobinPartitionAssignor.assign

    def assign(cls: Any, cluster: Any, members: Any) -> Any:
        if len(members) > 1:
            import time

            time.sleep(seconds)
        return original.__func__(cls, cluster, members)

    RoundRobinPartitionAssignor.assign = classmethod(assign)  # type: ignore[method-assign]
