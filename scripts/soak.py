#!/usr/bin/env python3
"""A worker at the machine's pace for minutes: its memory, file descriptors and threads stay.

`scripts/soak.py --minutes 10` starts the embedded broker and one worker, feeds it batches of 500
rows with labels as fast as it folds them, samples `/proc` and prints the slope of its memory after
a warm-up. Exit 1 where memory grows by more than 1 MB a minute, or descriptors or threads do not
stay.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from confluent_kafka import Producer

from inferwatch.connection import Connection
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import embedded
from inferwatch.runtime.processes import Child, free_port, ready, wait_for
from inferwatch.testing.builders import raw_inference, raw_labels

MODELS = 4
ROWS = 500
FEATURES = 20
AHEAD_ROWS = 20_000
SLOPE_MAX_MB = 1.0
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "soak/*"}
model: {task: binary, positive: 1, label_delay: 5s, label_wait: 10s, label_horizon: 20s}
reference: {min_rows: 2000}
windows:
  short: {size: 5s, grace: 1s}
checks:
  - alert: Drift
    metric: feature.*
    method: psi
    fail: {above: 0.25}
  - alert: AccuracyLow
    metric: accuracy
    when: {labels: 100, coverage: 50%}
    fail: {below: 80%}
"""


def traffic(seed: int) -> Iterator[RawRecord]:
    """Batches of rows, each followed by its labels, of all models in turn, for ever."""
    numbers, chance = np.random.default_rng(seed), random.Random(seed)
    for number in range(1 << 40):
        now_ms = time.time_ns() // 1_000_000
        ids = [f"{number}-{row}" for row in range(ROWS)]
        answers = numbers.integers(0, 2, ROWS)
        model = f"soak/m{number % MODELS}"
        columns = numbers.normal(size=(FEATURES, ROWS))
        common = {"model": model, "emitter": f"{model}@soak"}
        yield raw_inference(
            n=ROWS,
            ids=ids,
            offset=number,
            seq=2 * number,
            time_ms=[now_ms] * ROWS,
            numeric={f"f{at}": column.tolist() for at, column in enumerate(columns)},
            prediction=answers.tolist(),
            score=numbers.random(ROWS).tolist(),
            latency_ms=[5.0] * ROWS,
            **common,
        )
        wrong = chance.random() * 0.1
        yield raw_labels(
            ids=ids,
            label=np.where(numbers.random(ROWS) < wrong, 1 - answers, answers).tolist(),
            offset=number,
            seq=2 * number + 1,
            time_ms=[now_ms] * ROWS,
            **common,
        )


def rows_in(address: str) -> float:
    """Rows that the worker has read."""
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("inferwatch_in_total"))


def sample(pid: int) -> tuple[float, int, int]:
    """Resident memory in MB, file descriptors, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    memory_mb = int(found["VmRSS"].split()[0]) / 1024
    return memory_mb, len(list(Path(f"/proc/{pid}/fd").iterdir())), int(found["Threads"])


def feed(connection: Connection, worker: Child, address: str, seconds: float) -> list[tuple]:
    """Samples (seconds, MB, descriptors, threads) while the worker is kept busy."""
    producer = Producer(connection.librdkafka(partitioner="murmur2_random"))
    begun, sent, known, samples, due_s = time.monotonic(), 0, 0.0, [], 0.0
    for raw in traffic(1):
        now_s = time.monotonic() - begun
        if now_s > seconds:
            break
        topic = connection.topic("events.v1")
        producer.produce(topic, raw.value, raw.key, headers=list(raw.headers.items()))
        sent += ROWS
        producer.poll(0)
        while sent - known > AHEAD_ROWS:
            assert worker.running(), worker.last_words()
            time.sleep(0.1)
            try:
                known = rows_in(address)
            except OSError as error:
                print(f"{error}: {worker.last_words()}")
                raise
        if now_s >= due_s:
            samples.append((now_s, *sample(worker.process.pid)))
            due_s = now_s + 2.0
    producer.flush(20)
    print(f"{sent / seconds:,.0f} rows a second, {sent:,} rows")
    return samples


def verdict(samples: list[tuple], slope_max_mb: float) -> int:
    """Print the slope after a third of the time; 0 where all stays."""
    kept = samples[len(samples) // 3 :]
    seconds, memory_mb, descriptors, threads = (
        np.array(column) for column in zip(*kept, strict=True)
    )
    slope = float(np.polyfit(seconds / 60, memory_mb, 1)[0])
    print(f"memory {memory_mb[0]:.1f} → {memory_mb[-1]:.1f} MB, {slope:+.2f} MB a minute")
    print(f"file descriptors {descriptors.min()}…{descriptors.max()}")
    print(f"threads {threads.min()}…{threads.max()}")
    stays = np.ptp(descriptors[len(descriptors) // 2 :]) <= 2 and np.ptp(threads) <= 1
    return 0 if slope <= slope_max_mb and stays else 1


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--slope-max-mb", type=float, default=SLOPE_MAX_MB, help="a minute; short runs need more"
    )
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    broker = embedded.start()
    connection = Connection(broker.bootstrap_servers)
    with tempfile.TemporaryDirectory() as folder:
        monitors = Path(folder, "monitors.yaml")
        monitors.write_text(MONITORS, encoding="utf-8")
        address = f"127.0.0.1:{free_port()}"
        options = ["worker", *connection.arguments(), "--broker", "embedded"]
        options += ["--http-listen", address, "--monitors", str(monitors)]
        with Child("worker", "inferwatch.cli.main", options, Path(folder)) as worker:
            wait_for(lambda: ready(address), 60, "the worker", [worker])
            samples = feed(connection, worker, address, seconds)
    broker.stop()
    return verdict(samples, arguments.slope_max_mb)


if __name__ == "__main__":
    sys.exit(main())
