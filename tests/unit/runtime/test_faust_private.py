"""What the shell needs of Faust and aiokafka beyond their public names is there, and does that.

A release that takes one of these away, or gives it other arguments, fails here and not in a worker.
"""

import asyncio
import dataclasses
import gc
import inspect

import aiokafka
import faust
import pytest
from aiokafka import ConsumerRecord
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from inferwatch.connection import Connection
from inferwatch.runtime import app as apps
from inferwatch.runtime import faust_private

PLACE, OTHER = TP("events.v1", 3), TP("events.v1", 4)


@pytest.fixture
def app():
    """A Faust app as the worker makes it, which reaches no broker before it is started."""
    return apps.make(
        "t", Connection("127.0.0.1:1"), component="worker", embedded=False, session_timeout_s=10.0
    )


def names(function) -> list[str]:
    """Arguments of a function."""
    return list(inspect.signature(function).parameters)


def test_group_offsets_can_be_committed():
    """`_commit` of the consumer and of its thread: a coroutine that takes offsets by place."""
    for function in (Consumer._commit, AIOKafkaConsumerThread._commit):
        assert inspect.iscoroutinefunction(function)
        assert names(function) == ["self", "offsets"]


class FakeConsumer:
    """Commits like Faust's: what is not assigned is left out without a word."""

    def __init__(self, assigned: set[TP], answer: bool = True) -> None:
        self.assigned, self.answer = assigned, answer
        self.committed: dict[TP, int] = {}

    def assignment(self) -> set[TP]:
        return self.assigned

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.committed |= {place: at for place, at in offsets.items() if place in self.assigned}
        return self.answer


@pytest.mark.parametrize(
    ("assigned", "answer", "accepted"),
    [
        ({PLACE}, True, True),
        ({PLACE, OTHER}, True, True),
        ({PLACE}, False, False),
        ({OTHER}, True, False),
        (set(), True, False),
    ],
)
def test_a_commit_counts_only_where_the_partition_is_still_ours(assigned, answer, accepted):
    """Faust says True also where it has committed nothing, because the partition has gone."""

    class App:
        consumer = FakeConsumer(assigned, answer)

    assert asyncio.run(faust_private.commit(App(), {PLACE: 7})) is accepted
    assert App.consumer.committed.get(PLACE) == (7 if PLACE in assigned else None)


def test_faust_leaves_out_what_is_not_assigned():
    """The reason for the check above; where this fails, the check may go."""
    source = inspect.getsource(AIOKafkaConsumerThread._commit)
    assert "if tp in self.assignment()" in source


def test_the_generation_is_known(app):
    """Of the app before it has joined."""
    assert faust_private.generation(app) == 0


def record(place: TP, offset: int) -> ConsumerRecord:
    """A record as a fetch brings it."""
    body = b"body"
    return ConsumerRecord(
        *(place.topic, place.partition, offset, 1_000, 0, b"key", body, 0, 3, len(body), ())
    )


class Fetches:
    """In place of a fetch from the brokers: what is given, then nothing and the end."""

    def __init__(self, consumer: Consumer, *found: dict[TP, list[ConsumerRecord]]) -> None:
        self.consumer, self.left = consumer, list(found)

    async def __call__(self, timeout: float):
        if not self.left:
            self.consumer._stopped.set()
            return {}, set()
        found = self.left.pop(0)
        return found, set(found)


class Fetcher:
    """The service in whose name Faust's loop runs."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()


async def drained(app: faust.App, fetches: list, room: int) -> list[list[tuple[TP, list[int]]]]:
    """What Faust's own loop puts into the queue of an agent's topic: places and offsets of runs."""
    app.loop = asyncio.get_running_loop()
    app.flow_control.resume()
    topic = app.topic(PLACE.topic, acks=False, maxsize=room)
    channel = topic.clone(is_iterator=True)
    app.topics.add(channel)
    consumer = app.consumer
    consumer.highwater = lambda place: 0
    consumer._wait_next_records = Fetches(consumer, *fetches)
    draining = asyncio.ensure_future(consumer._drain_messages(Fetcher()))
    found = []
    while not draining.done() or not channel.queue.empty():
        if not channel.queue.empty():
            runs = channel.queue.get_nowait()
            found.append([(run.place, [one.offset for one in run.records]) for run in runs])
        await asyncio.sleep(0)
    await draining
    return found


def test_what_one_fetch_brings_is_one_message(app):
    """A run of each partition in the order of offsets, nothing left out, whatever came before."""
    fetches = [
        {PLACE: [record(PLACE, at) for at in range(4)], OTHER: [record(OTHER, 7)]},
        {},
        {OTHER: [record(OTHER, 8)], PLACE: [record(PLACE, 4), record(PLACE, 9)]},
        {PLACE: [record(PLACE, 10)]},
    ]
    assert asyncio.run(drained(app, fetches, room=1)) == [
        [(PLACE, [0, 1, 2, 3]), (OTHER, [7])],
        [(OTHER, [8]), (PLACE, [4, 9])],
        [(PLACE, [10])],
    ]


def test_a_run_keeps_its_place_and_generation(app):
    """By them the shell knows whose its records are; those are aiokafka's own."""
    told = record(PLACE, 3)

    async def found() -> list[faust_private.Run]:
        app.loop = asyncio.get_running_loop()
        consumer = app.consumer
        consumer.highwater = lambda place: 0
        consumer._wait_next_records = Fetches(consumer, {PLACE: [told]})
        app.consumer_generation_id = 8
        return [run async for _, fetched in consumer.getmany(1.0) for run in fetched.value]

    assert asyncio.run(found()) == [faust_private.Run(PLACE, 8, [told])]


