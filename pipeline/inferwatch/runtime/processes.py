"""Child processes of `demo` and `dev`: started by our own command line, ended by their id."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from inferwatch.errors import TransientError

STOP_S = 25.0


class Child:
    """One running process of ours. Its log goes to a file in `folder`, else to our own standard
    error; its output there too, unless `piped`.

    In a session of its own, so that Ctrl-C reaches its parent first, which ends it in order.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        folder: Path | None = None,
        *,
        piped: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log" if folder else None
        self._log = self.log_path.open("ab") if self.log_path else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else self._log,  # None: the parent's own
            stderr=self._log,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(environment or {}),
        )

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no goodbye, no last checkpoint."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM, then wait; the exit code. Whoever does not end in 25 s is killed."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        self._close()
        return code

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()

    def last_words(self) -> str:
        """The end of its log, for the one who must find out why it ended."""
        if self.log_path is None:
            return ""
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-8:])


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready(address: str) -> bool:
    """Whether `/readyz` of a worker or notifier says so."""
    try:
        with urlopen(f"http://{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def compiling(address: str) -> bool:
    """Whether `/readyz` of a worker says that it compiles its kernels."""
    try:
        urlopen(f"http://{address}/readyz", timeout=2).close()
    except HTTPError as answer:
        return bool(json.load(answer)["state"] == "compiling")
    except (URLError, OSError):
        pass
    return False


def wait_for(
    condition: Callable[[], bool],
    timeout_s: float,
    what: str,
    children: Sequence[Child] = (),
    excused: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until `condition` holds; time in which `excused` does is not counted.

    :raises TransientError: it did not in time, or one of `children` ended before.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        for child in children:
            if not child.running():
                raise TransientError(
                    f"the {child.name} ended with exit {child.process.returncode}:\n"
                    f"{child.last_words()}"
                )
        if excused():
            deadline_s = time.monotonic() + timeout_s
        if time.monotonic() > deadline_s:
            raise TransientError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(0.1)
