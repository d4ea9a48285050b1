"""Samples of this process, taken on a thread of their own: a driver that hangs holds up no row."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable

from inferwatch.sdk import forks
from inferwatch.sdk.notice import warn_once
from inferwatch.sdk.resources import Sample, sampler

EVERY_S = 10.0


class Sampling:
    """Takes a sample every ten seconds while the process lives; the newest waits to be sent."""

    def __init__(self) -> None:
        self._taken: deque[Sample] = deque(maxlen=1)
        thread = threading.Thread(target=self._run, name="inferwatch-sdk-samples", daemon=True)
        with contextlib.suppress(RuntimeError):  # a process that ends starts no thread any more
            thread.start()

    def newest(self) -> Sample | None:
        """A sample that was not given yet, None where there is none. Never waits."""
        return self._taken.pop() if self._taken else None

    def _run(self) -> None:
        sample = _prepared()
        due_s = time.monotonic() + EVERY_S
        while sample is not None:
            time.sleep(max(0.0, due_s - time.monotonic()))
            due_s = max(due_s, time.monotonic()) + EVERY_S  # none is made up for after a halt
            try:
                with forks.sampling:
                    self._taken.append(sample())
            except Exception as problem:
                _tell(problem)


def _prepared() -> Callable[[], Sample] | None:
    """Import what samples need; a function that takes them, None where there is none."""
    try:
        with forks.sampling:
            return sampler()
    except Exception as problem:  # of psutil, on a system that it does not know
        _tell(problem)
        return None


def _tell(problem: Exception) -> None:
    name = type(problem).__name__
    warn_once("resources", name, f"no samples of CPU and memory: {name}")
