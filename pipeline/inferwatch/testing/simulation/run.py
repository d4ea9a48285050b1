"""One seed: draw it, run it, compare with the fold over the log that came of it."""

import asyncio
import gc
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

import msgspec

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.output import PUBLISHED
from inferwatch.core.placement import partition_of
from inferwatch.errors import Exit
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.records.events import MonitorChange, Skip
from inferwatch.records.outputs import AlertRecord
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.testing.simulation.broker import Broker, Log
from inferwatch.testing.simulation.clock import Deadlock, VirtualLoop
from inferwatch.testing.simulation.process import POISON, CrashPoints, Process
from inferwatch.testing.simulation.traffic import FLAVOURS, START_MS, Sent, SimRules, traffic

POINTS = [f"C{number}" for number in range(17)]
SPEED = 20.0
SPAN_S = 24.0
RECORDS = 66
SETTLE_S = 120.0
RESTART_S = 0.5
FULL = "more models than are taken"
INSPECTED = "windows that inspectors read"
RANKED = "queries of rankings"
EXPECTED = {137, Exit.DONE, Exit.STALLED, Exit.BUG}


class Result(msgspec.Struct):
    """What became of a seed. `failures` is empty when all is as if nothing had happened."""

    seed: int
    failures: list[str] = []
    faults: dict[str, int] = {}
    crashes: dict[str, int] = {}
    visits: dict[str, int] = {}
    exits: dict[int, int] = {}
    rows: int = 0
    outputs: int = 0
    repeats: int = 0
    digest: str = ""


def run(seed: int, aim: tuple[str, ...] = ()) -> Result:
    """Run a seed; the same seed gives the same result, byte for byte.

    :param aim: names of faults, to meet no others, and of crash points, to meet them all the time;
        `FULL` for partitions that never take all models, `INSPECTED` for windows that inspectors
        read, `RANKED` for models that rank.
    """
    logger = logging.getLogger("inferwatch")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # processes die here by the dozen
    loop = VirtualLoop()
    simulation = None
    try:
        asyncio.set_event_loop(loop)
        simulation = Simulation(seed, aim)
        try:
            loop.run_until_complete(simulation.play())
        except Deadlock as error:
            simulation.result.failures.append(str(error))
        simulation.judge()
        return simulation.result
    finally:
        for task in asyncio.all_tasks(loop):
            # a killed process leaves its tasks where they were: no news
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        asyncio.set_event_loop(None)
        loop.close()
        logger.setLevel(level)
        del simulation
        gc.collect(0)


