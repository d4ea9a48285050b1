"""Between a Faust app and the lanes: transitions in, plans and results behind each other.

At least once, and a repeat has the same key:

- A transition is read, its plan acknowledged on `notified.v1`, its offset committed, and then sent.
- The result is written behind it. A start resumes every plan that has none.
- Sending never holds the topic: each channel has a lane of its own.
- Any doubt about what is written ends the process: the log is right, memory is not.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal

import faust
import msgspec
from faust.types import TP

from inferwatch import alerts
from inferwatch.core.output import ERROR_HEADERS, dead_output
from inferwatch.errors import ConfigError, DataError, Exit, Reason, TransientError
from inferwatch.notify.deliver import Channel, Lane, Outcome, Repeating, Retry
from inferwatch.notify.plan import Ledger
from inferwatch.records.notified import NotifiedRecord, Plan
from inferwatch.records.outputs import AlertRecord, canonical, live
from inferwatch.records.raw import RawRecord, Reject
from inferwatch.runtime import faust_private, letters
from inferwatch.runtime.faust_private import Run
from inferwatch.runtime.notifiedlog import NotifiedLog
from inferwatch.runtime.settings import NotifierSettings
from inferwatch.runtime.shell import die, raw_of
from inferwatch.runtime.status import Status
from inferwatch.telemetry.families import exemplar
from inferwatch.telemetry.metrics import NotifierMetrics

log = logging.getLogger("inferwatch.notifier")
LOOK_EVERY_S = 1.0


class Dispatcher:
    """Everything between a Faust app and the lanes."""

    def __init__(
        self,
        app: faust.App,
        settings: NotifierSettings,
        channels: Sequence[Channel],
        status: Status,
        metrics: NotifierMetrics,
    ) -> None:
        self.app, self.settings, self.channels = app, settings, channels
        self.status, self.metrics = status, metrics
        self.connection = settings.connection
        self.alerts = self.connection.topic("alerts.v1")
        self.names = [channel.name for channel in channels]
        self.ledger = Ledger(self.names)
        self.lanes: dict[str, Lane] = {}
        self.running: list[asyncio.Task[None]] = []
        self.positions: dict[int, int] = {}
        self.stale: dict[tuple[str, str], list[bytes]] = {}
        self.generation: int | None = None
        self.log: NotifiedLog | None = None
        # held from a change of the ledger until its record is queued: records keep that order
        self.lock = asyncio.Lock()

    # ── start, restore, hand over ────────────────────────────────────────────────────────────────

    async def restore(self) -> None:
        """Take over the alerts topic: read what was planned, resume what is unfinished."""
        generation = faust_private.generation(self.app)
        self.status.restoring = True
        await self.release()
        if self.log is None:
            self.log = NotifiedLog(self.connection, self.settings.group)
            await self.log.start()
        mine = sorted(
            place.partition
            for place in self.app.consumer.assignment()
            if place.topic == self.alerts
        )
        try:
            held = await self.log.held() if mine else {}
        except DataError as error:
            die(Exit.STORAGE, f"{self.log.topic} cannot be read: {error}")
        repeating = [one for one in self.channels if mine and isinstance(one, Repeating)]
        try:
            standing = await asyncio.to_thread(alerts.current, self.connection) if repeating else []
        except (ConfigError, TransientError) as error:
            die(Exit.UNAVAILABLE, f"{self.alerts} cannot be read: {error}")
        positions = {number: await self.log.position(self.alerts, number) for number in mine}
        if generation != faust_private.generation(self.app):
            return  # superseded: Faust calls again
        self.ledger = Ledger(self.names)
        self.ledger.restore(held.values())
        self.stale = _stale(held)
        self.generation, self.positions = generation, positions
        for channel in repeating:
            await channel.resume([one for one in standing if self.ledger.told(one, channel.name)])
        unfinished = self.ledger.unfinished()
        if mine:
            self._start_lanes()
        for channel, plan in unfinished:
            self._queue(channel, plan)
        self.status.took_over(mine)
        log.info("took over partitions %s, %d messages to resume", mine, len(unfinished))

    async def release(self) -> None:
        """Stop sending: whoever owns the topic next resumes what is unfinished."""
        self.generation = None
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running, self.lanes = [], {}
        for channel in self.channels:
            await channel.close()

    async def close(self) -> None:
        """Stop sending and let go of connections."""
        await self.release()
        if self.log is not None:
            await self.log.stop()

    def _start_lanes(self) -> None:
        for channel in self.channels:
            lane = Lane(channel, self._finish, self._tried)
            self.lanes[channel.name] = lane
            self.running.append(asyncio.create_task(self._guard(lane.run())))

    # ── the flow ─────────────────────────────────────────────────────────────────────────────────

    async def run(self, stream: Any) -> None:
        """The agent's body: every transition, in order, for ever."""
        async for runs in stream:
            for run in runs:
                for record in run.records:
                    try:
                        await self._one(run, raw_of(record))
                    except Exception:
                        where = f"{run.place} @{record.offset}"
                        die(Exit.BUG, f"planning {where}\n{traceback.format_exc()}")

    async def _one(self, run: Run, raw: RawRecord) -> None:
        if self.generation is None or run.generation != self.generation:
            return
        assert self.log is not None
        await self._check_position(self.log, raw)
        records = []
        alert = await self._decoded(self.log, raw)
        if alert is not None and live(raw.headers):
            async with self.lock:
                records = self.ledger.plan(alert, raw.time_ms)
                acknowledged = [await self.log.write(record) for record in records]
            await asyncio.gather(*acknowledged)
        accepted = await faust_private.commit(self.app, {run.place: raw.offset + 1})
        if not accepted or run.generation != self.generation:
            log.info("offset %d is left to the next owner of %s", raw.offset, self.alerts)
            return
        self.positions[raw.partition] = raw.offset
        for record in records:
            self._queue(record.channel, record.plans[-1])

    async def _check_position(self, kept: NotifiedLog, raw: RawRecord) -> None:
        """A gap in offsets is a lost page unless the log itself has a hole there."""
        number, found = raw.partition, raw.offset
        expected = self.positions[number] + 1
        if found > expected and not await kept.is_hole(self.alerts, number, expected, found):
            die(Exit.STALLED, f"{self.alerts} jumped from {expected - 1} to {found}")

    async def _decoded(self, kept: NotifiedLog, raw: RawRecord) -> AlertRecord | None:
        """The transition; what is none goes to the dead letters."""
        try:
            return msgspec.json.decode(raw.value or b"", type=AlertRecord)
        except msgspec.ValidationError as error:
            reason, detail = Reason.SCHEMA_INVALID, str(error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason, detail = Reason.NOT_JSON, str(error)
        log.error("%s is no alert: %s", raw.name, detail)
        self.metrics.rejected.inc()
        reject = Reject(reason=reason, detail=detail, stage="notify")
        dead = letters.signed(dead_output(raw, reject), letters.NOTIFIER)
        await kept.dead_letter(dead.key, dead.value, dead.headers)
        return None

    def _queue(self, channel: str, plan: Plan) -> None:
        lane = self.lanes.get(channel)
        if lane is not None:
            lane.add(plan)
            self.metrics.waiting.labels(channel).set(len(lane.queue))

    # ── results ──────────────────────────────────────────────────────────────────────────────────

    def _tried(self, channel: str, outcome: Outcome, took_s: float) -> None:
        self.metrics.durations.labels(channel).observe(took_s)
        if isinstance(outcome, Retry):
            self.metrics.retries.labels(channel).inc()

    async def _finish(
        self, channel: str, plan: Plan, result: Literal["sent", "rejected"], reason: str
    ) -> None:
        """Write the result; a message that nobody will get is a dead letter first."""
        assert self.log is not None
        alert = plan.alert
        if result == "rejected":
            log.error("%s: %s of %s not delivered: %s", channel, alert.alert, alert.model, reason)
            headers = _why(channel, plan, self.alerts, reason)
            await self.log.dead_letter(alert.fingerprint.encode(), canonical(alert), headers)
        async with self.lock:
            record = self.ledger.finish(channel, plan, result, reason)
            acknowledged = await self.log.write(record)
        await acknowledged
        await self.log.forget(self.stale.pop((alert.fingerprint, channel), []))
        told = exemplar(alert_id=alert.id)
        self.metrics.notifications.labels(channel, result).inc(exemplar=told)
        self.metrics.waiting.labels(channel).set(len(self.lanes[channel].queue))

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            die(Exit.BUG, f"a result was not written\n{traceback.format_exc()}")

    async def look(self) -> None:
        """Tell the watchdog that all is planned where nothing more is in the log."""
        if self.generation is None or self.generation != faust_private.generation(self.app):
            return
        lag = 0
        for number, position in self.positions.items():
            end = self.app.consumer.highwater(TP(self.alerts, number)) or 0
            lag += max(0, end - position - 1)
        self.status.lag(lag)


def _why(channel: str, plan: Plan, topic: str, reason: str) -> dict[str, bytes]:
    """The headers of the dead letter of a message."""
    facts = {
        "topic": topic,
        "stage": "notify",
        "reason": "undeliverable",
        "exception.message": reason,
        "channel": channel,
        "id": plan.key,
    }
    return {f"{ERROR_HEADERS}{name}": value.encode() for name, value in facts.items()}


def _stale(held: Mapping[bytes, NotifiedRecord]) -> dict[tuple[str, str], list[bytes]]:
    """Keys of earlier writers, to be deleted once this one's record of the same alert is there."""
    found: dict[tuple[str, str], list[bytes]] = {}
    for key, record in held.items():
        found.setdefault((record.fingerprint, record.channel), []).append(key)
    return found


def attach(app: faust.App, dispatcher: Dispatcher) -> None:
    """Wire the dispatcher to Faust's agent, timer and signals."""
    topic = app.topic(
        dispatcher.alerts,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        acks=False,
    )
    app.agent(topic, concurrency=1, name="notify")(dispatcher.run)

    @app.timer(LOOK_EVERY_S)
    async def look() -> None:
        await dispatcher.look()

    # signals pass positional arguments that differ from one to the next
    async def assigned(*_: Any, **__: Any) -> None:
        await dispatcher.restore()

    async def revoked(*_: Any, **__: Any) -> None:
        await dispatcher.release()

    async def stopping(*_: Any, **__: Any) -> None:
        await dispatcher.close()

    app.on_rebalance_complete.connect(assigned, weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_before_shutdown.connect(stopping, weak=False)
