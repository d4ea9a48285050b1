"""The delivery shell: records in order to the fold, outputs out, checkpoints behind them.

Faust delivers and keeps the group; the rest is here. Its rules, in the order they matter:

- Fold and send are one synchronous step, so state, offset and outputs are always one consistent
cut.
- Checkpoint: outputs acknowledged → changed models written and acknowledged → marker → group
offset.
- Restore: the highest offset of each model rules; the group offset is set to it and Faust starts
there.
- Any doubt ends the process: the log is right, memory is not, and a restart costs a second.
"""

import asyncio
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import faust
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from faust.types import TP

from inferwatch.config.monitors import Monitors
from inferwatch.core.fold import Output, Partition
from inferwatch.errors import ConfigError, Exit
from inferwatch.records.decode import decode
from inferwatch.records.events import MonitorChange
from inferwatch.records.raw import JSON, Decoded, RawRecord, headers
from inferwatch.runtime import embedded, faust_private
from inferwatch.runtime.settings import WorkerSettings
from inferwatch.runtime.statelog import BrokenStateError, Restored, StateLog
from inferwatch.runtime.status import Status

log = logging.getLogger("inferwatch.worker")
TOPIC_OF = {"window": "windows.v1", "alert": "alerts.v1", "dead": "dlq.v1"}
HANDOVER_S = 3.0
EMBEDDED_STATE_MAX_BYTES = 1_700_000


def die(code: Exit, why: str) -> NoReturn:
    """End the process at once: nothing may be written after a doubt."""
    log.critical("exit %d: %s", code, why)
    logging.shutdown()
    os._exit(code)


