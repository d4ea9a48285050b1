"""Waiting for a child: a limit on time, which compiling does not use up."""

import pytest

from inferwatch.errors import TransientError
from inferwatch.runtime import health, processes
from inferwatch.runtime.status import Status
from inferwatch.telemetry.worker import Metrics


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only by sleeping."""
    now_s = [0.0]
    monkeypatch.setattr(processes.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(processes.time, "sleep", lambda s: now_s.__setitem__(0, now_s[0] + s))
    return now_s


def test_waiting_has_an_end(clock):
    """What does not come in time is named."""
    with pytest.raises(TransientError, match="waited 60 s in vain for the worker"):
        processes.wait_for(lambda: False, 60.0, "the worker")
    assert 60 < clock[0] < 61


def test_excused_time_is_not_counted(clock):
    """However long it is; behind it the whole patience is left."""
    processes.wait_for(lambda: clock[0] > 500, 60.0, "it", excused=lambda: clock[0] < 450)
    with pytest.raises(TransientError):
        processes.wait_for(lambda: False, 60.0, "it", excused=lambda: clock[0] < 900)
    assert 959 < clock[0] < 961


def test_a_worker_that_compiles_says_so():
    """By its state; one that starts, is ready or is not there does not compile."""
    status = Status(Metrics())
    address = health.serve("127.0.0.1:0", status)
    assert not processes.compiling(address)
    status.compiling = True
    assert processes.compiling(address) and not processes.ready(address)
    status.compiled()
    status.took_over([0])
    assert processes.ready(address) and not processes.compiling(address)
    assert not processes.compiling(f"127.0.0.1:{processes.free_port()}")
