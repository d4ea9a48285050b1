"""The model server of the demo: sends the car-loan rows through the SDK, labels trailing behind.

`python -m inferwatch.demo.producer FOLDER`, with the broker from `INFERWATCH_*`. Progress goes to
standard output as JSON lines.
"""

import argparse
import csv
import gzip
import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inferwatch import Monitor
from inferwatch.config import mapping
from inferwatch.config.mapping import Mapping

STEP_ROWS = 50
REPORT_ROWS = 500
LABEL_LAG_ROWS = 450
HOLD_ROWS = (32_000, 39_000)  # meanwhile no label comes: window 30,000–35,000 closes at 31 %
FLUSH_S = 60.0


class Row:
    """One line of the table, as a model server would have it at hand."""

    def __init__(self, columns: Mapping, line: dict[str, str]) -> None:
        self.id = line[columns.prediction_id]
        self.features: dict[str, Any] = {
            name: float(line[name]) if line[name] else None for name in columns.numeric
        } | {name: line[name] or None for name in columns.categories}
        self.prediction = int(line[columns.prediction or ""])
        self.proba = float(line[columns.proba or ""])
        self.label = int(float(line[columns.label or ""]))
        self.time = datetime.fromisoformat(line[columns.timestamp]).replace(tzinfo=UTC)


def read(folder: Path) -> tuple[Mapping, list[Row]]:
    """The rows in the table's order."""
    columns = mapping.read(folder / "mapping.yaml")
    with gzip.open(folder / "analysis.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return columns, [Row(columns, line) for line in csv.DictReader(file)]


def label_order(rows: int, seed: int = 7) -> list[tuple[int, int]]:
    """(row at which the label is known, row it belongs to): trailing and out of order."""
    lag = random.Random(seed)
    due = [(row + LABEL_LAG_ROWS // 2 + lag.randrange(LABEL_LAG_ROWS), row) for row in range(rows)]
    return sorted(due)


def labels_until(order: list[tuple[int, int]]) -> Iterator[list[int]]:
    """Send me the number of rows sent: I give the rows whose labels are known by then."""
    at = 0
    sent = yield []
    while True:
        known = []
        held = HOLD_ROWS[0] <= sent < HOLD_ROWS[1]
        while not held and at < len(order) and order[at][0] <= sent:
            known.append(order[at][1])
            at += 1
        sent = yield known


def run(folder: Path, rows_per_s: float) -> int:
    """Send everything; 0 when all of it was delivered."""
    columns, rows = read(folder)
    monitor = Monitor(columns.model, version=columns.version)
    known = labels_until(label_order(len(rows)))
    next(known)
    started_s, labels = time.monotonic(), 0
    for start in range(0, len(rows), STEP_ROWS):
        for row in rows[start : start + STEP_ROWS]:
            monitor.log(
                features=row.features,
                prediction=row.prediction,
                proba=row.proba,
                timestamp=row.time,
                prediction_id=row.id,
            )
        sent = start + STEP_ROWS
        labels += _send_labels(monitor, rows, known.send(sent))
        if sent % REPORT_ROWS == 0:
            _report(rows=sent, labels=labels)
        time.sleep(max(0.0, started_s + sent / rows_per_s - time.monotonic()))
    labels += _send_labels(monitor, rows, known.send(2 * len(rows)))
    delivered = monitor.flush(FLUSH_S)
    counters = monitor.counters
    _report(rows=len(rows), labels=labels, delivered=counters.delivered, done=True)
    if not delivered or counters.dropped:
        print(f"not everything was delivered: {counters}", file=sys.stderr)
        return 1
    return 0


def _send_labels(monitor: Monitor, rows: list[Row], known: list[int]) -> int:
    if known:
        monitor.log_labels([rows[at].id for at in known], [rows[at].label for at in known])
    return len(known)


def _report(**progress: int) -> None:
    print(json.dumps(progress), flush=True)


def main() -> int:
    """Arguments of the process."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows-per-s", type=float, default=1_500.0)
    arguments = parser.parse_args()
    return run(arguments.folder, arguments.rows_per_s)


if __name__ == "__main__":
    sys.exit(main())
