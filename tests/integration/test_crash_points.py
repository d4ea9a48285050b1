"""Worker processes that die at each named point of delivery, and what follows."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import traffic
from fleet import Group
from workers import Worker, live_digest, published_windows, replayed, send, until

from inferwatch.connection import Connection
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.errors import Exit
from inferwatch.records.raw import RawRecord
from inferwatch.replay.log import LogReader
from inferwatch.runtime import embedded

TURNS = {f"C{number}": 2 for number in range(17)} | dict.fromkeys(
    ["C3", "C8", "C14", "C15", "C16"], 1
)
TOGETHER = [
    ["C0", "C1", "C2", "C3"],
    ["C4", "C5", "C6", "C7"],
    ["C8", "C9", "C10", "C11"],
    ["C12", "C14", "C15", "C16"],
    ["C13"],
]
MODELS = traffic.models(2)
# two windows that one record closes: a crash between its outputs is possible
MONITORS = traffic.MONITORS.replace("windows:", "windows:\n  half: {rows: 500}")
OPTIONS = ("--tick-every", "3600")
ROUNDS_MAX = 6
pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(170)]


class Story:
    """One worker on one partition of its own that dies at `point`, and its successor."""

    def __init__(self, servers: str, point: str, folder: Path) -> None:
        self.connection = Connection(servers, prefix=f"{point}.")
        self.point, self.folder = point, folder
        self.feeder = traffic.Feeder(self.connection, MODELS, 1)
        self.rubbish = 0

    def worker(self, name: str, environment: dict[str, str] | None = None) -> Worker:
        """A worker of this story."""
        return Worker(
            self.connection,
            self.folder,
            embedded=True,
            name=f"{self.point}-{name}",
            options=OPTIONS,
            monitors=MONITORS,
            environment=environment,
        )

    def feed(self) -> None:
        """Two batches of each model, and rubbish."""
        for model in MODELS * 2:
            self.feeder.send(model)
        self.feeder.finish()
        key = MODELS[0].encode()
        good = traffic.batch(MODELS[0], 0, 0)
        send(self.connection, [RawRecord("", 0, 0, 0, key, b"\xff\xfe no batch", good.headers)])
        self.rubbish += 1

    def die(self) -> None:
        """Run until the point is reached."""
        crash = {"INFERWATCH_CRASH_AT": f"{self.point}:{TURNS[self.point]}"}
        victim = self.worker("victim", crash)
        with Group(self.connection, 1) as group:
            for _ in range(ROUNDS_MAX):
                self.feed()
                until(
                    lambda: not victim.child.running() or group.has_reached(group.ends()),
                    f"it dies at {self.point} or has folded all",
                )
                if not victim.child.running():
                    break
        if self.point == "C13":
            victim.until_ready()
            second = self.worker("second")
            until(lambda: not victim.child.running(), "it dies when another joins")
            second.child.kill()
        if self.point == "C16":
            self.feed()
            victim.child.process.send_signal(signal.SIGTERM)
        victim.child.process.wait(30)
        words = victim.child.last_words()
        assert victim.child.process.returncode == -signal.SIGKILL, f"{self.point} unhit:\n{words}"

    def go_on(self) -> None:
        """A healthy successor makes it whole."""
        successor = self.worker("successor").until_ready()
        self.feed()
        with Group(self.connection, 1) as group:
            until(lambda: group.has_reached(group.ends()), "the log is folded", successor)
        assert successor.child.stop() == Exit.DONE
        windows = list(published_windows(self.connection).values())
        assert traffic.wrong_windows(self.feeder.batches, windows) == []
        summary = replayed(self.connection)
        assert summary.digest == live_digest(self.connection)
        gone = sum(summary.rejected.values()) + sum(summary.duplicate.values())
        assert summary.rows == summary.ok + gone
        with LogReader(self.connection, "dlq.v1") as reader:
            letters = {raw.headers[f"{ERROR_HEADERS}offset"] for raw in reader.read_all()}
        assert len(letters) == self.rubbish

    def play(self) -> None:
        """The whole story."""
        self.die()
        self.go_on()


def test_every_crash_point_of_delivery_has_its_story():
    """None is forgotten: C0 to C16."""
    told = [point for points in TOGETHER for point in points]
    assert sorted(told) == sorted(TURNS)


@pytest.mark.parametrize("points", TOGETHER, ids="-".join)
def test_a_worker_that_dies_there_leaves_no_trace(points, tmp_path):
    """Killed at each point: after a restart every row counts once and live equals replay."""
    names = ("events.v1", "windows.v1", "state.v1", "alerts.v1", "dlq.v1")
    broker = embedded.start({f"{point}.{name}": 1 for point in points for name in names})
    try:
        with ThreadPoolExecutor(len(points)) as pool:
            stories = [Story(broker.bootstrap_servers, point, tmp_path) for point in points]
            for told in [pool.submit(story.play) for story in stories]:
                told.result()
    finally:
        broker.stop()
