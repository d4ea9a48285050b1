"""An asyncio loop whose time jumps to the next timer: hours pass in milliseconds, always alike."""

import asyncio
from typing import Any


class Deadlock(Exception):  # noqa: N818 - it is what happened
    """Everything waits and no timer is set."""


class _Jump:
    """In place of a selector: nothing ever arrives from outside, so waiting means jumping."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is left to happen")
        self._loop.now_s += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order of their times, ties in the order they were set."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._selector = _Jump(self)
        self.set_exception_handler(lambda *_: None)  # a killed process says nothing

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.now_s

    def _process_events(self, events: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake this one."""
