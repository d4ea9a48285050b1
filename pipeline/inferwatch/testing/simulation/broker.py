"""Brokers in memory: logs with holes, retention and compaction, and the group that shares them.

What matters of Kafka is kept: offsets never come back, a producer's records of one partition land
in order, a commit of a member that was put out is refused, an evicted member is not told.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Protocol

import msgspec

from inferwatch.core.placement import partition_of
from inferwatch.records.raw import RawRecord

PREPARE_S = 4.0
SESSION_S = 3.0
TOPICS = ("events.v1", "windows.v1", "alerts.v1", "dlq.v1", "state.v1")


class Log:
    """One partition. `records` by offset; `archive` keeps what retention and compaction took."""

    def __init__(self) -> None:
        self.records: dict[int, RawRecord] = {}
        self.archive: list[RawRecord] = []
        self.start = self.end = 0

    def append(self, record: RawRecord) -> int:
        """Give the record the next offset."""
        offset, self.end = self.end, self.end + 1
        placed = msgspec.structs.replace(record, offset=offset)
        self.records[offset] = placed
        self.archive.append(placed)
        return offset

    def hole(self) -> None:
        """A transaction marker: an offset that holds no record."""
        self.end += 1

    def read(self, offset: int, most: int) -> list[RawRecord]:
        """Up to `most` records at or after `offset`."""
        found = []
        for at in range(max(offset, self.start), self.end):
            if at in self.records:
                found.append(self.records[at])
                if len(found) == most:
                    break
        return found

    def trim(self, start: int) -> None:
        """Retention: forget what lies before `start`."""
        self.start = max(self.start, start)
        self.records = {at: kept for at, kept in self.records.items() if at >= self.start}

    def compact(self, keep_tail: int) -> None:
        """Keep the last record of each key, and everything in the tail; old tombstones go."""
        newest = {record.key: at for at, record in self.records.items()}
        kept = {}
        for at, record in self.records.items():
            tail = at >= self.end - keep_tail
            if tail or (newest[record.key] == at and record.value is not None):
                kept[at] = record
        self.records = kept


class Member(Protocol):
    """A process as the group sees it."""

    name: str
    generation: int | None
    silent_since_s: float | None

    async def prepare(self) -> None:
        """Let go of what it owns, while still a member."""

    def assign(self, generation: int, partitions: list[int]) -> None:
        """Take over; begun, not awaited."""

    def put_out(self) -> None:
        """It was too slow to let go, and is no member any more."""


class Broker:
    """Topics and one group. `speed` is how much faster record time runs than the loop's."""

    def __init__(self, partitions: int, chance: Random, start_ms: int, speed: float) -> None:
        self.partitions = partitions
        self.chance = chance
        self.start_ms, self.speed = start_ms, speed
        self.topics = {
            name: [
                Log()
                for _ in range(partitions if name in ("events.v1", "windows.v1", "state.v1") else 1)
            ]
            for name in TOPICS
        }
        self.committed: dict[int, int] = {}
        self.down_until_s = 0.0
        self.stalled_until_s: dict[str, float] = {}
        self.members: dict[str, Member] = {}
        self.generation = 0
        self.changed = asyncio.Event()

    def now_ms(self) -> int:
        """Record time."""
        return self.start_ms + int(asyncio.get_running_loop().time() * 1000 * self.speed)

    async def up(self) -> None:
        """Wait while the brokers are down."""
        loop = asyncio.get_running_loop()
        while loop.time() < self.down_until_s:
            await asyncio.sleep(self.down_until_s - loop.time())

    async def writable(self, topic: str) -> None:
        """Wait while the brokers are down, or the topic has no leader."""
        await self.up()
        loop = asyncio.get_running_loop()
        while (until_s := self.stalled_until_s.get(topic, 0.0)) > loop.time():
            await asyncio.sleep(until_s - loop.time())

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int | None,
        time_ms: int | None = None,
    ) -> None:
        """Put a record at the end of its partition, with the time of now unless it has one."""
        logs = self.topics[topic]
        if partition is None:
            partition = 0 if len(logs) == 1 else partition_of((key or b"").decode(), len(logs))
        at_ms = self.now_ms() if time_ms is None else time_ms
        record = RawRecord(topic, partition, -1, at_ms, key, value, dict(headers))
        logs[partition].append(record)

    # ── the group ────────────────────────────────────────────────────────────────────────────────

    def join(self, member: Member) -> None:
        """A member comes."""
        self.members[member.name] = member
        self.changed.set()

    def leave(self, name: str) -> None:
        """A member says goodbye."""
        if self.members.pop(name, None) is not None:
            self.changed.set()

    def commit(self, member: Member, offsets: Mapping[int, int]) -> bool:
        """Group offsets of a member; refused once it was put out."""
        if self.members.get(member.name) is not member or member.generation != self.generation:
            return False
        self.committed.update(offsets)
        return True

    async def watch(self) -> None:
        """Put out who is silent for a session."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.25)
            for name, member in list(self.members.items()):
                since_s = member.silent_since_s
                if since_s is not None and loop.time() - since_s > SESSION_S:
                    self.leave(name)

    async def coordinate(self) -> None:
        """Rebalance whenever members change: all let go, then all take over."""
        while True:
            await self.changed.wait()
            self.changed.clear()
            await asyncio.sleep(0.05 + self.chance.random() * 0.3)
            await self.up()
            waiting = {
                name: asyncio.ensure_future(member.prepare())
                for name, member in self.members.items()
            }
            if waiting:
                await asyncio.wait(waiting.values(), timeout=PREPARE_S)
            for name, task in waiting.items():
                if not task.done():
                    task.cancel()
                    slow = self.members.pop(name, None)
                    if slow is not None:
                        slow.put_out()
            self.generation += 1
            self._assign()

    def _assign(self) -> None:
        names = sorted(self.members)
        if not names:
            return
        turn = self.chance.randrange(len(names))
        for position, name in enumerate(names):
            mine = [
                number
                for number in range(self.partitions)
                if (number + turn) % len(names) == position
            ]
            self.members[name].assign(self.generation, mine)


class Outbox:
    """One process's producer: records of a partition land in order, some after its death."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._queues: dict[tuple[str, int | None], deque[tuple]] = {}
        self.dead = False

    def put(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int | None,
    ) -> "asyncio.Future[None]":
        """Hand over a record; the future ends when it has landed and the answer came."""
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (topic, partition)
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = deque()
            self._draining = asyncio.ensure_future(self._drain(place, queue))
        queue.append((key, value, headers, acknowledged))
        return acknowledged

    async def _drain(self, place: tuple[str, int | None], queue: deque[tuple]) -> None:
        chance = self._broker.chance
        while queue:
            await asyncio.sleep(0.001 + chance.random() * 0.02)
            if not self.dead:
                await self._broker.writable(place[0])
            if self.dead:
                # what was on the wire lands, perhaps long after; the rest is gone
                await asyncio.sleep(chance.random() * 2.0)
                for key, value, headers, _ in list(queue)[: chance.randrange(len(queue) + 1)]:
                    self._broker.append(place[0], key, value, headers, place[1])
                break
            landed = [queue.popleft() for _ in range(len(queue))]
            for key, value, headers, _ in landed:
                self._broker.append(place[0], key, value, headers, place[1])
            await asyncio.sleep(0.001 + chance.random() * 0.01)
            for *_, acknowledged in landed:
                if not acknowledged.done():
                    acknowledged.set_result(None)
        del self._queues[place]
