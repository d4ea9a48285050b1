"""Rows per CPU-second through the worker, beside the obvious way on the same Faust shell.

Two processes read one embedded broker, each its own topics: the worker, fed with batches and in
other turns with one JSON event a message, and `obvious.py`, fed with such events. They get rows of
the same models in turns. A turn of batches is fed as fast as the worker folds, but never more at
once than the broker keeps; the next turn begins when its rows are folded and in a checkpoint.
Measured is the CPU time of the process, all its threads. At the end each side's rows and mean of a
feature must be numpy's. There are three cases: the worker doing what the obvious way does, with
exact and with weighted detectors, and the worker with its default checks.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import report
import rows
import sides
from confluent_kafka import Producer
from numpy.typing import NDArray

from inferwatch.connection import Connection
from inferwatch.core.placement import partition_of
from inferwatch.runtime import embedded
from inferwatch.sdk.transport import SETTINGS
from inferwatch.sdk.values import now_ms

BATCHES, SINGLES, OBVIOUS = "batches", "singles", "obvious"
FORMS = {BATCHES: rows.batch, SINGLES: rows.events, OBVIOUS: rows.events}
COMMAND = "python benchmarks/throughput.py"
BEGAN_AGO_MS = 86_400_000
LATER_MS = 7_200_000


@dataclass(frozen=True)
class Case:
    """What the worker is told to do, "" for its default checks, and whether the obvious way has
    Page–Hinkley too.
    """

    name: str
    monitors: str
    page_hinkley: bool


SAME_WORK = """\
apiVersion: inferwatch/v1
match: {{model: "bench/*"}}
model: {{task: binary, positive: 1, pending_max: 16KiB}}
windows: {{minute: {{size: 1m}}}}
checks:
  - {{alert: Level, metric: "feature.*", method: adwin, params: {{mode: {mode}}}, mode: observe}}
  - {{alert: Mean, metric: "feature.*", method: page_hinkley, mode: observe}}
  - {{alert: ScoreLevel, metric: score, method: adwin, params: {{mode: {mode}}}}}
  - {{alert: ScoreMean, metric: score, method: page_hinkley}}
