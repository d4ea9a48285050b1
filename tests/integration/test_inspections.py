"""Inspectors beside a worker on the embedded broker: asked, answered, judged, replayed."""

import random

import pytest
from workers import MODEL, live_digest, replayed, running, until

from inferwatch import Monitor
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.records.decode import decode
from inferwatch.records.events import Inspection
from inferwatch.replay.log import LogReader

pytestmark = [pytest.mark.processes, pytest.mark.timeout(170)]
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
model: {task: binary, label_delay: 1h}
reference: {min_rows: 1000}
windows:
  batch: {rows: 500}
checks:
  - {alert: Apart, metric: features, method: one_class_svm}
  - {alert: Untied, metric: features, method: lof}
"""


def serve(monitor: Monitor, rows: int, seed: int, *, tied: bool = True) -> None:
    """Two features of the same range, which go together or, if not `tied`, against each other."""
    chance = random.Random(seed)
    for _ in range(rows):
        size = chance.gauss(0.0, 1.0)
        other = size if tied else -size
        features = {"size": size, "weight": other + chance.gauss(0.0, 0.05)}
        monitor.log(features=features, prediction=1)
    assert monitor.flush(20)


def inspections(connection: Connection) -> list[Inspection]:
    """Answers in the events topic."""
    with LogReader(connection, "events.v1") as reader:
        found = [decode(raw).record for raw in reader.read_all()]
    return [record for record in found if isinstance(record, Inspection)]


def test_windows_are_inspected_across_a_kill(embedded_broker, tmp_path):
    """What no column shows fires; a worker that is killed while windows wait leaves none of them
    behind; a replay by the recorded answers gives the live outputs.
    """
    connection = Connection(embedded_broker)
    monitor = Monitor(MODEL, "1", connection=connection)
    with running(connection, tmp_path, embedded=True, monitors=MONITORS) as worker:
        serve(monitor, 1_500, seed=1)
        until(lambda: worker.rows() >= 1_500, "the reference is in a checkpoint", worker)
        worker.child.kill()
    with running(connection, tmp_path, embedded=True, monitors=MONITORS) as worker:
        serve(monitor, 1_000, seed=2, tied=False)
        until(
            lambda: len({(one.window, one.method) for one in inspections(connection)}) == 6,
            "three windows are answered by both methods",
            worker,
        )
        until(lambda: worker.metrics().get(firing("Untied"), 0.0) == 1.0, "the alert fires", worker)
        until(lambda: worker.metrics()["inferwatch_lag_records"] == 0, "nothing waits", worker)
        assert worker.child.stop() == Exit.DONE
    found = inspections(connection)
    assert all(one.value is not None and one.n == 500 for one in found)
    summary = replayed(connection)
    assert summary.transitions["Untied ok → firing"] == 1
    assert summary.digest == live_digest(connection)


def firing(alert: str) -> str:
    """The sample that says whether an alert fires."""
    labels = f'alertname="{alert}",model="{MODEL}",severity="critical"'
    return f"inferwatch_alert_firing{{{labels}}}"