class Owned:
    """One partition that this process owns: its models, and sends not yet acknowledged."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.sends: list[asyncio.Future[None]] = []
        self.saved_offset = partition.offset
        self.definitions: dict[str, Any] = {}
        self.announced: dict[str, str] = {}
        self.stale: list[bytes] = []
        self.full_at_bytes = 0


class Shell:
    """Everything between a Faust app and the fold."""

    def __init__(
        self, app: faust.App, settings: WorkerSettings, monitors: Monitors, status: Status
    ) -> None:
        self.app, self.settings, self.monitors, self.status = app, settings, monitors, status
        self.connection = settings.connection
        self.events = self.connection.topic("events.v1")
        self.owned: dict[int, Owned] = {}
        self.lock = asyncio.Lock()
        self.generation: int | None = None
        self.closing = False
        self.producer: AIOKafkaProducer | None = None
        self.state: StateLog | None = None
        self._prober: AIOKafkaConsumer | None = None

    # ── start, restore, hand over ────────────────────────────────────────────────────────────────

    async def restore(self) -> None:
        """Take over the partitions of a new assignment; the flow is stopped meanwhile."""
        generation = faust_private.generation(self.app)
        self.status.restoring = True
        self.status.assigned = False
        async with self.lock:
            self.owned.clear()
            await self._connect()
            assert self.state is not None
            mine = sorted(
                place.partition
                for place in self.app.consumer.assignment()
                if place.topic == self.events
            )
            try:
                found = await self.state.restore(mine)
                owned = {number: self._take_over(number, found[number]) for number in mine}
                await self._check_log(owned, found)
            except ConfigError as error:
                die(Exit.CONFIG, str(error))
            except (BrokenStateError, ValueError) as error:
                die(Exit.STORAGE, str(error))
            except (KafkaError, TimeoutError) as error:
                die(Exit.UNAVAILABLE, f"the state cannot be read: {error!r}")
            if generation != faust_private.generation(self.app):
                return  # superseded: Faust calls again
            start = {
                TP(self.events, number): one.partition.offset + 1
                for number, one in owned.items()
                if one.partition.offset >= 0
            }
            if start:
                await faust_private.commit(self.app, start)
            self.owned.update(owned)
            self.generation = generation
        self.status.took_over(mine)
        models = sum(len(one.partition.models) for one in owned.values())
        log.info("took over partitions %s with %d models", mine, models)

    def _take_over(self, number: int, found: Restored) -> Owned:
        partition = Partition(number, self.monitors.values())
        for data in found.models.values():
            partition.restore(data)
        partition.offset = found.offset
        owned = Owned(partition)
        owned.definitions = found.definitions
        owned.stale = found.keys
        return owned

    async def _check_log(self, owned: Mapping[int, Owned], found: Mapping[int, Restored]) -> None:
        """The log must still hold what comes after the state, and the state what was committed."""
        consumer = await self._probe()
        places = {number: TopicPartition(self.events, number) for number in owned}
        consumer.assign(list(places.values()))
        heads = await consumer.beginning_offsets(list(places.values()))
        for number, place in places.items():
            head, one = heads[place], owned[number]
            committed = await consumer.committed(place) or 0
            lost = committed > one.partition.offset + 1
            if not lost and head <= one.partition.offset + 1:
                continue
            if not self.settings.accept_state_loss:
                what = (
                    f"the group has folded partition {number} up to {committed - 1}, its state "
                    f"only up to {one.partition.offset}"
                    if lost
                    else f"partition {number} begins at {head}, its state ends at "
                    f"{one.partition.offset}"
                )
                raise ConfigError(
                    what,
                    key="--accept-state-loss",
                    fix="restore the topic, or start once with that option",
                )
            log.warning(
                "state of partition %d is lost, starting at %d", number, max(head, committed)
            )
            one.partition.offset = max(head, committed) - 1

    async def _connect(self) -> None:
        if self.producer is not None:
            return
        self.producer = AIOKafkaProducer(
            **self.connection.aiokafka(),
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=5,
            max_batch_size=256 * 1024,
            max_request_size=1 << 20,
            request_timeout_ms=15_000,
        )
        await self.producer.start()
        self.state = StateLog(self.connection, self.producer)

    async def _probe(self) -> AIOKafkaConsumer:
        """An own consumer, because Faust's word about positions is not taken."""
        if self._prober is None:
            self._prober = AIOKafkaConsumer(
                **self.connection.aiokafka(),
                group_id=self.settings.group,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_uncommitted",
            )
            await self._prober.start()
        return self._prober

    async def hand_over(self) -> None:
        """One last checkpoint while still a member, then let go of the state."""
        try:
            async with asyncio.timeout(HANDOVER_S), self.lock:
                for number in list(self.owned):
                    await self._checkpoint(number)
        except TimeoutError:
            log.warning(
                "the last checkpoint took longer than %.0f s; its input is folded again", HANDOVER_S
            )
        self.owned.clear()

    async def close(self) -> None:
        """Hand over and close the clients; from here on nothing is written."""
        self.closing = True
        await self.hand_over()
        for client in (self._prober, self.producer):
            if client is not None:
                await client.stop()

    # ── the stream ───────────────────────────────────────────────────────────────────────────────

    async def run(self, stream: Any) -> None:
        """Fold every record of the stream; the body of the one agent."""
        async for event in stream.events():
            message = event.message
            try:
                await self._one(message)
            except ConfigError as error:
                die(Exit.CONFIG, str(error))
            except Exception:
                if (
                    self.closing
                ):  # a write that the closed producer refused; its input is folded again
                    return
                die(Exit.BUG, f"folding {message.tp} @{message.offset}\n{traceback.format_exc()}")

    async def _one(self, message: Any) -> None:
        number = message.tp.partition
        owned = self.owned.get(number)
        if owned is None or message.generation_id != self.generation:
            return
        expected = owned.partition.offset + 1
        if message.offset > expected and not await self._is_hole(number, expected, message.offset):
            die(Exit.STALLED, f"partition {number} jumped from {expected - 1} to {message.offset}")
        raw = raw_of(message)
        decoded = decode(raw)
        name = owned.partition.undefined(decoded)
        if name is not None:
            await self._define(owned, name, raw.offset)
        if self.owned.get(number) is not owned:
            return
        outputs = owned.partition.fold(raw, decoded)
        owned.sends += [asyncio.ensure_future(self._emit(output)) for output in outputs]
        self.status.folded(number, raw, decoded, outputs)
        self._announce_change(owned, decoded)

    async def _is_hole(self, number: int, expected: int, found: int) -> bool:
        """Whether the log really holds nothing in between (transaction markers, compaction)."""
        consumer = await self._probe()
        place = TopicPartition(self.events, number)
        consumer.assign([place])
        consumer.seek(place, expected)
        message = await asyncio.wait_for(consumer.getone(place), 10.0)
        return bool(message.offset >= found)

    async def _emit(self, output: Output) -> None:
        await self._send(TOPIC_OF[output.kind], output.value, output.key, output.headers)

    async def _send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        described: Mapping[str, bytes],
        partition: int | None = None,
    ) -> None:
        assert self.producer is not None
        name = self.connection.topic(topic)
        sent = await self.producer.send(
            name, value, key=key, headers=list(described.items()), partition=partition
        )
        await sent

    # ── definitions ──────────────────────────────────────────────────────────────────────────────

    async def _define(self, owned: Owned, name: str, offset: int) -> None:
        """A model's first definition is on both topics before its first record is folded."""
        assert self.state is not None
        number = owned.partition.number
        definition = owned.definitions.get(name)
        if definition is None:
            definition = self._definition(name)
            await self.state.write_definition(number, name, definition)
            owned.definitions[name] = definition
            log.info("watching %s: %d checks", name, len(definition.checks))
        await self._write_monitor(number, name, definition, offset)
        if name not in owned.partition.models:
            owned.partition.define(name, definition, offset)

    def _definition(self, name: str) -> Any:
        """The file's definition; on the embedded broker the join must fit what that can hold."""
        definition = self.monitors.definition(name)
        if not self.settings.embedded:
            return definition
        facts = definition.model
        most = min(facts.pending_max_bytes, embedded.PENDING_MAX_BYTES)
        facts = msgspec.structs.replace(facts, pending_max_bytes=most)
        return msgspec.structs.replace(definition, model=facts)

    async def _write_monitor(
        self, number: int, name: str, definition: Any, from_offset: int | None
    ) -> None:
        change = MonitorChange(model=name, definition=definition, from_offset=from_offset)
        described = headers(
            "monitor",
            id=f"{name}-{definition.digest()}",
            source="inferwatch/worker",
            time=_now(),
            content_type=JSON,
        )
        await self._send("events.v1", msgspec.json.encode(change), name.encode(), described, number)

    def _announce_change(self, owned: Owned, decoded: Decoded) -> None:
        """A file's definition that differs is written to the log once; it acts where it is read."""
        name = getattr(decoded.record, "model", None)
        if name is None:
            return
        definition = self._definition(name)
        wanted = definition.digest()
        if owned.announced.get(name) == wanted:
            return
        owned.announced[name] = wanted
        if owned.partition.models[name].definition.digest() != wanted:
            log.info("the definition of %s changed", name)
            owned.sends.append(
                asyncio.ensure_future(
                    self._write_monitor(owned.partition.number, name, definition, None)
                )
            )

    # ── timers ───────────────────────────────────────────────────────────────────────────────────

    async def tick(self) -> None:
        """Write the passing of time into every partition owned."""
        described = headers(
            "tick", id=_now(), source="inferwatch/worker", time=_now(), content_type=JSON
        )
        async with self.lock:
            if self.closing or self.app.rebalancing:
                return
            for number in list(self.owned):
                await self._guard(self._send("events.v1", b"", None, described, number))

    async def checkpoint(self) -> None:
        """Make everything folded so far safe, partition by partition."""
        async with self.lock:
            if self.closing:
                return
            for number in list(self.owned):
                await self._checkpoint(number)
        self._look_at_progress()

    async def _checkpoint(self, number: int) -> None:
        owned = self.owned.get(number)
        if owned is None or owned.partition.offset <= owned.saved_offset:
            return
        partition = owned.partition
        offset, names = partition.offset, self._due(owned)
        dumped = {name: (partition.models[name].offset, partition.dump(name)) for name in names}
        partition.saved(names)
        sends, owned.sends = owned.sends, []
        await self._guard(self._save(owned, offset, dumped, sends))

    def _due(self, owned: Owned) -> list[str]:
        """Models to write: those that changed; all of them at first, and where nothing compacts."""
        assert self.state is not None
        everything = list(owned.partition.models)
        written = self.state.written_bytes.get(owned.partition.number, 0)
        uncompacted = self.settings.embedded and (
            written - owned.full_at_bytes > embedded.PARTITION_BYTES // 3
        )
        if owned.stale or uncompacted:
            owned.full_at_bytes = written
            return everything
        return owned.partition.changed()

    async def _save(
        self,
        owned: Owned,
        offset: int,
        dumped: Mapping[str, tuple[int, bytes]],
        sends: list[asyncio.Future[None]],
    ) -> None:
        assert self.state is not None
        number = owned.partition.number
        size = sum(len(data) for _, data in dumped.values())
        if self.settings.embedded and size > EMBEDDED_STATE_MAX_BYTES:
            die(
                Exit.CONFIG,
                f"{size} bytes of state in partition {number} are more than the embedded "
                "broker can hold; use a real broker (--bootstrap-server)",
            )
        await asyncio.gather(*sends)
        for name, (at, data) in dumped.items():
            await self.state.write_model(number, name, at, data)
        await self.state.write_marker(number, offset)
        accepted = await faust_private.commit(self.app, {TP(self.events, number): offset + 1})
        owned.saved_offset = offset
        self.status.checkpointed(number, size)
        for name in dumped:
            if name in owned.partition.models:
                self.status.watched(owned.partition.models[name])
        if accepted and owned.stale:
            stale, owned.stale = owned.stale, []
            await self.state.forget(number, stale)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except BaseException:
            die(Exit.BUG, f"a write was not acknowledged\n{traceback.format_exc()}")

    def _look_at_progress(self) -> None:
        """Tell the watchdog that all is folded where nothing more is in the log."""
        if self.app.rebalancing or self.generation != faust_private.generation(self.app):
            return
        lag = 0
        for number, owned in self.owned.items():
            end = self.app.consumer.highwater(TP(self.events, number))
            lag += max(0, (end or 0) - owned.partition.offset - 1)
        self.status.lag(lag)


