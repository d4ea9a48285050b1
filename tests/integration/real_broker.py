"""The real Kafka of `scripts/kafka.py` as a process: started, broken on purpose, stopped."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "kafka.py"


class UnavailableError(Exception):
    """This machine cannot run one; the message says what it lacks."""


class RealBroker:
    """One broker on loopback; `options` are those of the script.

    :raises UnavailableError: it did not come up.
    """

    def __init__(self, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            raise UnavailableError(self._process.stderr.read().strip())

    def order(self, word: str) -> None:
        """`kill`, `start`, `freeze` or `thaw`; returns when it has happened."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer == "done", f"{word}: {answer or 'the script ended'}"

    def stop(self) -> None:
        """End it; its data is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(40)
