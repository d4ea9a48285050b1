"""Faust as the shell of `delivery`: one agent, two timers, three signals, and nothing else of it.

Faust keeps the group and hands over records; its acks, tables, transactions, windows and web are
not used (docs/adr/0001-faust-as-a-shell.md says why).
"""

import asyncio
import logging
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NoReturn

import faust
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from faust.types import TP

from inferwatch.errors import ConfigError, Exit, TransientError
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import denied
from inferwatch.runtime.delivery import Delivery
from inferwatch.runtime.faust_private import Run
from inferwatch.runtime.kafka_link import KafkaLink
from inferwatch.runtime.status import Status

log = logging.getLogger("inferwatch.worker")
TURN_S = 0.005
PIECE_RECORDS, PIECE_BYTES = 32, 4 << 20
"""What is folded before others have their turn: some 10 ms of batches."""


def die(code: Exit, why: str) -> NoReturn:
    """End the process at once: nothing may be written after a doubt.

    Where the error that is being handled is a refusal of the brokers, that is told instead.
    """
    refused = denied.sentence(sys.exc_info()[1])
    if refused:
        code, why = Exit.PERMISSION, refused
    log.critical("exit %d: %s", code, why)
    logging.shutdown()
    os._exit(code)


class Shell:
    """Between Faust's calls and the delivery protocol."""

    def __init__(
        self, app: faust.App, events: str, link: KafkaLink, delivery: Delivery, status: Status
    ) -> None:
        self.app, self.events = app, events
        self.link, self.delivery, self.status = link, delivery, status

    async def assigned(self) -> None:
        """A new assignment is complete: take over its partitions; the flow is stopped meanwhile."""
        try:
            await self.link.connect()
            mine = sorted(
                place.partition
                for place in self.app.consumer.assignment()
                if place.topic == self.events
            )
            await self.delivery.restore(mine)
        except ConfigError as error:
            die(Exit.CONFIG, str(error))
        except (KafkaError, TimeoutError, TransientError) as error:
            die(Exit.UNAVAILABLE, f"the state cannot be read: {error!r}")

    async def revoked(self) -> None:
        """Partitions are about to go: still a member, so one last checkpoint."""
        await self.delivery.hand_over()

    async def stopping(self) -> None:
        """The process was asked to end."""
        await self.delivery.close()
        await self.link.close()

    async def run(self, stream: Any) -> None:
        """Fold every record of the stream's runs; the body of the one agent."""
        began_s = time.monotonic()
        async for runs in stream:
            for piece in (piece for run in runs for piece in _pieces(run)):
                await self._fold(piece)
                if time.monotonic() - began_s > TURN_S:
                    await asyncio.sleep(0)  # timers and clients have theirs
                    began_s = time.monotonic()

    async def _fold(self, run: Run) -> None:
        place, generation, records = run
        try:
            await self.delivery.receive([raw_of(record) for record in records], generation)
        except ConfigError as error:
            die(Exit.CONFIG, str(error))
        except Exception as error:
            if self.delivery.closing:
                return  # a write that the closed producer refused; its input is folded again
            if isinstance(error, TransientError):
                die(Exit.UNAVAILABLE, str(error))
            where = f"{place} @{records[0].offset} to @{records[-1].offset}"
            die(Exit.BUG, f"folding {where}\n{traceback.format_exc()}")

    async def checkpoint(self) -> None:
        """Make what was folded safe, and tell the watchdog how far it is."""
        await self.delivery.checkpoint()
        if self.app.rebalancing or self.delivery.generation != self.link.generation():
            return
        lag = 0
        for number, owned in self.delivery.owned.items():
            end = self.app.consumer.highwater(TP(self.events, number))
            lag += max(0, (end or 0) - owned.partition.offset - 1)
        self.status.lag(lag)

    async def tick(self) -> None:
        """Write the passing of time into the log."""
        await self.delivery.tick()


def _pieces(run: Run) -> Iterator[Run]:
    """A run in its order, some of its records at a time."""
    first, size_bytes = 0, 0
    for end, record in enumerate(run.records, 1):
        size_bytes += len(record.value or b"")
        if end == len(run.records) or end - first >= PIECE_RECORDS or size_bytes >= PIECE_BYTES:
            yield run._replace(records=run.records[first:end])
            first, size_bytes = end, 0


def raw_of(record: ConsumerRecord[bytes, bytes]) -> RawRecord:
    """A record of aiokafka as the fold's own."""
    return RawRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp or 0,
        record.key,
        record.value,
        {name: value or b"" for name, value in record.headers},
    )


def attach(app: faust.App, shell: Shell, *, checkpoint_every_s: float, tick_every_s: float) -> None:
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
    app.timer(checkpoint_every_s)(_named("checkpoint", shell.checkpoint))
    app.timer(tick_every_s)(_named("tick", shell.tick))
    app.on_rebalance_complete.connect(_named("assigned", shell.assigned), weak=False)
    app.on_partitions_revoked.connect(_named("revoked", shell.revoked), weak=False)
    app.on_before_shutdown.connect(_named("stopping", shell.stopping), weak=False)


def _named(name: str, work: Callable[[], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A function for Faust: signals pass arguments that differ from one to the next."""

    async def run(*_: Any, **__: Any) -> None:
        await work()

    run.__name__ = name
    return run