def raw_of(message: Any) -> RawRecord:
    """A Faust message as the fold's own."""
    found = message.headers or {}
    listed = found.items() if isinstance(found, Mapping) else found
    return RawRecord(
        message.tp.topic,
        message.tp.partition,
        message.offset,
        round((message.timestamp or 0) * 1000),
        message.key,
        message.value,
        {str(name): bytes(value or b"") for name, value in listed},
    )


def attach(app: faust.App, shell: Shell) -> None:
    """Wire the shell to Faust's agent, timers and signals."""
    topic = app.topic(
        shell.events,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        acks=False,
    )
    app.agent(topic, concurrency=1, name="monitor")(shell.run)
    app.timer(shell.settings.checkpoint_every_s)(_method(shell.checkpoint))
    app.timer(shell.settings.tick_every_s)(_method(shell.tick))

    # signals pass positional arguments that differ from one to the next
    async def assigned(*_: Any, **__: Any) -> None:
        await shell.restore()

    async def revoked(*_: Any, **__: Any) -> None:
        await shell.hand_over()

    async def stopping(*_: Any, **__: Any) -> None:
        await shell.close()

    app.on_rebalance_complete.connect(assigned, weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_before_shutdown.connect(stopping, weak=False)


def _method(work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await work()

    run.__name__ = work.__name__
    return run


def _now() -> str:
    return f"{time.time():.3f}"
