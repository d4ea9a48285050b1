"""What checkpoints cost and what they give back, on a real Kafka with 50 MB of state.

Many models wait for the labels of their predictions, each up to a cap of 1 MiB; traffic goes to one
in ten of them, as fast as the worker folds it. It does so in turns with a checkpoint every 2
seconds and with none; measured is the CPU time of the process, from the first batch after the state
is its own until the last one is folded. Before that: a restart with the whole state and 60,000 rows
waiting. Needs Java 17 and Maven, as scripts/kafka.py does.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import report
import rows

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "integration"))

from confluent_kafka import Producer  # noqa: E402 - found by the path above
from fleet import Group  # noqa: E402 - found by the path above
from real_broker import RealBroker  # noqa: E402 - found by the path above
from workers import Worker, until  # noqa: E402 - found by the path above

from inferwatch.connection import Connection  # noqa: E402 - found by the path above
from inferwatch.runtime import topics  # noqa: E402 - found by the path above

COMMAND = "python benchmarks/checkpoints.py"
PATIENCE_S = 900.0
EVERY_S, NEVER_S = "2", "3600"
DIRTY = 10  # one model in so many gets traffic
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "bench/*"}
model: {task: binary, positive: 1, label_delay: 7d, pending_max: 1MiB}
reference: {min_rows: 1000}
windows:
  fast: {size: 1m}
checks:
  - alert: Drift
    metric: feature.*
    method: psi
    fail: {above: 0.25}
"""


@dataclass
class Bench:
    """One topic of one partition, and what was sent to it."""

    connection: Connection
    group: Group
    folder: Path
    models: list[str]
    began_ms: int
    turn: int = 0

    def worker(self, every_s: str) -> Worker:
        """A worker that writes checkpoints so often."""
        options = ("--checkpoint-every", every_s, "--tick-every", "3600", "--session-timeout", "10")
        return Worker(
            self.connection,
            self.folder,
            embedded=False,
            name=f"every-{every_s}",
            options=options,
            monitors=MONITORS,
            environment=report.QUIET,
        )

    def feed(self, models: list[str], batches: int) -> None:
        """The next batches of each of these models."""
        producer = Producer(
            self.connection.librdkafka(**{"partitioner": "murmur2_random", "linger.ms": 5})
        )
        for seq in range(self.turn, self.turn + batches):
            for model in models:
                for value, described in rows.batch(rows.chunk(model, seq, self.began_ms)):
                    producer.produce(
                        self.connection.topic("events.v1"), value, model, headers=described
                    )
            producer.poll(0)
        assert producer.flush(60) == 0
        self.turn += batches

    def until_folded(self, worker: Worker, before: float, fed: int) -> None:
        """Wait until the worker has folded so many more rows."""
        until(
            lambda: worker.metrics()["inferwatch_in_total"] >= before + fed,
            "the rows are folded",
            worker,
            PATIENCE_S,
        )

    def until_committed(self, worker: Worker) -> None:
        """Wait until all of the log is in checkpoints."""
        ends = self.group.ends()
        until(lambda: self.group.has_reached(ends), "the log is safe", worker, PATIENCE_S)


def build(bench: Bench, state_bytes: int) -> float:
    """Grow the state to its size; bytes of it."""
    worker = bench.worker(EVERY_S).until_ready()
    size = 0.0
    while size < state_bytes:
        bench.feed(bench.models, 4)
        bench.until_committed(worker)
        size = worker.metrics()['inferwatch_state_bytes{partition="0"}']
    assert worker.child.stop() == 0
    return size


