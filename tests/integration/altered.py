"""The command line with one thing changed: what a test must break inside a process.

`ALTERED` names what, separated by blanks:

- `unsigned`: checkpoint keys carry no writer, as a simpler design would have it;
- `freeze`: the process stops itself (SIGSTOP) once, after the chunks of a checkpoint and before its
  roots, as soon as the file `ALTERED_FREEZE` exists; the file goes away. Woken, it stops again
  behind the roots, or what it reads next would hide them;
- `mute`: definitions are not written to the log, because a copied log has them already;
- `impatient`: the watchdog waits 8 seconds instead of 60.
"""

import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

from inferwatch.cli.main import main
from inferwatch.runtime import status, watchdog
from inferwatch.runtime.delivery import Delivery
from inferwatch.runtime.kafka_link import KafkaLink

IMPATIENT_S = 8.0


def unsigned() -> None:
    """Every process signs with the same word."""
    original = KafkaLink.__init__

    def init(self, *arguments):
        original(self, *arguments)
        self.writer = "all"

    KafkaLink.__init__ = init


def freeze() -> None:
    """Stop in the middle of a checkpoint."""
    original, file = KafkaLink.reach, Path(os.environ["ALTERED_FREEZE"])
    woken = False

    def reach(self, point):
        nonlocal woken
        original(self, point)
        if point == "C6" and file.exists():
            file.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
            woken = True
        elif point == "C9" and woken:
            os.kill(os.getpid(), signal.SIGSTOP)

    KafkaLink.reach = reach


def mute() -> None:
    """Say nothing about definitions."""

    async def said() -> None:
        """Nothing."""

    async def send(*_: object) -> Awaitable[None]:
        return said()

    Delivery._send_monitor = send


def impatient() -> None:
    """A short patience, so that a stuck worker costs a test seconds."""
    status.STALLED_S = watchdog.STALLED_S = IMPATIENT_S


def environment(words: str, **more: str) -> dict[str, str]:
    """Variables for a process that runs `altered` as its module."""
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    return {"ALTERED": words, "PYTHONPATH": path, **more}


ALTERATIONS = {"unsigned": unsigned, "freeze": freeze, "mute": mute, "impatient": impatient}


if __name__ == "__main__":
    for word in os.environ["ALTERED"].split():
        ALTERATIONS[word]()
    sys.exit(main())
