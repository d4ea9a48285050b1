"""The names of Faust that are not public and that the shell depends on, all in one place.

tests/unit/runtime/test_faust_private.py fails when a release takes one away.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import faust
from aiokafka import ConsumerRecord
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from faust.types.transports import SchedulingStrategyT


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
    """Consecutive records of one partition, and the generation of the group in which they came."""

    place: TP
    generation: int | None
    records: Sequence[ConsumerRecord[bytes, bytes]]


class Fetched(NamedTuple):
    """What one fetch brought, under the names by which Faust's loop reads a message."""

    topic: str
    offset: int
    key: None
    value: list[Run]


class PartitionByPartition(SchedulingStrategyT):
    """Hands on what a fetch brought of a partition as if it were one record of it.

    Faust takes a record of each partition in turn, and a model's state has left the processor's
    caches when its next record comes.
    """

    def __init__(self) -> None:
        """Nothing to keep."""

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Each partition with its records, in the order of offsets."""
        return iter(records.items())


class RunConsumer(Consumer):
    """Faust's consumer, which hands on what one fetch brought where Faust hands on a message.

    Faust looks up the log's end for a record and makes a message of it, then four tasks, and takes
    it through a queue, an event and a stream: a fifth of the worker's time, where that was paid for
    each. The agent's stream gives lists of runs.
    """

    logger = logging.getLogger("faust.transport.runs")  # not ours: it would tell each start and end

    def __init__(self, transport: Any, callback: Any, **others: Any) -> None:
        super().__init__(transport, callback=self._hand_on, **others)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """What Faust's own gives by partitions, together, as if it were the last record of it."""
        runs = [run async for _, run in super().getmany(timeout)]
        if runs:
            place, _, records = runs[-1]
            yield place, Fetched(place.topic, records[-1].offset, None, runs)

    def _to_message(self, tp: TP, record: Any) -> Any:
        """A run, of what `PartitionByPartition` gives for a record."""
        return Run(tp, self.app.consumer_generation_id, record)

    async def _hand_on(self, fetched: Fetched) -> None:
        """Wait for room in the queue of each agent; a rebalance empties it, and ends the wait."""
        with contextlib.suppress(asyncio.CancelledError):
            for topic in self.app.topics:
                await topic.queue.put(fetched.value)


def in_runs(app: faust.App) -> None:
    """Let the app's agents get lists of runs; to be called before the app has a consumer."""
    app.conf.ConsumerScheduler = PartitionByPartition
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
            time.sleep(seconds)
        return original.__func__(cls, cluster, members)

    RoundRobinPartitionAssignor.assign = classmethod(assign)  # type: ignore[method-assign]
