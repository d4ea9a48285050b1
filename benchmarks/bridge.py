"""CPU of the bridge a row, beside the obvious way with the same events on the same broker.

Two processes read one embedded broker: `inferwatch ingest` its topic of single JSON events, and
`obvious.py` another with such events of the same models. They take turns, each no more than the
broker holds; a turn of the bridge is over when its offsets are committed. Measured is the CPU time
of the process, all its threads. At the end every row of the later half, which the broker still has,
must be in a batch once.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import report
import rows
import sides
from confluent_kafka import Consumer, Producer, TopicPartition

from inferwatch.connection import Connection
from inferwatch.records.decode import decode
from inferwatch.replay.log import LogReader
from inferwatch.runtime import embedded
from inferwatch.runtime.processes import Child
from inferwatch.sdk.transport import SETTINGS

COMMAND = "python benchmarks/bridge.py"
SOURCE, PREFIX, OBVIOUS = "source", "bridge.", "obvious."
MODELS = [f"bench/model-{number}" for number in range(4)]
FIRST_MS = 1_700_000_000_000
PATIENCE_S = 120.0
POLL_S = 0.2


class Bridge:
    """`inferwatch ingest`, and what it has committed."""

    def __init__(self, servers: str, folder: Path) -> None:
        self.connection = Connection(servers, prefix=PREFIX)
        options = ["ingest", "--from", SOURCE, *self.connection.arguments()]
        self.child = Child("bridge", "inferwatch.cli.main", options, folder)
        self._group = Consumer(
            self.connection.librdkafka(
                **{"group.id": self.connection.topic("ingest"), "log_level": 2}
            )
        )

    def wait(self, sent: int) -> None:
        """Until all rows are committed."""
        deadline_s = time.monotonic() + PATIENCE_S
        place = [TopicPartition(SOURCE, 0)]
        while self._group.committed(place, timeout=10)[0].offset < sent:
            if not self.child.running() or time.monotonic() > deadline_s:
                sys.exit(f"the bridge: not {sent} rows\n{self.child.last_words()}")
            time.sleep(POLL_S)

    def moved(self) -> list[int]:
        """The source offsets in its batches that the broker still has."""
        with LogReader(self.connection, "events.v1") as reader:
            found = [decode(raw).record for raw in reader.read_all()]
        return [offset for record in found for offset in record.source_offsets.tolist()]


def measure(events: int, singles: int, rounds: int, folder: Path) -> dict[str, list[float]]:
    """CPU microseconds a row of every round, by side. `events` and `singles` are rows a round."""
    spent: dict[str, list[float]] = {"bridge": [], "obvious": []}
    topics = {f"{side}{name}": 1 for side in (PREFIX, OBVIOUS) for name in embedded.TOPICS}
    with ExitStack() as stack:
        broker = embedded.start({**topics, SOURCE: 1})
        stack.callback(broker.stop)
        producer = Producer({**SETTINGS, "bootstrap.servers": broker.bootstrap_servers})
        bridge = Bridge(broker.bootstrap_servers, folder)
        obvious = sides.Obvious(Connection(broker.bootstrap_servers, prefix=OBVIOUS), folder)
        for side in (bridge, obvious):
            stack.enter_context(side.child)
        turns = [
            ("bridge", bridge, SOURCE, events),
            ("obvious", obvious, f"{OBVIOUS}events.v1", singles),
        ]
        sent = {name: 0 for name, *_ in turns}
        for turn in range(rounds + 1):
            for name, side, topic, n in turns:
                before_s = _cpu_s(side.child)
                _send(producer, topic, sent[name], n)
                sent[name] += n
                side.wait(sent[name])
                if turn:  # the first is warm-up
                    spent[name].append((_cpu_s(side.child) - before_s) / n * 1e6)
        half = sent["bridge"] // 2
        moved = sorted(offset for offset in bridge.moved() if offset >= half)
        if moved != list(range(half, sent["bridge"])):
            sys.exit("the bridge did not move every row once")
        if obvious.seen()[0] != sent["obvious"]:
            sys.exit("the obvious way has missed rows")
    return spent


def _send(producer: Producer, topic: str, start: int, n: int) -> None:
    for first in range(start, start + n, rows.BATCH_ROWS):
        size = min(rows.BATCH_ROWS, start + n - first)
        per = size // len(MODELS)
        parts = [rows.events(rows.chunk(model, first, FIRST_MS + first, per)) for model in MODELS]
        for together in zip(*parts, strict=True):
            for model, (body, described) in zip(MODELS, together, strict=True):
                key, said = model.encode(), list(described.items())
                producer.produce(topic, key=key, value=body, headers=said)
        producer.poll(0)
    if producer.flush(60):
        sys.exit("the embedded broker does not take the rows")


def _cpu_s(child: Child) -> float:
    times = psutil.Process(child.process.pid).cpu_times()
    return float(times.user + times.system)


def figures(spent: dict[str, list[float]]) -> list[report.Figure]:
    """Best and median of the rounds, and their ratio."""
    found = []
    for name, values in spent.items():
        text = f"{min(values):.1f} µs (median {statistics.median(values):.1f})"
        found.append(report.Figure(f"CPU a row: {name}", text, COMMAND))
    best = min(spent["obvious"]) / min(spent["bridge"])
    middle = statistics.median(spent["obvious"]) / statistics.median(spent["bridge"])
    text = f"{best:.0f}× (median {middle:.0f}×)"
    return [*found, report.Figure("the bridge to the obvious way", text, COMMAND)]


def main() -> None:
    """`python benchmarks/bridge.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spent = measure(5_000, 4_000, given.rounds, Path(folder))
    print(report.machine())
    print(report.table(figures(spent)))


if __name__ == "__main__":
    main()
