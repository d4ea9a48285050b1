"""What a model server waits for in `log` and `log_batch`, with a broker and with none reachable.

Each call is timed on its own, wall time, as the server feels it: the sender's thread packs and
sends beside it all the while. Rows have 20 numbers. Ten rounds, the best of each figure; a round
holds fewer rows than the buffer, so nothing is dropped, and the run ends if anything was.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import report

from inferwatch import Monitor
from inferwatch.connection import Connection
from inferwatch.runtime import embedded

COMMAND = "python benchmarks/sdk.py"
FEATURES = 20
BATCH_ROWS = 500
NOWHERE = "127.0.0.1:1"
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
Figures = dict[str, float]


def measure(servers: str, calls: int, rounds: int) -> Figures:
    """Microseconds: of `log` by share of the calls, of `log_batch` a row. Best of the rounds."""
    found = [_round(servers, calls) for _ in range(rounds)]
    return {name: min(one[name] for one in found) for name in found[0]}


def _round(servers: str, calls: int) -> Figures:
    monitor = Monitor("bench/sdk", "1", connection=Connection(servers))
    rows = [
        {f"feature_{at:02d}": number * 0.001 + at for at in range(FEATURES)}
        for number in range(1_000)
    ]

    def log(number: int) -> None:
        monitor.log(features=rows[number % 1_000], prediction=1, proba=0.5, latency_ms=2.0)

    columns = {name: [row[name] for row in rows[:BATCH_ROWS]] for name in rows[0]}
    answers, probas = [1] * BATCH_ROWS, [0.5] * BATCH_ROWS

    def log_batch(_: int) -> None:
        monitor.log_batch(columns, answers, probas, latency_ms=2.0)

    singles = sorted(_timed(log, calls))
    batches = sorted(_timed(log_batch, max(2, calls // BATCH_ROWS)))
    counters = monitor.counters
    if counters.dropped:
        sys.exit(f"rows were dropped: {counters.dropped}")
    monitor.close(0.0)
    found = {name: singles[int(share * (len(singles) - 1))] for name, share in SHARES.items()}
    return found | {"row of log_batch": batches[len(batches) // 2] / BATCH_ROWS}


def _timed(call: Callable[[int], None], times: int) -> list[float]:
    """Microseconds of each call."""
    clock, found = time.perf_counter_ns, []
    for number in range(times):
        began = clock()
        call(number)
        found.append((clock() - began) / 1000)
    return found


def in_own_process(servers: str, calls: int, rounds: int) -> Figures:
    """`measure` in a fresh process with quiet settings."""
    arguments = ["--servers", servers, "--calls", str(calls), "--rounds", str(rounds)]
    ran = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=os.environ | report.QUIET,
        capture_output=True,  # the SDK says so when it finds no broker
        check=False,
    )
    if ran.returncode:
        sys.exit(ran.stderr.decode())
    return json.loads(ran.stdout)


def figures(measured: dict[str, Figures]) -> list[report.Figure]:
    """One line a figure, by where the rows went."""
    found = []
    for where, costs in measured.items():
        calls = " / ".join(f"{costs[name]:.1f}" for name in SHARES)
        names = " / ".join(SHARES)
        found.append(report.Figure(f"log, {where}, µs a call {names}", calls, COMMAND))
        row = f"{costs['row of log_batch']:.2f}"
        found.append(report.Figure(f"log_batch of 500, {where}, µs a row", row, COMMAND))
    return found


def compare(calls: int, rounds: int) -> dict[str, Figures]:
    """With the embedded broker, and with none."""
    broker = embedded.start()
    try:
        return {
            "embedded broker": in_own_process(broker.bootstrap_servers, calls, rounds),
            "no broker reachable": in_own_process(NOWHERE, calls, rounds),
        }
    finally:
        broker.stop()


def main() -> None:
    """`python benchmarks/sdk.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", help="measure in this process, print JSON")
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    if given.servers:
        print(json.dumps(measure(given.servers, given.calls, given.rounds)), flush=True)
        os._exit(0)  # rows for a broker that is not there would be waited for
    print(report.table(figures(compare(given.calls, given.rounds))))


if __name__ == "__main__":
    main()
