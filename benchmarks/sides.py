"""Processes of the benchmarks: the worker, the bridge to it, and the obvious way beside them."""

import json
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Protocol

import msgspec
import report
import rows

from inferwatch.connection import Connection
from inferwatch.records.outputs import word
from inferwatch.replay.log import LogReader
from inferwatch.runtime.processes import Child, free_port

PATIENCE_S = 120.0
POLL_S = 0.7
SOON_S = 0.01
ROWS_S = 1_000_000  # asked later, a worker that is faster has run dry, and waits
REPORT_ROWS = 100
FIRST = rows.NAMES[0]


class Side(Protocol):
    """One way to do it, as a process that reads `connection`'s events topic."""

    connection: Connection
    child: Child

    def keep_up(self, rows: int) -> None:
        """Until it has taken in so many rows."""
        ...

    def wait(self, sent: int) -> None:
        """Until all `sent` rows are done."""
        ...

    def seen(self) -> tuple[int, float]:
        """Rows, and the mean of the first feature over them, as this side has counted."""
        ...


class Worker:
    """`inferwatch worker` with this monitor file, or without one: default checks."""

    def __init__(
        self, connection: Connection, folder: Path, checkpoint_every_s: float, monitors: str = ""
    ) -> None:
        self.connection = connection
        given = []
        if monitors:
            path = folder / "monitors.yaml"
            path.write_text(monitors)
            given = ["--monitors", str(path)]
        self.address = f"127.0.0.1:{free_port()}"
        self.asked = HTTPConnection(self.address, timeout=10)
        self.child = Child(
            f"worker of {connection.prefix}",
            "inferwatch.cli.main",
            [
                *("worker", *connection.arguments()),
                *("--broker", "embedded", "--http-listen", self.address),
                *("--checkpoint-every", str(checkpoint_every_s)),
                *given,
            ],
            folder,
            environment=report.QUIET,
        )

    def keep_up(self, rows: int) -> None:
        """Until so many rows are folded."""
        self._until("inferwatch_ok_total", rows, SOON_S)

    def wait(self, sent: int) -> None:
        """Until the rows are in checkpoints."""
        self._until("inferwatch_model_rows", sent, POLL_S)

    def _until(self, metric: str, rows: int, poll_s: float) -> None:
        """Asked for one metric, and when it may be so, as its answers are CPU of the worker too."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (left := rows - self._sum(metric)) > 0:
            if not self.child.running() or time.monotonic() > deadline_s:
                sys.exit(f"{self.child.name}: not {rows} rows\n{self.child.last_words()}")
            time.sleep(max(poll_s, left / ROWS_S))

    def _sum(self, metric: str) -> int:
        try:
            self.asked.request("GET", f"/metrics?name[]={metric}")
            lines = self.asked.getresponse().read().decode().splitlines()
        except OSError:
            self.asked.close()
            return -1  # it is still starting
        counted = (line for line in lines if line.startswith((f"{metric}{{", f"{metric} ")))
        return round(sum(float(line.rsplit(" ", 1)[1]) for line in counted))

    def seen(self) -> tuple[int, float]:
        """From the minute windows that it has published."""
        found: dict[str, tuple[int, float]] = {}
        with LogReader(self.connection, "windows.v1") as reader:
            for raw in reader.read_all():
                if word(raw.headers) != "window":
                    continue
                record = json.loads(raw.value or b"")
                if record["window"]["name"] == "minute" and not record.get("segment"):
                    found[record["id"]] = record["rows"], record["features"][FIRST]["mean"]
        return _together(list(found.values()))


def bridge(connection: Connection, topic: str, folder: Path) -> Child:
    """`inferwatch ingest` from `topic`."""
    options = ["ingest", "--from", topic, *connection.arguments()]
    return Child("bridge", "inferwatch.cli.main", options, folder, environment=report.QUIET)


class Obvious:
    """`obvious.py`, told apart from the worker by nothing but what it does with a message."""

    def __init__(self, connection: Connection, folder: Path, *, page_hinkley: bool = False) -> None:
        self.connection = connection
        self.child = Child(
            f"obvious of {connection.prefix}",
            "obvious",
            [
                *("--bootstrap-server", connection.bootstrap_servers),
                *("--topic", connection.topic("events.v1")),
                *("--report-every", str(REPORT_ROWS)),
                *(["--page-hinkley"] if page_hinkley else []),
            ],
            folder,
            piped=True,
            environment=report.QUIET | {"PYTHONPATH": str(report.HERE)},
        )
        self._last: dict[str, object] = {}

    def keep_up(self, rows: int) -> None:
        """It is sent no more than the broker keeps."""

    def wait(self, sent: int) -> None:
        """Until it has said so; it speaks every 100 rows."""
        assert self.child.process.stdout is not None
        while not self._last or self._last["rows"] < sent:
            line = self.child.process.stdout.readline()
            if not line:
                sys.exit(f"the {self.child.name} ended:\n{self.child.last_words()}")
            self._last = msgspec.json.decode(line)

    def seen(self) -> tuple[int, float]:
        """What it said last."""
        return _together(list(self._last["models"]))


def _together(parts: list[tuple[int, float]]) -> tuple[int, float]:
    """Rows in all, and the mean over all of them."""
    total = sum(count for count, _ in parts)
    return total, sum(count * mean for count, mean in parts) / max(total, 1)