"""
CASES = (
    Case("the same work, exact", SAME_WORK.format(mode="exact"), page_hinkley=True),
    Case("the same work, weighted ADWIN", SAME_WORK.format(mode="weighted"), page_hinkley=True),
    Case("default checks", "", page_hinkley=False),
)


@dataclass(frozen=True)
class Sizes:
    """What a model, each with a partition of its own, gets in a turn: rows, or batches of 500.

    After the warm batches the worker's models have learnt their references, and the rows that wait
    for a label have reached the memory cap. So many batches a model are sent at once when no more
    than as many wait: twice as many are what the broker keeps, and with none left its next answer
    to the worker would take a second and a half.
    """

    models: int = 4
    rounds: int = 3
    warm_batches: int = 40
    batches: int = 600
    at_once: int = 30  # the embedded broker keeps 5 MB of a partition: some 70 batches
    singles: int = 125
    obvious: int = 1_000
    checkpoint_every_s: float = 2.0  # the worker's own default


@dataclass
class Lane:
    """One side, and what was sent to it."""

    side: sides.Side
    producer: Producer
    models: list[str]
    began_ms: int = field(default_factory=now_ms)
    event_ms: int = 0
    chunks: int = 0
    values: list[NDArray[np.float32]] = field(default_factory=list)

    def feed(self, form: str, n: int, at_once: int) -> float:
        """Send `n` rows a model and wait until they are done; rows per CPU-second.

        `at_once` rows of each model are sent when no more than as many wait.
        """
        sent = self.sent()
        records = self.records(form, n)
        before_s, step = self._cpu_s(), len(records) * at_once // n
        for first in range(0, len(records), step):
            self._send(records[first : first + step])
            sent += at_once * len(self.models)
            self.side.keep_up(sent - at_once * len(self.models))
        self.side.wait(self.sent())
        return n * len(self.models) / (self._cpu_s() - before_s)

    def close_windows(self) -> None:
        """Rows of two hours later, not counted: every window before them is over."""
        self.event_ms += LATER_MS
        counted = list(self.values)
        self._send(self.records(BATCHES, rows.BATCH_ROWS))
        self.side.wait(self.sent())
        self.values = counted

    def records(self, form: str, n: int) -> list[tuple[str, rows.Record]]:
        """The next rows of every model.

        Event time begins a day ago and goes on twice as fast as the clock, because the worker's
        ticks close what is open: rows of a turn must not belong to the windows of the turn before.
        """
        aims_ms = self.began_ms - BEGAN_AGO_MS + 2 * (now_ms() - self.began_ms)
        self.event_ms = max(self.event_ms, aims_ms)
        records = []
        for first in range(0, n, rows.BATCH_ROWS):
            size = min(rows.BATCH_ROWS, n - first)
            for model in self.models:
                chunk = rows.chunk(model, self.chunks, self.event_ms, size)
                self.values.append(chunk.numeric[0])
                records += [(model, record) for record in FORMS[form](chunk)]
            self.chunks += 1
            self.event_ms += size
        return records

    def sent(self) -> int:
        """Rows so far."""
        return sum(map(len, self.values))

    def check(self) -> None:
        """Every row counted once, and the first feature's mean is numpy's; else the run ends."""
        count, mean = self.side.seen()
        wanted = float(np.concatenate(self.values).astype(np.float64).mean())
        if count != self.sent() or abs(mean - wanted) > 1e-9:
            sys.exit(
                f"the {self.side.child.name} counted {count} rows with mean {mean!r}, "
                f"sent were {self.sent()} with mean {wanted!r}"
            )

    def _send(self, records: list[tuple[str, rows.Record]]) -> None:
        topic = self.side.connection.topic("events.v1")
        for model, (body, described) in records:
            self.producer.produce(
                topic, key=model.encode(), value=body, headers=list(described.items())
            )
        if self.producer.flush(30):
            sys.exit("the embedded broker does not take the rows")

    def _cpu_s(self) -> float:
        times = psutil.Process(self.side.child.process.pid).cpu_times()
        return times.user + times.system


def measure(case: Case, sizes: Sizes, folder: Path) -> dict[str, list[float]]:
    """Rows per CPU-second of every round, by form; the forms take turns."""
    names = models(sizes.models)
    rates: dict[str, list[float]] = {form: [] for form in FORMS}
    with ExitStack() as stack:
        broker = embedded.start(topics(sizes.models))
        stack.callback(broker.stop)
        producer = Producer(settings(broker.bootstrap_servers))
        servers = broker.bootstrap_servers
        worker = sides.Worker(
            Connection(servers, prefix="worker."), folder, sizes.checkpoint_every_s, case.monitors
        )
        obvious = sides.Obvious(
            Connection(servers, prefix="obvious."), folder, page_hinkley=case.page_hinkley
        )
        for side in (worker, obvious):
            stack.enter_context(side.child)
        ours, other = (Lane(side, producer, names) for side in (worker, obvious))
        at_once = sizes.at_once * rows.BATCH_ROWS
        ours.feed(BATCHES, sizes.warm_batches * rows.BATCH_ROWS, at_once)
        ours.event_ms += LATER_MS  # panes opened before there was a reference count no bins
        other.feed(OBVIOUS, sizes.obvious, sizes.obvious)
        turns = [
            (ours, BATCHES, sizes.batches * rows.BATCH_ROWS, at_once),
            (other, OBVIOUS, sizes.obvious, sizes.obvious),
            (ours, SINGLES, sizes.singles, sizes.singles),
        ]
        for turn in range(sizes.rounds):
            for lane, form, n, step in turns[turn % 3 :] + turns[: turn % 3]:
                if n:
                    rates[form].append(lane.feed(form, n, step))
        ours.close_windows()
        ours.check()
        other.check()
    return {form: found for form, found in rates.items() if found}


def models(partitions: int) -> list[str]:
    """One model for each partition."""
    names = [f"bench/model-{number:02d}" for number in range(100)]
    found = {partition_of(name, partitions): name for name in names}
    return [found[partition] for partition in range(partitions)]


def topics(partitions: int) -> dict[str, int]:
    spread = ("events.v1", "windows.v1", "state.v1")
    return {
        f"{side}.{name}": partitions if name in spread else 1
        for side in ("worker", "obvious")
        for name in embedded.TOPICS
    }


def settings(servers: str) -> dict[str, object]:
    """The SDK's, with room for a whole turn."""
    room = {"queue.buffering.max.messages": 100_000, "queue.buffering.max.kbytes": 65_536}
    return {**SETTINGS, **room, "bootstrap.servers": servers}


def figures(case: Case, rates: dict[str, list[float]]) -> list[report.Figure]:
    """Best and median of the rounds, and what they are to the obvious way."""
    words = {
        BATCHES: "worker, batches of 500",
        OBVIOUS: "one JSON event a message, river",
        SINGLES: "worker, one JSON event a message",
    }
    found = []
    for name, of in rates.items():
        value = f"{max(of):,.0f} (median {statistics.median(of):,.0f})"
        found.append(report.Figure(f"rows per CPU-second: {words[name]}", value, COMMAND))
    best = max(rates[BATCHES]) / max(rates[OBVIOUS])
    middle = statistics.median(rates[BATCHES]) / statistics.median(rates[OBVIOUS])
    ratio = f"{best:.0f}× (median {middle:.0f}×)"
    return [*found, report.Figure(f"{case.name}: worker to the obvious way", ratio, COMMAND)]


def main() -> None:
    """`python benchmarks/throughput.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=Sizes.rounds)
    given = parser.parse_args()
    found = []
    for case in CASES:
        singles = 0 if case.monitors else Sizes.singles
        sizes = Sizes(rounds=given.rounds, singles=singles)
        with tempfile.TemporaryDirectory() as folder:
            found += figures(case, measure(case, sizes, Path(folder)))
    print(report.table(found))


if __name__ == "__main__":
    main()
