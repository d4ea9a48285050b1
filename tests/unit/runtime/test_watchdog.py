"""The watchdog: it ends what a restart would help, and nothing else."""

import threading

import pytest

from inferwatch.errors import Exit
from inferwatch.runtime import watchdog
from inferwatch.runtime.status import STALLED_S, Status
from inferwatch.telemetry.worker import Metrics

# the watched process ends where the test's `die` ends the watchdog's thread
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Time:
    """A clock that the watchdog's own sleep moves; `steps` what happens at which second."""

    def __init__(self, *steps) -> None:
        self.now_s = 0.0
        self.steps = dict(steps)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.steps.pop(self.now_s, lambda: None)()
        if self.now_s > 1_000:
            raise SystemExit


@pytest.fixture
def watch(monkeypatch):
    """Runs the watchdog to its end; gives when it ended the process, with what and why."""

    def watched(*steps) -> tuple[float, Exit, str] | None:
        clock = Time()
        status = Status(Metrics(), clock.monotonic)
        stopping = threading.Event()
        clock.steps = {at: lambda act=act: act(status, stopping) for at, act in steps}
        ended: list[tuple[float, Exit, str]] = []

        def die(code: Exit, why: str) -> None:
            ended.append((clock.now_s, code, why))
            raise SystemExit

        monkeypatch.setattr(watchdog, "time", clock)
        watchdog.start(status, stopping.is_set, die).join(30)
        return ended[0] if ended else None

    return watched


def fold(status: Status, _) -> None:
    """Nothing is left to fold."""
    status.lag(0)


def test_a_process_that_never_gets_to_work_is_ended():
    """From its start on it has a minute; see below for what counts as progress."""
    assert STALLED_S == 60


def test_no_progress_for_a_minute_is_the_end(watch):
    """With the exit code that a supervisor restarts, and the reason for the log."""
    assert watch() == (61.0, Exit.STALLED, "no progress for 60 s")
    at, code, _ = watch((30.0, fold), (80.0, fold))
    assert (at, code) == (141.0, Exit.STALLED)


def test_progress_keeps_it_alive(watch):
    """A worker with nothing to fold is well for ever."""
    assert watch(*((float(at), fold) for at in range(50, 1_001, 50))) is None


def stop(_, stopping) -> None:
    """SIGTERM has come."""
    stopping.set()


def test_a_shutdown_has_twenty_seconds(watch):
    """Then it is ended: the supervisor would kill it anyway, and less politely."""
    at, code, why = watch((10.0, fold), (30.0, stop))
    assert (at, code) == (51.0, Exit.DRAIN_DEADLINE)
    assert "the drain took longer than 20 s" in why


def test_a_shutdown_is_not_taken_for_a_stall(watch):
    """While it drains, the missing progress is no reason; the drain's deadline is."""
    at, code, _ = watch((58.0, stop))
    assert (at, code) == (79.0, Exit.DRAIN_DEADLINE)


def test_the_status_says_that_it_stops(watch):
    """So that no traffic is sent to a process that is leaving."""
    found = []
    watch((5.0, stop), (7.0, lambda status, _: found.append((status.state(), status.ready()))))
    assert found == [("stopping", False)]


def test_a_long_restore_is_no_stall(watch):
    """Reading back much state takes its time."""

    def restore(status: Status, _) -> None:
        status.restoring = True

    at, code, why = watch((30.0, restore))
    assert code == Exit.STALLED and "restore" in why and at > 300
