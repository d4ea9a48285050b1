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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NoReturn

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from inferwatch.errors import ConfigError, Exit, TransientError
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import denied
from inferwatch.runtime.delivery import Delivery
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
        async for run in stream:
            for messages in _pieces(run):
                await self._fold(messages)
                if time.monotonic() - began_s > TURN_S:
                    await asyncio.sleep(0)  # timers and clients have theirs
                    began_s = time.monotonic()

    async def _fold(self, messages: Sequence[Any]) -> None:
        generation = messages[0].generation_id
        try:
            await self.delivery.receive([raw_of(message) for message in messages], generation)
        except ConfigError as error:
            die(Exit.CONFIG, str(error))
        except Exception as error:
            if self.delivery.closing:
                return  # a write that the closed producer refused; its input is folded again
            if isinstance(error, TransientError):
                die(Exit.UNAVAILABLE, str(error))
            first, last = messages[0], messages[-1]
            where = f"{first.tp} @{first.offset} to @{last.offset}"
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


def _pieces(run: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The messages of each partition and generation in their order, some of them at a time."""
    found: dict[tuple[TP, int], list[Any]] = {}
    for message in run:
        found.setdefault((message.tp, message.generation_id), []).append(message)
    for messages in found.values():
        piece, size_bytes = [], 0
        for message in messages:
            piece.append(message)
            size_bytes += len(message.value or b"")
            if len(piece) >= PIECE_RECORDS or size_bytes >= PIECE_BYTES:
                yield piece
                piece, size_bytes = [], 0
        if piece:
            yield piece


def raw_of(message: Any) -> RawRecord:
    """A Faust message as the fold's own."""
    found = message.headers or {}
    listed = found.items() if isinstance(found, dict) else found
    return RawRecord(
        message.tp.topic,
        message.tp.partition,
        message.offset,
        round((message.timestamp or 0) * 1000),
        message.key,
        message.value,
        {str(name): bytes(value or b"") for name, value in listed},
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
