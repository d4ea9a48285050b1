"""One worker process over the brokers in memory: Faust's part in the real thing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import NoReturn

from inferwatch.core.fold import Output, Partition
from inferwatch.core.model import Model
from inferwatch.errors import ConfigError, Exit
from inferwatch.records.raw import Decoded, RawRecord
from inferwatch.runtime.checkpoint import Record
from inferwatch.runtime.delivery import Delivery
from inferwatch.runtime.ports import Rules
from inferwatch.testing.simulation.broker import Broker, Outbox
from inferwatch.testing.simulation.inspector import SlowInspector

KILLED = 137
POISON = "poison"


class Dead(BaseException):
    """Nothing of the process runs any more."""


class CrashPoints:
    """Which named places crash, at which visit; those in `every` at each so many-th one.

    `visits` and `crashes` are told at the end.
    """

    def __init__(self, armed: Mapping[str, int], every: Mapping[str, int]) -> None:
        self._armed, self._every = dict(armed), dict(every)
        self.visits: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()

    def disarm(self) -> None:
        """Nothing crashes any more."""
        self._armed, self._every = {}, {}

    def crash(self, point: str) -> bool:
        """Whether the process that came here ends now."""
        self.visits[point] += 1
        often = self._every.get(point)
        if self._armed.get(point) != self.visits[point] and (
            often is None or self.visits[point] % often
        ):
            return False
        self.crashes[point] += 1
        return True


class Process:
    """A worker: link, delivery protocol, and the loops that Faust runs in a real one."""

    def __init__(
        self,
        name: str,
        broker: Broker,
        rules: Rules,
        points: CrashPoints,
        chance: Random,
        faults: Counter[str],
        pace_bytes_s: float,
        models_max: int = 0,
    ) -> None:
        self.name = name
        self.broker, self.points, self.chance, self.faults = broker, points, chance, faults
        self.link = Link(self)
        self.inspector = SlowInspector(broker, Random(f"{self.link.writer}/inspector"))
        self.delivery = Delivery(
            self.link,
            rules,
            Quiet(),
            self.inspector,
            pace_bytes_s=pace_bytes_s,
            models_max=models_max,
        )
        self.outbox = Outbox(broker)
        self.generation: int | None = None
        self.rejoining = True
        self.positions: dict[int, int] = {}
        self.exit: int | None = None
        self.why = ""
        self.silent_since_s: float | None = None
        self.ended = asyncio.Event()
        self.resumed = asyncio.Event()
        self.resumed.set()
        self.ticking = True
        self.skip_next = False
        self._tasks: list[asyncio.Task[None]] = []

    # ── life and death ───────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Join the group and work until the end."""
        self._spawn(self._fetch)
        self._spawn(partial(self._every, 0.5, self.delivery.checkpoint))
        self._spawn(partial(self._every, 1.0, self._tick))
        self.broker.join(self)

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.ensure_future(self._mortal(work)))

    async def _mortal(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Dead:
            return
        except ConfigError as error:
            self.end(Exit.CONFIG, str(error))
        except Exception as error:
            if not self.delivery.closing:
                self.end(Exit.BUG, repr(error))

    def end(self, code: int, why: str = "") -> None:
        """The process is gone; the group learns of it when the session is over."""
        if self.exit is not None:
            return
        self.exit, self.why = code, why
        self.silent_since_s = self.silent_since_s or asyncio.get_running_loop().time()
        self.outbox.dead = True
        self.resumed.set()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self.ended.set()

    async def terminate(self) -> None:
        """SIGTERM: hand over, leave, end."""
        try:
            await self.alive()
            await self.delivery.close()
            await self.alive()
            self.broker.leave(self.name)
            self.end(Exit.DONE)
        except Dead:
            return

    async def stall(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while; then it learns what happened meanwhile."""
        loop = asyncio.get_running_loop()
        self.silent_since_s = loop.time()
        self.resumed.clear()
        await asyncio.sleep(seconds)
        if self.exit is not None:
            return
        self.silent_since_s = None
        self.resumed.set()
        await self._hear()

    def put_out(self) -> None:
        """The group went on without us."""
        if self.exit is None:
            self._spawn(self._hear)

    async def _hear(self) -> None:
        """The next heartbeat tells whether we are still in the group; else we join again."""
        await asyncio.sleep(self.chance.random() * 1.5)
        if self.exit is None and self.broker.members.get(self.name) is not self:
            self._spawn(self._come_back)

    async def _come_back(self) -> None:
        await self.prepare()
        await self.alive()
        self.broker.join(self)

    async def alive(self) -> None:
        """Go on when running, wait while stopped, never come back when dead."""
        await self.resumed.wait()
        if self.exit is not None:
            raise Dead

    # ── the group's calls ────────────────────────────────────────────────────────────────────────

    async def prepare(self) -> None:
        """A rebalance begins."""
        try:
            await self.alive()
            self.rejoining = True
            await self.delivery.hand_over()
        except Dead:
            await asyncio.Event().wait()

    def assign(self, generation: int, partitions: list[int]) -> None:
        """A rebalance is over."""
        self._spawn(partial(self._take_over, generation, partitions))

    async def _take_over(self, generation: int, partitions: list[int]) -> None:
        await self.alive()
        self.generation = generation
        await self.delivery.restore(partitions)
        if self.generation != generation:
            return
        self.positions = {number: self.broker.committed.get(number, 0) for number in partitions}
        self.rejoining = False

    # ── the loops ────────────────────────────────────────────────────────────────────────────────

    async def _fetch(self) -> None:
        while True:
            await self.alive()
            await self.broker.up()
            found = [] if self.rejoining else self._batch()
            generation = self.generation
            while found:
                await self.alive()
                if self.rejoining and self.chance.random() < 0.5:
                    break  # Faust clears its buffers, or delivers what it has
                if self.skip_next:
                    self.skip_next = False
                    del found[self.chance.randrange(len(found))]
                    continue
                run = self._run(found)
                del found[: len(run)]
                self.link.coming = iter(run)
                await self.delivery.receive(run, generation)
                if generation == self.generation and run[0].partition in self.positions:
                    self.positions[run[0].partition] = run[-1].offset + 1
            await asyncio.sleep(0.005 if found else 0.05)

    def _run(self, found: list[RawRecord]) -> list[RawRecord]:
        """Records of one partition that the delivery gets at once: the first of them."""
        most = self.chance.choice((1, 4, 12))
        return [raw for raw in found[:most] if raw.partition == found[0].partition]

    def _batch(self) -> list[RawRecord]:
        """What a poll gives: some records of some partitions, each partition's in order."""
        numbers = sorted(self.positions)
        self.chance.shuffle(numbers)
        most = self.chance.randrange(1, 12)
        return [
            raw
            for number in numbers
            for raw in self.broker.topics["events.v1"][number].read(self.positions[number], most)
        ]

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self.alive()
            await work()

    async def _tick(self) -> None:
        if self.ticking:
            await self.delivery.tick()

    def settled(self) -> bool:
        """Whether everything that it owns is folded and safe."""
        if self.rejoining or self.exit is not None:
            return False
        logs = self.broker.topics["events.v1"]
        return all(
            (owned := self.delivery.owned.get(number)) is not None
            and owned.saved_offset >= max(logs[number].records, default=-1)
            for number in self.positions
        )


class Link:
    """`ports.Link` over the brokers in memory."""

    def __init__(self, process: Process) -> None:
        self._process, self._broker = process, process.broker
        self._partitions = process.broker.partitions
        self.writer = f"{process.chance.getrandbits(32):08x}"
        self.coming: Iterator[RawRecord] = iter(())
        self.trying: RawRecord | None = None
        self.fail_commit = ""

    async def _call(self) -> None:
        """A request and the time it takes."""
        await self._process.alive()
        await self._broker.up()
        await asyncio.sleep(0.001 + self._broker.chance.random() * 0.005)
        await self._process.alive()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int | None = None,
    ) -> Awaitable[None]:
        """Hand a record to the outbox."""
        await self._process.alive()
        return self._process.outbox.put(topic, key, value, headers, partition)

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Set group offsets, after the time it takes; fails where a fault says so."""
        await self._call()
        failure, self.fail_commit = self.fail_commit, ""
        if failure == "refused":
            raise ConnectionError("commit failed")
        accepted = self._broker.commit(self._process, offsets)
        await self._call()
        if failure == "answer lost":
            raise ConnectionError("no answer to a commit")
        return accepted

    async def bounds(self, partition: int) -> tuple[int, int, int]:
        """Oldest and next offset of the events partition, and the committed one."""
        await self._call()
        log = self._broker.topics["events.v1"][partition]
        return log.start, log.end, self._broker.committed.get(partition, 0)

    async def first_from(self, partition: int, offset: int) -> int:
        """The first record that the log really has."""
        await self._call()
        return self._broker.topics["events.v1"][partition].read(offset, 1)[0].offset

    async def state(self, partition: int, start: int) -> tuple[list[Record], int]:
        """What the state partition holds, as of the call."""
        await self._call()
        log = self._broker.topics["state.v1"][partition]
        end = log.end
        await self._call()
        found = [
            (record.key or b"", record.value)
            for at, record in sorted(log.records.items())
            if start <= at < end
        ]
        return found, end

    def partitions(self) -> int:
        """Partitions of the events topic when the process began."""
        return self._partitions

    async def partitions_now(self) -> int:
        """What the brokers say."""
        await self._process.alive()
        return self._broker.partitions

    def generation(self) -> int | None:
        """What the group told last."""
        return self._process.generation

    def rebalancing(self) -> bool:
        """Whether an assignment is under way."""
        return self._process.rejoining

    def now_s(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    def die(self, code: Exit, why: str) -> NoReturn:
        """End the process."""
        self._process.end(code, why)
        raise Dead

    def reach(self, point: str) -> None:
        """Crash here, or meet a record that ends every process."""
        if self._process.exit is not None:
            raise Dead
        if self._process.points.crash(point):
            self._process.faults[f"crash {point}"] += 1
            self._process.end(KILLED, point)
            raise Dead
        if point == "C0":
            self.trying = next(self.coming)
        poisoned = self.trying is not None and POISON in self.trying.headers
        if point == "C1" and poisoned and not self._is_skipped():
            raise RuntimeError("a record that ends every process")

    def _is_skipped(self) -> bool:
        assert self.trying is not None
        owned = self._process.delivery.owned.get(self.trying.partition)
        return owned is not None and owned.partition.is_skipped(self.trying.offset)


class Quiet:
    """An observer that counts nothing."""

    restoring = assigned = False

    def took_over(self, partitions: Sequence[int]) -> None:
        """Heard."""

    def folded(
        self,
        partition: Partition,
        run: Sequence[tuple[RawRecord, Decoded]],
        outputs: Sequence[Output],
    ) -> None:
        """Heard."""

    def checkpointed(self, partition: int, state_bytes: int, written_bytes: int) -> None:
        """Heard."""

    def committed(self, partition: int, *, accepted: bool) -> None:
        """Heard."""

    def passed_over(self, partition: int) -> None:
        """Heard."""

    def ended_by_record(self, partition: int) -> None:
        """Heard."""

    def watched(self, partition: int, model: Model) -> None:
        """Heard."""
