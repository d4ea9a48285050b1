"""One channel's way out: in order per alert, tried again on a schedule, given up at its end.

Each channel has a lane of its own, so a dead one holds up nobody. A message that waits for its next
attempt is overtaken by a newer transition of the same alert: the receiver gets what is true now.
"""

import asyncio
import heapq
import logging
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from inferwatch.records.notified import Plan
from inferwatch.records.outputs import AlertRecord

log = logging.getLogger("inferwatch.notifier")

# Standard Webhooks' example schedule: the wait before each attempt
SCHEDULE_S = (0.0, 5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0)


class Sent(msgspec.Struct, frozen=True):
    """The receiver has it."""


class Retry(msgspec.Struct, frozen=True):
    """Not now: again in `after_s` seconds, or when the schedule says so."""

    reason: str
    after_s: float | None = None


class Rejected(msgspec.Struct, frozen=True):
    """Never: repeating it cannot help. `disables` ends the channel until the next start."""

    reason: str
    disables: bool = False


Outcome = Sent | Retry | Rejected


class Channel(Protocol):
    """Where messages go. `send` answers for every failure that the outside can cause."""

    name: str

    async def send(self, plan: Plan) -> Outcome:
        """Try once."""

    async def close(self) -> None:
        """Let go of connections; `send` opens them again."""


@runtime_checkable
class Repeating(Channel, Protocol):
    """A channel whose receiver forgets what is not repeated."""

    async def resume(self, alerts: Sequence[AlertRecord]) -> None:
        """Repeat these until their end is sent: the notifier before this one told them."""


class Line(msgspec.Struct):
    """The messages of one alert that wait; the first is tried `attempts` times so far."""

    plans: deque[Plan]
    attempts: int = 0


class Queue:
    """What one channel still has to be told. No I/O, no clock: `now_s` comes with each call."""

    def __init__(self, schedule_s: Sequence[float] = SCHEDULE_S) -> None:
        self._schedule_s = schedule_s
        self._lines: dict[str, Line] = {}
        self._due: list[tuple[float, int, str]] = []
        self._order = 0

    def __len__(self) -> int:
        return sum(len(line.plans) for line in self._lines.values())

    def add(self, plan: Plan, now_s: float) -> None:
        """Behind the messages of the same alert; no others are waited for."""
        line = self._lines.get(plan.alert.fingerprint)
        if line is not None:
            line.plans.append(plan)
            return
        self._lines[plan.alert.fingerprint] = Line(deque([plan]))
        self._schedule(plan.alert.fingerprint, now_s + self._schedule_s[0])

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until `take` gives something; None where nothing waits."""
        return max(0.0, self._due[0][0] - now_s) if self._due else None

    def take(self, now_s: float) -> Plan | None:
        """The message to try now; `settle` must follow."""
        if not self._due or self._due[0][0] > now_s:
            return None
        line = self._lines[heapq.heappop(self._due)[2]]
        if line.attempts and len(line.plans) > 1:
            line.plans, line.attempts = deque([line.plans[-1]]), 0
        line.attempts += 1
        return line.plans[0]

    def settle(self, plan: Plan, outcome: Outcome, now_s: float) -> Sent | Rejected | None:
        """The final word about `plan`, or None where it is tried again."""
        line = self._lines[plan.alert.fingerprint]
        if isinstance(outcome, Retry):
            if line.attempts < len(self._schedule_s):
                after_s = outcome.after_s
                wait_s = self._schedule_s[line.attempts] if after_s is None else after_s
                self._schedule(plan.alert.fingerprint, now_s + wait_s)
                return None
            outcome = Rejected(f"given up after {line.attempts} attempts: {outcome.reason}")
        line.plans.popleft()
        line.attempts = 0
        if line.plans:
            self._schedule(plan.alert.fingerprint, now_s)
        else:
            del self._lines[plan.alert.fingerprint]
        return outcome

    def _schedule(self, fingerprint: str, due_s: float) -> None:
        self._order += 1
        heapq.heappush(self._due, (due_s, self._order, fingerprint))


Finish = Callable[[str, Plan, Literal["sent", "rejected"], str], Awaitable[None]]


class Lane:
    """Sends one channel's messages, one at a time; `finish` hears of each that is over."""

    def __init__(
        self,
        channel: Channel,
        finish: Finish,
        tried: Callable[[str, Outcome, float], None],
        schedule_s: Sequence[float] = SCHEDULE_S,
    ) -> None:
        self.channel = channel
        self.queue = Queue(schedule_s)
        self._finish, self._tried = finish, tried
        self._added = asyncio.Event()
        self._disabled = ""

    def add(self, plan: Plan) -> None:
        """Queue a message."""
        self.queue.add(plan, time.monotonic())
        self._added.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            plan = self.queue.take(time.monotonic())
            if plan is None:
                await self._wait()
                continue
            outcome = await self._attempt(plan)
            final = self.queue.settle(plan, outcome, time.monotonic())
            if isinstance(outcome, Retry) and final is None:
                log.warning(
                    "%s: %s %s waits: %s",
                    self.channel.name,
                    plan.alert.alert,
                    plan.alert.id,
                    outcome.reason,
                )
            elif isinstance(final, Rejected):
                await self._finish(self.channel.name, plan, "rejected", final.reason)
            else:
                await self._finish(self.channel.name, plan, "sent", "")

    async def _wait(self) -> None:
        self._added.clear()
        try:
            async with asyncio.timeout(self.queue.wait_s(time.monotonic())):
                await self._added.wait()
        except TimeoutError:
            return

    async def _attempt(self, plan: Plan) -> Outcome:
        if self._disabled:
            return Rejected(self._disabled)
        started_s = time.monotonic()
        try:
            outcome = await self.channel.send(plan)
        except Exception as error:
            # one message that a channel cannot handle must not keep every other from being sent;
            # the error's own words may quote a secret, its trace does not
            trace = "".join(traceback.format_tb(error.__traceback__))
            log.error(
                "%s: a fault in sending %s: %s\n%s",
                self.channel.name,
                plan.alert.id,
                type(error).__name__,
                trace,
            )
            outcome = Rejected(f"fault: {type(error).__name__}")
        if isinstance(outcome, Rejected) and outcome.disables:
            self._disabled = f"the channel is disabled: {outcome.reason}"
        self._tried(self.channel.name, outcome, time.monotonic() - started_s)
        return outcome