def restart(bench: Bench, waiting: int) -> tuple[float, float]:
    """Seconds from the start of a process until it has its state, and until it has caught up."""
    models = bench.models[::DIRTY]
    bench.feed(models, waiting // len(models))
    started_s = time.monotonic()
    worker = bench.worker(EVERY_S).until_ready()
    ready_s = time.monotonic() - started_s
    bench.until_committed(worker)
    caught_up_s = time.monotonic() - started_s
    assert worker.child.stop() == 0
    return ready_s, caught_up_s


@dataclass(frozen=True)
class Turn:
    """CPU seconds of one turn, its checkpoints, and the bytes that these wrote."""

    cpu_s: float
    checkpoints: float
    written: float


def turn(bench: Bench, every_s: str, batches: int) -> Turn:
    """Fold the next batches of the busy models."""
    models = bench.models[::DIRTY]
    worker = bench.worker(every_s).until_ready()
    before = worker.metrics()["inferwatch_in_total"]
    bench.feed(models, 1)
    fed = len(models) * rows.BATCH_ROWS
    bench.until_folded(worker, before, fed)
    if every_s == EVERY_S:
        bench.until_committed(worker)  # the first checkpoint of an owner writes every root
    process = psutil.Process(worker.child.process.pid)
    first, cpu_s = worker.metrics(), cpu_of(process)
    bench.feed(models, batches)
    fed = len(models) * batches * rows.BATCH_ROWS
    bench.until_folded(worker, first["inferwatch_in_total"], fed)
    cpu_s, last = cpu_of(process) - cpu_s, worker.metrics()
    assert worker.child.stop() == 0
    done, written = (
        sum(last[name] - first.get(name, 0.0) for name in last if name.startswith(prefix))
        for prefix in ("inferwatch_checkpoints_total", "inferwatch_state_written_bytes_total")
    )
    return Turn(cpu_s, done, written)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of all its threads."""
    used = process.cpu_times()
    return float(used.user + used.system)


def main() -> int:
    """Build the state, restart on it, fold with and without checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-mb", type=float, default=50.0)
    parser.add_argument("--models", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batches", type=int, default=600, help="of each busy model in a turn")
    arguments = parser.parse_args()
    broker = RealBroker()
    try:
        with tempfile.TemporaryDirectory(prefix="inferwatch-bench-") as folder:
            connection = Connection(broker.address, prefix="bench.")
            topics.apply(connection, topics.wanted(connection.prefix, 1), replication_factor=1)
            models = [f"bench/model-{number}" for number in range(arguments.models)]
            with Group(connection, 1) as group:
                began_ms = int(time.time() * 1000) - 86_400_000
                bench = Bench(connection, group, Path(folder), models, began_ms)
                print(report.table(measure(bench, arguments)))
    finally:
        broker.stop()
    return 0


def measure(bench: Bench, arguments: argparse.Namespace) -> list[report.Figure]:
    """All figures."""
    size = build(bench, int(arguments.state_mb * 1e6))
    ready_s, caught_up_s = restart(bench, 120)
    with_, without = [], []
    for number in range(arguments.rounds):
        order = [EVERY_S, NEVER_S] if number % 2 else [NEVER_S, EVERY_S]  # the state grows
        turns = {every_s: turn(bench, every_s, arguments.batches) for every_s in order}
        with_.append(turns[EVERY_S])
        without.append(turns[NEVER_S])
        ratio = without[-1].cpu_s / with_[-1].cpu_s
        print(f"  throughput with : without {ratio:.3f}, {with_[-1]}", file=sys.stderr, flush=True)
    ratios = [less.cpu_s / more.cpu_s for more, less in zip(with_, without, strict=True)]
    done = sum(one.checkpoints for one in with_)
    extra_s = sum(one.cpu_s for one in with_) - sum(one.cpu_s for one in without)
    written = sum(one.written for one in with_)
    return [
        report.Figure("state of the partition", f"{size / 1e6:.1f} MB", COMMAND),
        report.Figure("process start until the state is there", f"{ready_s:.1f} s", ""),
        report.Figure("… until 60,000 waiting rows are safe", f"{caught_up_s:.1f} s", ""),
        report.Figure(
            "throughput with : without checkpoints",
            f"{statistics.median(ratios):.1%} ({min(ratios):.1%} to {max(ratios):.1%})",
            "",
        ),
        report.Figure("CPU of one checkpoint", f"{extra_s / done * 1000:.0f} ms", ""),
        report.Figure("written by one checkpoint", f"{written / done / 1e6:.2f} MB", ""),
    ]


if __name__ == "__main__":
    sys.exit(main())