class Simulation:
    """The cast of one seed: brokers, processes with a supervisor, producers, a saboteur."""

    def __init__(self, seed: int, aim: tuple[str, ...] = ()) -> None:
        self.aim = aim
        self.result = Result(seed)
        self.chance = Random(f"{seed}/topology")
        self.saboteur = Random(f"{seed}/faults")
        partitions = self.chance.choice([1, 1, 2, 3, 4, 6])
        self.pace_bytes_s = self.chance.choice([4e6, 4e6, 20e3])
        self.flavour = self.chance.choice(FLAVOURS)
        self.models = self.chance.choice([1, 2, 3, 5])
        # of a partition: some seeds meet more models than a worker takes
        self.models_max = Random(f"{seed}/cap").choice([0, 0, 0, 1, 2])
        if INSPECTED in aim or Random(f"{seed}/inspector").random() < 0.1:
            self.flavour = "inspected"
        if RANKED in aim or (not aim and Random(f"{seed}/ranking").random() < 0.1):
            self.flavour = "ranked"
        if FULL in aim:
            self.models, self.models_max = 5, 1
        self.broker = Broker(partitions, Random(f"{seed}/network"), START_MS, SPEED)
        visits = {point: self._visit(point) for point in self.saboteur.sample(POINTS, 4)}
        every = {point: 2 if point in RARE else 7 for point in aim if point in POINTS}
        self.points = CrashPoints(visits, every)
        self.faults: Counter[str] = Counter()
        self.exits: Counter[int] = Counter()
        self.workers = self.chance.choice([1, 2, 2, 3])
        self.processes: dict[str, Process] = {}
        self._running: list[asyncio.Future[None]] = []
        self.started = self.release = 0
        self.sent = Sent()
        self.stopping = False
        self.misplaced = self.saboteur.random() < 0.3
        self.poisoned = self.saboteur.random() < 0.15

    def _visit(self, point: str) -> int:
        """Which visit of a place crashes: places differ in how often they are visited."""
        often = {"C0": 150, "C1": 150, "C2": 150, "C3": 60, "C4": 120, "C5": 60, "C7": 40}
        return 1 + self.saboteur.randrange(often.get(point, RARE.get(point, 12)))

    # ── the play ─────────────────────────────────────────────────────────────────────────────────

    async def play(self) -> None:
        """Traffic and faults for a while, then peace until everything is folded and safe."""
        background = [
            asyncio.ensure_future(self.broker.coordinate()),
            asyncio.ensure_future(self.broker.watch()),
        ]
        for _ in range(self.workers):
            self._hire()
        await asyncio.gather(self._produce(), self._sabotage())
        self.stopping = True
        await self._settle()
        for task in background:
            task.cancel()

    def _hire(self) -> Process:
        """Start a worker; the supervisor starts another when it ends."""
        self.started += 1
        process = Process(
            f"w{self.started}",
            self.broker,
            SimRules(self.flavour, self.release),
            self.points,
            Random(f"{self.result.seed}/{self.started}"),
            self.faults,
            self.pace_bytes_s,
            self.models_max,
        )
        self.processes[process.name] = process
        process.start()
        self._running.append(asyncio.ensure_future(self._supervise(process)))
        return process

    async def _supervise(self, process: Process) -> None:
        await process.ended.wait()
        code = process.exit if process.exit is not None else -1
        self.exits[int(code)] += 1
        del self.processes[process.name]
        if int(code) not in EXPECTED:
            self.result.failures.append(f"exit {int(code)}: {process.why}")
            return
        await asyncio.sleep(RESTART_S)
        while len(self.processes) < self.workers:
            self._hire()

    async def _produce(self) -> None:
        loop = asyncio.get_running_loop()
        span_ms = int(SPAN_S * SPEED * 1000)
        poison_at = self.saboteur.randrange(RECORDS) if self.poisoned else -1
        sent, ranked = self.sent, self.flavour == "ranked"
        for at_ms, raw in traffic(self.chance, self.models, RECORDS, span_ms, sent, ranked=ranked):
            await asyncio.sleep(max(0.0, at_ms / 1000 / SPEED - loop.time()))
            partition = None
            if self.misplaced and self.saboteur.random() < 0.2:
                partition = self.saboteur.randrange(self.broker.partitions)
                self.faults["misplaced record"] += 1
            self.broker.append("events.v1", raw.key, raw.value, raw.headers, partition)
            poison_at -= 1
            if poison_at == 0:
                self.faults["poison record"] += 1
                self.broker.append("events.v1", raw.key, b"x", raw.headers | {POISON: b"1"}, None)

    async def _settle(self) -> None:
        """Nobody breaks anything any more; ticks end, and all must come to rest."""
        loop = asyncio.get_running_loop()
        self.points.disarm()
        until_s = loop.time() + SETTLE_S
        while loop.time() < until_s:
            await asyncio.sleep(0.5)
            for process in self.processes.values():
                process.ticking = False
            owned = [number for one in self.processes.values() for number in one.positions]
            calm = all(process.settled() for process in self.processes.values())
            if calm and sorted(owned) == list(range(self.broker.partitions)):
                return
        self.result.failures.append("did not come to rest: " + self._where())

    def _where(self) -> str:
        ends = [log.end for log in self.broker.topics["events.v1"]]
        return f"ends {ends}, committed {self.broker.committed}, {len(self.processes)} processes"

    # ── sabotage ─────────────────────────────────────────────────────────────────────────────────

    async def _sabotage(self) -> None:
        """Faults of many kinds, at times and with force that the seed says."""
        acts: list[Callable[[], Awaitable[None]]] = [
            self._kill,
            self._kill,
            self._kill_all,
            self._terminate,
            self._stall,
            self._stall,
            self._brokers_down,
            self._topic_stalls,
            self._topic_stalls,
            self._commit_fails,
            self._delivery_skips,
            self._delivery_repeats,
            self._hole,
            self._compact,
            self._compact,
            self._retention,
            self._one_more,
            self._new_release,
        ]
        acts = [act for act in acts if act.__name__[1:] in self.aim] or acts
        calm_s = self.saboteur.choice([1.0, 2.0, 4.0])
        loop = asyncio.get_running_loop()
        running: list[asyncio.Future[None]] = []
        while loop.time() < SPAN_S:
            await asyncio.sleep(self.saboteur.expovariate(1 / calm_s))
            act = self.saboteur.choice(acts)
            running.append(asyncio.ensure_future(act()))
        await asyncio.gather(*running)

    def _victim(self) -> Process | None:
        if not self.processes:
            return None
        return self.processes[self.saboteur.choice(sorted(self.processes))]

    async def _kill(self) -> None:
        if victim := self._victim():
            self.faults["kill -9"] += 1
            victim.end(137)

    async def _kill_all(self) -> None:
        self.faults["kill -9 of all"] += 1
        for process in list(self.processes.values()):
            process.end(137)

    async def _terminate(self) -> None:
        if victim := self._victim():
            self.faults["SIGTERM"] += 1
            await victim.terminate()

    async def _stall(self) -> None:
        victim = self._victim()
        if victim and victim.resumed.is_set():
            self.faults["stall"] += 1
            await victim.stall(self.saboteur.uniform(0.5, 12.0))

    async def _brokers_down(self) -> None:
        self.faults["brokers down"] += 1
        loop = asyncio.get_running_loop()
        self.broker.down_until_s = loop.time() + self.saboteur.uniform(0.2, 6.0)

    async def _topic_stalls(self) -> None:
        topic = self.saboteur.choice(["windows.v1", "alerts.v1", "dlq.v1", "state.v1"])
        self.faults[f"{topic} stalls"] += 1
        loop = asyncio.get_running_loop()
        self.broker.stalled_until_s[topic] = loop.time() + self.saboteur.uniform(0.5, 6.0)

    async def _commit_fails(self) -> None:
        if victim := self._victim():
            victim.link.fail_commit = self.saboteur.choice(["refused", "answer lost"])
            self.faults[f"commit {victim.link.fail_commit}"] += 1

    async def _delivery_skips(self) -> None:
        if victim := self._victim():
            self.faults["delivery skips a record"] += 1
            victim.skip_next = True

    async def _delivery_repeats(self) -> None:
        victim = self._victim()
        if victim and victim.positions:
            self.faults["delivery repeats records"] += 1
            number = self.saboteur.choice(sorted(victim.positions))
            start = self.broker.topics["events.v1"][number].start
            victim.positions[number] = max(start, victim.positions[number] - 5)

    async def _hole(self) -> None:
        self.faults["hole in the log"] += 1
        self.saboteur.choice(self.broker.topics["events.v1"]).hole()

    async def _compact(self) -> None:
        self.faults["compaction"] += 1
        for log in self.broker.topics["state.v1"]:
            log.compact(self.saboteur.choice([0, 1, 5]))

    async def _retention(self) -> None:
        self.faults["retention"] += 1
        for number, log in enumerate(self.broker.topics["events.v1"]):
            log.trim(self.broker.committed.get(number, 0))

    async def _one_more(self) -> None:
        if len(self.processes) <= self.workers:
            self.faults["one more joins"] += 1
            self._hire()

    async def _new_release(self) -> None:
        self.faults["new monitor files"] += 1
        self.release += 1

    # ── the verdict ──────────────────────────────────────────────────────────────────────────────

    def judge(self) -> None:
        """Compare everything with the fold over the log, and the rows with what was sent."""
        result = self.result
        try:
            wanted, partitions = _replay(self.broker.topics["events.v1"], self.models_max)
        except KeyError as error:
            result.failures.append(f"the log holds no first definition of {error}")
            return
        found = self._published()
        _compare(result, "output", wanted, found)
        result.outputs = len(wanted)
        self._compare_states(partitions)
        self._compare_order()
        rows: Counter[str] = Counter()
        for partition in partitions:
            if not partition.counts.conserved():
                result.failures.append(f"in ≠ ok + rejected + duplicate: {partition.counts}")
            for name, model in partition.models.items():
                rows[name] += sum(model.state.rows.values())
        refused = {name for name in self.sent.rows if self._refuses(name, partitions)}
        sent = {name: rows for name, rows in self.sent.rows.items() if name not in refused}
        if dict(rows) != sent:
            result.failures.append(f"rows {dict(rows)}, sent {sent}")
        if refused:
            self.faults[FULL] += len(refused)
        result.rows = sum(self.sent.rows.values())
        result.faults = dict(sorted(self.faults.items()))
        result.crashes = dict(self.points.crashes)
        result.visits = dict(self.points.visits)
        result.exits = dict(sorted(self.exits.items()))
        whole = hashlib.sha256()
        for key, value in sorted(found.items()):
            whole.update(f"{key}".encode() + value)
        result.digest = whole.hexdigest()

    def _refuses(self, name: str, partitions: list[Partition]) -> bool:
        """Whether the model came when its partition was full."""
        found = partitions[partition_of(name, len(partitions))].models
        return name not in found and len(found) == self.models_max > 0

    def _published(self) -> dict[tuple[str, str], bytes]:
        found: dict[tuple[str, str], bytes] = {}
        for kind in ("windows.v1", "alerts.v1", "dlq.v1"):
            for log in self.broker.topics[kind]:
                for record in log.archive:
                    name = "id" if kind == "dlq.v1" else "ce_id"
                    id_ = _header(record, name)
                    value = record.value or b""
                    known = found.setdefault((kind, id_), value)
                    if known != value:
                        self.result.failures.append(f"{kind} {id_} came with two contents")
                    self.result.repeats += known is not value
        return found

    def _compare_order(self) -> None:
        """An alert's transitions appear on the topic in the order of their numbers."""
        highest: dict[str, int] = {}
        for record in self.broker.topics["alerts.v1"][0].archive:
            alert = msgspec.json.decode(record.value or b"", type=AlertRecord)
            before = highest.get(alert.fingerprint, 0)
            if alert.seq > before + 1:
                self.result.failures.append(f"{alert.alert}: transition {alert.seq} too early")
            highest[alert.fingerprint] = max(before, alert.seq)

    def _compare_states(self, partitions: list[Partition]) -> None:
        """What a next start would restore is the state that the log makes."""
        for number, partition in enumerate(partitions):
            log = self.broker.topics["state.v1"][number]
            held = [(record.key or b"", record.value) for record in log.records.values()]
            try:
                restored = checkpoints.gather(held)
            except checkpoints.BrokenStateError as error:
                self.result.failures.append(f"state of partition {number}: {error}")
                continue
            if restored.states.keys() - partition.models.keys():
                self.result.failures.append(f"more models than wanted: {sorted(restored.states)}")
            for name, model in partition.models.items():
                wanted = snapshot.cut(model)
                state = restored.states.get(name)
                if state != wanted:
                    differing = sorted(
                        key for key in wanted if state is None or state.get(key) != wanted[key]
                    )
                    self.result.failures.append(f"state of {name} differs: {differing[:4]}")


