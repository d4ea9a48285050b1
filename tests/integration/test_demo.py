"""The demo keeps its promises, on the embedded broker and on a real one, and both tell the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inferwatch.connection import Connection
from inferwatch.core import resources
from inferwatch.core.metrics import LATENESS
from inferwatch.errors import Exit
from inferwatch.records.outputs import word
from inferwatch.replay.log import LogReader

EXAMPLE = Path(__file__).parents[2] / "examples" / "car-loan"
PROMISES = 8
OF_SENDERS = ("captured", *resources.SHARES, *resources.AMOUNTS, *resources.DURATIONS)
pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(280)]


def inferwatch(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line, as a user has it."""
    return subprocess.run(
        [sys.executable, "-m", "inferwatch.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def fired(output: str) -> list[str]:
    """Headers of the alerts on a screen of plain lines."""
    return sorted(line for line in output.splitlines() if line.startswith("[FIRING"))


@pytest.fixture(scope="module")
def embedded_demo() -> "subprocess.CompletedProcess[str]":
    """One run on the embedded broker, faster than people would like to watch it."""
    return inferwatch("demo", "--rows-per-second", "4000")


def test_the_demo_keeps_its_promises(embedded_demo):
    """Exit 0, every promise `yes`: nothing lost, nothing doubled, live = replay."""
    assert embedded_demo.returncode == Exit.DONE, embedded_demo.stdout + embedded_demo.stderr
    held = [line for line in embedded_demo.stdout.splitlines() if line.startswith("yes ")]
    assert len(held) == PROMISES


def test_the_demo_tells_what_is_known_to_be_in_the_data(embedded_demo):
    """Drift and the segment's accuracy fire in the window of rows 25,000 to 30,000."""
    text = embedded_demo.stdout
    assert "[FIRING·critical] FeatureDrift  lending/car-loan v1  car_value" in fired(text)
    after = text.split("SegmentAccuracyDrop  lending/car-loan v1  salary_range=0 - 20K €")[1]
    assert "rows 25,000–30,000" in after.split("\n[")[0]
    assert "unknown, coverage" in text
    assert "`no data`, not fine" in text


@pytest.fixture(scope="module")
def real_demo(kafka) -> "subprocess.CompletedProcess[str]":
    """One run on a real broker, on topics named after it."""
    return inferwatch(
        "demo", "--bootstrap-server", kafka, "--prefix", "demo.", "--rows-per-second", "4000"
    )


@pytest.mark.kafka
def test_a_real_broker_tells_the_same(embedded_demo, real_demo, kafka, tmp_path):
    """The same alerts fire; windows end at the figures that a replay of the table gives."""
    assert real_demo.returncode == Exit.DONE, real_demo.stdout + real_demo.stderr
    assert fired(real_demo.stdout) == fired(embedded_demo.stdout)
    monitors = ("--monitors", str(EXAMPLE / "monitors.yaml"))
    replayed = inferwatch(
        "replay", str(EXAMPLE / "analysis.csv.gz"), *monitors, "--out", str(tmp_path)
    )
    assert replayed.returncode == Exit.DONE, replayed.stderr
    with LogReader(Connection(kafka, prefix="demo."), "windows.v1") as reader:
        windows = [raw for raw in reader.read_all() if word(raw.headers) == "window"]
    live = final(json.loads(raw.value or b"") for raw in windows)
    table = final(json.loads(line) for line in (tmp_path / "windows.jsonl").open("rb"))
    assert live.keys() == table.keys()
    for key, figures in live.items():
        assert figures == pytest.approx(table[key], abs=1e-9), key


def final(records) -> dict[tuple[int, str], dict[str, float]]:
    """Figures of the highest revision of each window and segment.

    Without what only an SDK knows, of what it emitted and of its process every ten seconds, and
    without what follows from when labels came, which the demo sends long after rows of 2018.
    """
    found: dict[tuple[int, str], tuple[int, dict[str, float]]] = {}
    for record in records:
        key = record["window"]["start"], record.get("segment", "")
        revision = record.get("revision", 0)
        if revision >= found.get(key, (-1, {}))[0]:
            found[key] = (
                revision,
                {
                    name: value
                    for name, value in record["metrics"].items()
                    if name not in (*OF_SENDERS, *LATENESS)
                },
            )
    return {key: figures for key, (_, figures) in found.items()}


@pytest.mark.kafka
def test_alerts_are_readable_json_for_any_tool(real_demo, kafka):
    """`kcat -C` prints one JSON document a transition, with no schema and no help of ours."""
    assert real_demo.returncode == Exit.DONE, real_demo.stdout + real_demo.stderr
    kcat = shutil.which("kcat")
    if kcat is None:
        assert not os.environ.get("CI"), "CI needs kcat"
        pytest.skip("not proved here: what kcat shows, because it is not installed")
    topic = Connection(kafka, prefix="demo.").topic("alerts.v1")
    command = [kcat, "-C", "-e", "-q", "-b", kafka, "-t", topic]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    alerts = [json.loads(line) for line in shown.stdout.splitlines()]
    assert {alert["condition"] for alert in alerts} == {"firing", "no_data"}
    assert {alert["alert"] for alert in alerts} > {"FeatureDrift", "SegmentAccuracyDrop", "Silent"}


@pytest.mark.kafka
def test_used_topics_are_refused(real_demo, kafka):
    """The demo counts exactly, so it wants topics of its own: exit 2, naming --prefix."""
    assert real_demo.returncode == Exit.DONE, real_demo.stdout + real_demo.stderr
    again = inferwatch("demo", "--bootstrap-server", kafka, "--prefix", "demo.")
    assert again.returncode == Exit.USAGE
    assert "--prefix" in again.stderr
