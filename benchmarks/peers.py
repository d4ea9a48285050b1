"""The fold beside what others offer for the same rows, each in an environment of its own.

`make bench-peers`. Environments are made once, from the pinned lists in `peers/`, which need an
index of packages and a gigabyte; they lie under `.peers/`, which git does not see. A peer that
cannot be installed or run is named loudly, the others are measured, and the exit code is 1.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import fold
import numpy as np
import report
import rows
import turns

COMMAND = "make bench-peers"
LISTS = report.HERE / "peers"
ENVIRONMENTS = report.HERE / ".peers"
PEERS = {
    "whylogs": ("whylogs_blocks.py", "whylogs, a profile fed blocks of 500 rows"),
    "evidently": ("evidently_report.py", "Evidently, a drift report of 20,000 rows"),
}
ROWS = 25_000
OURS = "the fold, default checks, exact ADWIN"


class Peer:
    """A process of `name`'s environment that takes a turn when it is asked."""

    def __init__(self, name: str, data: Path) -> None:
        program, self.what = PEERS[name]
        self.process = subprocess.Popen(
            [_python(name), LISTS / program, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | report.QUIET | {"PYTHONPATH": ""},
        )
        self.version = self._line()

    def turn(self) -> float:
        """Nanoseconds a row."""
        assert self.process.stdin is not None
        print("go", file=self.process.stdin, flush=True)
        n, took_ns = map(int, self._line().split())
        return took_ns / n

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"its process ended with {self.process.wait()}")
        return line

    def stop(self) -> None:
        """It ends with its input."""
        self.process.communicate()


def _python(name: str) -> Path:
    """The interpreter of `name`'s environment, which is made where it is not there as listed."""
    listed, folder = (LISTS / f"{name}.txt").read_text(), ENVIRONMENTS / name
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_text() != listed:
        print(f"installing {name} (once, some minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", LISTS / f"{name}.txt"], check=True)
        installed.write_text(listed)
    return python


def write_rows(path: Path) -> None:
    """The rows that the fold gets, as columns."""
    chunks = [
        rows.chunk("bench/model", seq, fold.START_MS) for seq in range(ROWS // rows.BATCH_ROWS)
    ]
    numeric = np.concatenate([chunk.numeric for chunk in chunks], axis=1)
    score = np.concatenate([chunk.score for chunk in chunks])
    np.savez(
        path,
        **dict(zip(rows.NAMES, numeric, strict=False)),
        score=score,
        latency_ms=np.concatenate([chunk.latency_ms for chunk in chunks]),
        prediction=(score > 0.5).astype(np.int64),
    )


def measure(names: list[str], rounds: int) -> tuple[dict[str, list[float]], list[str]]:
    """Nanoseconds a row of every round, in turns, and the versions of those that ran."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "rows.npz"
        write_rows(data)
        ours = fold.Fold(fold.watched(), batches=80).prepare(rounds + 1)
        peers = []
        for name in names:
            try:
                peers.append(Peer(name, data))
                stack.callback(peers[-1].stop)
            except (OSError, RuntimeError, subprocess.CalledProcessError) as failed:
                print(f"!!! {name} IS NOT MEASURED: {failed}", flush=True)
        ours.turn()
        costs: dict[str, list[float]] = {OURS: []} | {peer.what: [] for peer in peers}
        for _ in range(rounds):
            began_ns = time.thread_time_ns()
            n = ours.turn()
            costs[OURS].append((time.thread_time_ns() - began_ns) / n)
            for peer in peers:
                costs[peer.what].append(peer.turn())
        ours.check()
        return costs, [peer.version for peer in peers]


def figures(costs: dict[str, list[float]]) -> list[report.Figure]:
    """Microseconds a row, and each peer to the fold."""
    found = []
    for what, spent in costs.items():
        best, middle = (each(spent) / 1_000 for each in (min, statistics.median))
        value = f"{best:.2f} (median {middle:.2f})"
        if what != OURS:
            value += f", {turns.ratio(spent, costs[OURS])}"
        found.append(report.Figure(f"{what}, µs a row", value, COMMAND))
    return found


def main() -> int:
    """`python benchmarks/peers.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put what is printed in RESULTS.md")
    given = parser.parse_args()
    costs, versions = measure(list(PEERS), given.rounds)
    printed = f"{report.machine()}\n{', '.join(versions)}\n\n{report.table(figures(costs))}"
    print(printed)
    if given.write:
        report.keep(COMMAND, printed)
    return int(len(versions) < len(PEERS))


if __name__ == "__main__":
    turns.quietly()
    sys.exit(main())