RARE = {"C8": 3, "C10": 3, "C11": 3, "C12": 3, "C13": 3, "C14": 3, "C15": 3, "C16": 1}


def _header(record: RawRecord, name: str) -> str:
    full = f"__inferwatch.errors.{name}" if name == "id" else name
    return record.headers[full].decode()


def _replay(
    logs: list[Log], models_max: int
) -> tuple[dict[tuple[str, str], bytes], list[Partition]]:
    """The same fold over the whole log, undisturbed."""
    topics = {
        "window": "windows.v1",
        "schema": "windows.v1",
        "alert": "alerts.v1",
        "dead": "dlq.v1",
    }
    wanted: dict[tuple[str, str], bytes] = {}
    partitions = []
    for number, log in enumerate(logs):
        partition = Partition(number, {}, len(logs), models_max)
        decoded = [(raw, decode(raw)) for raw in log.archive]
        definitions: dict[str, Definition] = {}
        for _, one in decoded:
            record = one.record
            if isinstance(record, MonitorChange) and record.from_offset is not None:
                definitions.setdefault(record.model, record.definition)
            elif isinstance(record, Skip):
                partition.skip(record.offset)
        for raw, one in decoded:
            name = partition.undefined(one)
            if name is not None:
                partition.define(name, definitions[name], raw.offset)
            for output in partition.fold(raw, one):
                if output.kind in PUBLISHED:
                    wanted[(topics[output.kind], output.id)] = output.value
        partitions.append(partition)
    return wanted, partitions


def _compare(
    result: Result,
    what: str,
    wanted: dict[tuple[str, str], bytes],
    found: dict[tuple[str, str], bytes],
) -> None:
    missing = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    differing = [key for key in wanted if key in found and wanted[key] != found[key]]
    for words, keys in (("missing", missing), ("too many", extra), ("different", differing)):
        if keys:
            result.failures.append(f"{len(keys)} {what}s {words}, such as {keys[0]}")
