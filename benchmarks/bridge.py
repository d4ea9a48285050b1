"""CPU a row of `inferwatch ingest` and the worker behind it, beside the obvious way.

Three processes read one embedded broker: the bridge a topic of single JSON events, the worker the
batches that the bridge writes, and `obvious.py` another topic with such events of the same models.
Both ways get rows in turns, the next when they are done, for the worker when they are in a
checkpoint. Measured is the CPU time of the processes, all their threads. At the end each way's rows
and mean of a feature must be numpy's.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import psutil
import report
import rows
import sides
import throughput
from confluent_kafka import Producer

from inferwatch.connection import Connection
from inferwatch.runtime import embedded
from inferwatch.runtime.processes import Child

AT_ONCE = 10_000
COMMAND = "python benchmarks/bridge.py"
SOURCE, PREFIX, OBVIOUS = "source", "worker.", "obvious."
BRIDGE, WORKER, BOTH, PEER = "the bridge", "the worker behind it", "both", "the obvious way"


@dataclass(frozen=True)
class Sizes:
    """Rows that each model, with a partition of its own, gets in a turn. The source's partitions,
    over which the models are mixed, hold what the broker keeps of them.
    """

    models: int = 4
    rounds: int = 5
    warm_batches: int = 40
    partitions: int = 16
    events: int = 20_000
    obvious: int = 1_000
    checkpoint_every_s: float = 2.0  # the worker's own default


class Lane(throughput.Lane):
    """Rows as events on a topic, as who knows nothing of us writes them: no headers."""

    topic = ""
    partitions = 0

    def turn(self, n: int, children: list[Child]) -> list[float]:
        """Send `n` rows a model and wait; CPU microseconds a row of each process."""
        records = self.records(throughput.OBVIOUS, n)
        before_s = [_cpu_s(child) for child in children]
        places = cycle(range(self.partitions)) if self.partitions else cycle([-1])
        for first in range(0, len(records), AT_ONCE):
            for (model, (body, _)), place in zip(records[first:][:AT_ONCE], places, strict=False):
                self.producer.produce(self.topic, body, model.encode(), partition=place)
            if self.producer.flush(30):
                sys.exit("the embedded broker does not take the rows")
        self.side.wait(self.sent())
        spent_s = [_cpu_s(child) - s for child, s in zip(children, before_s, strict=True)]
        return [one / n / len(self.models) * 1e6 for one in spent_s]


def measure(sizes: Sizes, folder: Path) -> dict[str, list[float]]:
    """CPU microseconds a row of every round, by process."""
    names = throughput.models(sizes.models)
    spent: dict[str, list[float]] = {name: [] for name in (BRIDGE, WORKER, BOTH, PEER)}
    with ExitStack() as stack:
        topics = throughput.topics(sizes.models) | {SOURCE: sizes.partitions}
        broker = embedded.start(topics)
        stack.callback(broker.stop)
        producer = Producer(throughput.settings(broker.bootstrap_servers))
        there = Connection(broker.bootstrap_servers, prefix=PREFIX)
        worker = sides.Worker(there, folder, sizes.checkpoint_every_s)
        bridge = sides.bridge(there, SOURCE, folder)
        obvious = sides.Obvious(Connection(broker.bootstrap_servers, prefix=OBVIOUS), folder)
        for child in (worker.child, bridge, obvious.child):
            stack.enter_context(child)
        ours, other = (Lane(side, producer, names) for side in (worker, obvious))
        ours.topic, ours.partitions = SOURCE, sizes.partitions
        other.topic = obvious.connection.topic("events.v1")
        warm = sizes.warm_batches * rows.BATCH_ROWS
        ours.feed(throughput.BATCHES, warm, warm)
        ours.event_ms += throughput.LATER_MS
        for turn in range(sizes.rounds + 1):
            each = ours.turn(sizes.events, [bridge, worker.child])
            (peer,) = other.turn(sizes.obvious, [obvious.child])
            if turn:  # the first is warm-up
                for name, cost in zip(spent, [*each, sum(each), peer], strict=True):
                    spent[name].append(cost)
        ours.close_windows()
        ours.check()
        other.check()
    return spent


def _cpu_s(child: Child) -> float:
    times = psutil.Process(child.process.pid).cpu_times()
    return float(times.user + times.system)


def figures(spent: dict[str, list[float]]) -> list[report.Figure]:
    """Best and median of the rounds, and what they are to the obvious way."""
    found = []
    for name, values in spent.items():
        text = f"{min(values):.1f} µs (median {statistics.median(values):.1f})"
        found.append(report.Figure(f"CPU a row of single events: {name}", text, COMMAND))
    best = min(spent[PEER]) / min(spent[BOTH])
    middle = statistics.median(spent[PEER]) / statistics.median(spent[BOTH])
    text = f"{best:.0f}× (median {middle:.0f}×)"
    return [*found, report.Figure("bridge and worker to the obvious way", text, COMMAND)]


def main() -> None:
    """`python benchmarks/bridge.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=Sizes.rounds)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spent = measure(Sizes(rounds=given.rounds), Path(folder))
    print(report.table(figures(spent)))


if __name__ == "__main__":
    main()