def test_a_run_of_an_earlier_generation_is_handed_on_by_nobody(app):
    """Where the group moves on between two partitions of a fetch, the rest is left out."""

    async def found() -> list[TP]:
        app.loop = asyncio.get_running_loop()
        consumer = app.consumer

        def highwater(place: TP) -> int:
            app.consumer_generation_id += 1
            return 0

        consumer.highwater = highwater
        fetch = {place: [record(place, 3)] for place in (PLACE, OTHER)}
        consumer._wait_next_records = Fetches(consumer, fetch)
        return [run.place async for _, fetched in consumer.getmany(1.0) for run in fetched.value]

    assert asyncio.run(found()) == [PLACE]


def test_a_rebalance_ends_the_wait_for_room(app):
    """Faust empties the queues and suspends the flow; its loop must outlive both."""

    async def rebalanced() -> bool:
        app.loop = asyncio.get_running_loop()
        app.flow_control.resume()
        channel = app.topic(PLACE.topic, acks=False, maxsize=1).clone(is_iterator=True)
        app.topics.add(channel)
        app.flow_control.manage_queue(channel.queue)
        consumer = app.consumer
        consumer.highwater = lambda place: 0
        fetches = [{PLACE: [record(PLACE, at)]} for at in range(3)]
        consumer._wait_next_records = Fetches(consumer, *fetches)
        draining = asyncio.ensure_future(consumer._drain_messages(Fetcher()))
        while not channel.queue._putters:
            await asyncio.sleep(0)
        consumer.stop_flow()
        app.flow_control.suspend()
        app.flow_control.clear()
        for _ in range(20):
            await asyncio.sleep(0)
        alive = not draining.cancelled() and (not draining.done() or draining.exception() is None)
        draining.cancel()
        return alive

    assert asyncio.run(rebalanced())


def test_late_followers_are_given_time(monkeypatch):
    """The assignor is a class method of (cluster, members); alone, a worker does not wait."""
    assert names(RoundRobinPartitionAssignor.assign) == ["cluster", "members"]
    waited, assigned = [], []

    def assign(cls, cluster, members):
        assigned.append(members)
        return {}

    monkeypatch.setattr(RoundRobinPartitionAssignor, "assign", classmethod(assign))
    monkeypatch.setattr("time.sleep", waited.append)
    faust_private.slow_assignor(0.25)
    RoundRobinPartitionAssignor.assign(None, {"a": 1})
    assert waited == []
    RoundRobinPartitionAssignor.assign(None, {"a": 1, "b": 2})
    assert waited == [0.25]
    assert assigned == [{"a": 1}, {"a": 1, "b": 2}]


@pytest.mark.parametrize(
    "name", ["on_rebalance_complete", "on_partitions_revoked", "on_before_shutdown"]
)
def test_signals_reach_a_function_that_nobody_else_holds(app, name):
    """With `weak=False`, as the shell connects them, and with arguments of any number."""
    heard = []

    async def hear(*_, **__):
        heard.append(name)

    signal = getattr(app, name)
    signal.connect(hear, weak=False)
    del hear
    gc.collect()
    asyncio.run(signal.send())
    assert heard == [name]


def test_the_rest_of_the_surface_is_there(app):
    """Flags, decorators and consumer calls that shell and dispatcher use."""
    assert app.rebalancing is False and app.should_stop is False
    assert names(Consumer.assignment) == ["self"]
    assert names(Consumer.highwater) == ["self", "tp"]
    assert {"concurrency", "name"} <= set(names(app.agent))
    assert names(faust.App.timer)[:2] == ["self", "interval"]
    needed = {"topic", "partition", "offset", "timestamp", "headers", "key", "value"}
    assert needed <= {one.name for one in dataclasses.fields(ConsumerRecord)}


def test_the_clients_take_what_they_are_given():
    """Arguments of aiokafka that Faust does not hide from us."""
    producer = set(names(aiokafka.AIOKafkaProducer.__init__))
    consumer = set(names(aiokafka.AIOKafkaConsumer.__init__))
    assert {"enable_idempotence", "acks", "compression_type", "max_request_size"} <= producer
    assert {"isolation_level", "auto_offset_reset", "group_id", "fetch_max_wait_ms"} <= consumer
    for name in ("committed", "beginning_offsets", "end_offsets", "position", "getone", "getmany"):
        assert inspect.iscoroutinefunction(getattr(aiokafka.AIOKafkaConsumer, name))


def test_the_consumer_is_as_quiet_as_fausts_own():
    """Its starts and stops are Faust's lines, of which only errors are told, not ours."""
    assert faust_private.RunConsumer.logger.name.partition(".")[0] == "faust"
