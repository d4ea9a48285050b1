"""Workers on a broker, broken at random from one seed, and the verdict on what came out.

`run(plan, broker)` feeds two workers, breaks them and the broker, and holds what they published
against what was fed (`traffic.wrong_windows`), against a replay of the topic, and against one
worker that reads a copy of the topic undisturbed.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import altered
import traffic
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fleet import Fleet, Group
from real_broker import RealBroker
from workers import live_digest, published_windows, replayed, until

from inferwatch.connection import Connection
from inferwatch.core import snapshot
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.records.outputs import word
from inferwatch.replay.log import LogReader
from inferwatch.runtime import checkpoint, topics

SESSION_S = 4.0
PATIENCE_S = 150.0
FINISH_S = 1_200.0
NO_TICKS = ("--tick-every", "3600")
OPTIONS = ("--session-timeout", str(SESSION_S))
NAMES = ("first", "second")
WINDOW_ROWS = 5_000
LABEL_EACH = 4  # batches
_ROWS = "batch: {rows: %d}"
RULES = {
    "monitors": traffic.MONITORS.replace(_ROWS % traffic.WINDOW_ROWS, _ROWS % WINDOW_ROWS),
}


@dataclass(frozen=True)
class Plan:
    """What to break, how often, and over how much input. One letter of `faults` is one fault."""

    faults: str
    rows: int
    seed: int = 1
    pace: float = 8.0
    partitions: int = 4
    models: int = 8


@dataclass
class Report:
    """What happened. Seconds by kind of fault, from its end (a kill: from the kill): `resumed_s`
    until every partition has committed something newer, `caught_up_s` until it has committed more
    than the log held.
    """

    fed_rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    resumed_s: dict[str, list[float]] = field(default_factory=dict)
    caught_up_s: dict[str, list[float]] = field(default_factory=dict)
    drained_s: list[float] = field(default_factory=list)
    exits: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    wrong_windows: list[str] = field(default_factory=list)
    model_rows: dict[str, int] = field(default_factory=dict)
    wanted_rows: dict[str, int] = field(default_factory=dict)
    conserved: bool = False
    dead: int = 0
    outputs: int = 0
    repeats: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def problems(self) -> list[str]:
        """Why this run is no proof; nothing when it is one."""
        found = [*self.unexpected, *self.wrong_windows]
        if self.model_rows != self.wanted_rows:
            found.append(f"rows of models: {self.model_rows} instead of {self.wanted_rows}")
        if len(set(self.digests.values())) != 1:
            found.append(f"digests differ: {self.digests}")
        if not self.conserved:
            found.append("in is not ok + rejected + duplicate")
        if self.dead:
            found.append(f"{self.dead} dead letters of good records")
        return found


@dataclass
class Chaos:
    """Everything that a fault may touch."""

    broker: RealBroker
    fleet: Fleet
    group: Group
    feeder: traffic.Feeder
    chance: random.Random
    report: Report

    def one(self) -> str:
        """Name of a worker."""
        return self.chance.choice(NAMES)

    def kill_one(self) -> float:
        """kill -9."""
        self.fleet.kill(self.one())
        return time.monotonic()

    def kill_both(self) -> float:
        """kill -9, both at once."""
        self.fleet.kill(*NAMES)
        return time.monotonic()

    def restart(self) -> float:
        """SIGTERM under load, then a new one: what a rollout does."""
        name = self.one()
        self._leave(name)
        self.fleet.start(name)
        return time.monotonic()

    def stall(self) -> float:
        """SIGSTOP until another has taken over, then SIGCONT."""
        name = self.one()
        other = self.fleet.workers[NAMES[1 - NAMES.index(name)]]
        all_of_them = len(self.group.ends())
        self.fleet.send_signal(name, signal.SIGSTOP)
        try:
            until(
                lambda: partitions_of(other) == all_of_them,
                "the other has taken over",
                patience_s=PATIENCE_S,
            )
        finally:
            self.fleet.send_signal(name, signal.SIGCONT)
        return time.monotonic()

    def join_and_leave(self) -> float:
        """A third worker comes, works, and goes."""
        third = self.fleet.start("third")
        until(lambda: partitions_of(third) > 0, "it has partitions", patience_s=PATIENCE_S)
        self._leave("third")
        return time.monotonic()

    def roll(self) -> float:
        """A rolling restart of both."""
        for name in NAMES:
            self._leave(name)
            self.fleet.start(name)
            self.fleet.until_ready(PATIENCE_S)
        return time.monotonic()

    def kill_broker(self) -> float:
        """kill -9 of the broker, and its restart on the same data."""
        self.broker.order("kill")
        self.broker.order("start")
        return time.monotonic()

    def freeze_broker(self) -> float:
        """The broker answers nobody for longer than the sessions last."""
        self.broker.order("freeze")
        started_s = time.monotonic()
        until(lambda: time.monotonic() - started_s > 2 * SESSION_S, "the sessions are over")
        self.broker.order("thaw")
        return time.monotonic()

    def _leave(self, name: str) -> None:
        code, seconds = self.fleet.leave(name)
        self.report.exits[code] += 1
        self.report.drained_s.append(seconds)
        if code:
            self.report.unexpected.append(f"SIGTERM of {name} ended with {code}")


FAULTS: dict[str, Callable[[Chaos], float]] = {
    "k": Chaos.kill_one,
    "K": Chaos.kill_both,
    "t": Chaos.restart,
    "z": Chaos.stall,
    "j": Chaos.join_and_leave,
    "r": Chaos.roll,
    "b": Chaos.kill_broker,
    "f": Chaos.freeze_broker,
}


def draw(count: int, seed: int) -> str:
    """So many faults: each kind at least once where there is room, kills most often."""
    chance = random.Random(seed)
    drawn = list(FAULTS)[:count] + chance.choices("kkkkKttzzjjbf", k=max(0, count - len(FAULTS)))
    chance.shuffle(drawn)
    return "".join(drawn)


def partitions_of(worker: object) -> float:
    """Partitions that a worker says it owns; 0 while it does not answer."""
    try:
        return worker.metrics().get("inferwatch_partitions", 0.0)  # type: ignore[attr-defined]
    except OSError:
        return 0.0


def run(plan: Plan, broker: RealBroker, prefix: str, folder: Path, say=lambda _: None) -> Report:
    """Carry out a plan on fresh topics."""
    report, started_s = Report(), time.monotonic()
    connection = Connection(broker.address, prefix=prefix)
    topics.apply(connection, topics.wanted(prefix, plan.partitions), replication_factor=1)
    feeder = traffic.Feeder(connection, traffic.models(plan.models), plan.pace, LABEL_EACH)
    fleet = Fleet(connection, folder, embedded=False, options=OPTIONS, more=RULES)
    with fleet, Group(connection, plan.partitions) as group:
        for name in NAMES:
            fleet.start(name)
        fleet.until_ready()
        feeder.start()
        chaos = Chaos(broker, fleet, group, feeder, random.Random(plan.seed), report)
        for number, letter in enumerate(plan.faults):
            due = plan.rows * (number + 1) // (len(plan.faults) + 1)
            until(
                lambda due=due: feeder.rows >= due,
                f"{due} rows are fed",
                patience_s=2 * PATIENCE_S + plan.rows / (plan.pace * traffic.ROWS),
            )
            break_once(chaos, letter, say)
        until(lambda: feeder.rows >= plan.rows, "all is fed", patience_s=1_000)
        feeder.finish()
        for name in list(fleet.workers):
            chaos._leave(name)
        report.exits.update(code for _, code in fleet.exits)
        report.unexpected += fleet.unexpected()
        report.fed_rows = feeder.rows
        report.wanted_rows = {name: n * traffic.ROWS for name, n in feeder.batches.items()}
        finish(connection, group, folder)
    report.model_rows = rows_in_states(connection)
    judge(connection, feeder, report)
    report.digests["undisturbed"] = undisturbed(connection, plan.partitions, folder)
    report.seconds = time.monotonic() - started_s
    return report


def break_once(chaos: Chaos, letter: str, say: Callable[[str], None]) -> None:
    """One fault, and the wait until its traces are gone."""
    fault, group = FAULTS[letter], chaos.group
    since_s = fault(chaos)
    resumed_s: list[float] = []
    before = {number: offset + 1 for number, offset in group.committed().items()}
    beyond = {number: end + 1 for number, end in group.ends().items()}

    def caught_up() -> bool:
        if not resumed_s and group.has_reached(before):
            resumed_s.append(time.monotonic() - since_s)
        return bool(resumed_s) and group.has_reached(beyond)

    until(
        caught_up,
        f"the group has folded what stood in the log after {fault.__name__}; ended so far: "
        f"{chaos.fleet.exits} {chaos.fleet.words[-1:]}",
        patience_s=PATIENCE_S,
    )
    caught_up_s = time.monotonic() - since_s
    report = chaos.report
    report.faults[fault.__name__] += 1
    report.resumed_s.setdefault(fault.__name__, []).append(resumed_s[0])
    report.caught_up_s.setdefault(fault.__name__, []).append(caught_up_s)
    say(
        f"{chaos.feeder.rows:>10} rows  {fault.__name__:<15} all partitions commit after "
        f"{resumed_s[0]:5.1f} s, caught up after {caught_up_s:5.1f} s "
        f"(load {os.getloadavg()[0]:.1f})"
    )
    chaos.fleet.until_ready(PATIENCE_S)


def finish(connection: Connection, group: Group, folder: Path, **more: object) -> None:
    """One last worker folds what is left, without ticks, so that the topic has an end."""
    options = (*OPTIONS, *NO_TICKS)
    with Fleet(connection, folder, embedded=False, options=options, more=RULES | more) as last:
        worker = last.start("last")
        last.until_ready()
        until(lambda: group.has_reached(group.ends()), "the log is folded", worker, FINISH_S)
        assert last.leave("last")[0] == 0
        assert group.has_reached(group.ends()), "the topic goes on behind its last reader"


def rows_in_states(connection: Connection) -> dict[str, int]:
    """Rows of predictions by model, in the states that a restore would find."""
    found: dict[str, int] = {}
    with LogReader(connection, "state.v1") as reader:
        for partition in reader.partitions():
            held = reader.read(partition, *reader.ends(partition))
            restored = checkpoint.gather((raw.key or b"", raw.value) for raw in held)
            for pieces in restored.states.values():
                model = snapshot.load(pieces, {})
                found[model.name] = sum(model.state.rows.values())
    return found


def judge(connection: Connection, feeder: traffic.Feeder, report: Report) -> None:
    """Hold what was published against what was fed and against a replay."""
    windows = published_windows(connection)
    report.wrong_windows = traffic.wrong_windows(
        feeder.batches, list(windows.values()), WINDOW_ROWS
    )
    with LogReader(connection, "windows.v1") as reader:
        records = sum(word(raw.headers) == "window" for raw in reader.read_all())
    report.outputs, report.repeats = len(windows), records - len(windows)
    with LogReader(connection, "dlq.v1") as reader:
        report.dead = sum(1 for raw in reader.read_all() if f"{ERROR_HEADERS}reason" in raw.headers)
    summary = replayed(connection)
    gone = sum(summary.rejected.values()) + sum(summary.duplicate.values())
    report.conserved = summary.rows == summary.ok + gone
    report.digests |= {"live": live_digest(connection), "replay": summary.digest}


def undisturbed(connection: Connection, partitions: int, folder: Path) -> str:
    """Digest of one worker's outputs that reads a copy of the topic in peace."""
    calm = Connection(connection.bootstrap_servers, prefix=f"{connection.prefix}calm.")
    wanted = topics.wanted(calm.prefix, partitions)
    new = [
        NewTopic(one.name, one.partitions, 1, config=config)
        for one in wanted
        for config in [{**one.config, "message.timestamp.type": "CreateTime"}]
    ]
    admin = AdminClient(calm.librdkafka())
    for made in admin.create_topics(new).values():
        made.result(20)
    settings = {"enable.idempotence": True, "linger.ms": 20, "log_level": 0}
    producer = Producer(calm.librdkafka(**settings))
    with LogReader(connection, "events.v1") as reader:
        for raw in reader.read_all():
            while len(producer) > 5_000:
                producer.poll(0.1)
            producer.produce(
                calm.topic("events.v1"),
                raw.value,
                raw.key,
                raw.partition,
                timestamp=raw.time_ms,
                headers=list(raw.headers.items()),
            )
    assert producer.flush(60) == 0
    with Group(calm, partitions) as group, Group(connection, partitions) as original:
        assert group.ends() == original.ends(), "the copy has other offsets"
        finish(calm, group, folder, module="altered", environment=altered.environment("mute"))
    return live_digest(calm)
