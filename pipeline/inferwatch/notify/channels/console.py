"""Standard output: a message as its text, an empty line behind it."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from inferwatch.config.document import Node
from inferwatch.notify import text
from inferwatch.notify.deliver import Outcome, Retry, Sent
from inferwatch.records.notified import Plan

KEYS = ()
REQUIRED = ()


@dataclass
class Console:
    """Prints."""

    name: str = "console"
    stream: TextIO = field(default_factory=lambda: sys.stdout, repr=False)

    async def send(self, plan: Plan) -> Outcome:
        """Print and flush."""
        message = text.render(plan.alert, plan.at_ms, round(time.time() * 1000))
        try:
            print(message, end="\n\n", file=self.stream, flush=True)
        except OSError as error:
            return Retry(f"cannot write: {error.strerror}")
        return Sent()

    async def close(self) -> None:
        """Nothing is held open."""


def read(fields: Mapping[str, Node], name: str) -> Console:
    """The channel of an entry of the channels file."""
    return Console(name)
