"""Records that end processes: noted on the state topic, until one that ended three is skipped.

A process that dies of a bug notes the record that was at work. One that dies without a word leaves
none: after three starts at one offset the worker notes each record before it is tried.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from inferwatch.records.events import Skip
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.runtime.checkpoint import Attempt, Record
from inferwatch.runtime.described import described
from inferwatch.runtime.owned import STARTS_MAX, Owned
from inferwatch.runtime.ports import Link, Observer

log = logging.getLogger("inferwatch.worker")
DEATHS_MAX = 3
Write = Callable[[Owned, Iterable[Record]], Awaitable[None]]


class Attempts:
    """The notes of one process; `write` puts records on the state topic, all acknowledged."""

    def __init__(self, link: Link, observer: Observer, write: Write) -> None:
        self.link, self.observer, self._write = link, observer, write

    async def begin(self, owned: Owned, before: Attempt | None) -> None:
        """Count starts without progress; skip the record that has ended three of them."""
        attempt = checkpoints.next_attempt(owned.partition.offset, before)
        if before is not None and (before.ended or before.trying > owned.partition.offset):
            self.observer.ended_by_record(owned.partition.number)
        await self._note(owned, attempt)
        if attempt.deaths >= DEATHS_MAX and attempt.suspect not in owned.skips:
            await self._skip(owned, attempt.suspect)

    async def trying(self, owned: Owned, offset: int) -> None:
        """The record at `offset` is at work."""
        await self._note(owned, msgspec.structs.replace(owned.attempt, trying=offset))

    async def over(self, owned: Owned) -> None:
        """Nothing is at work: nobody died of it."""
        await self._note(owned, msgspec.structs.replace(owned.attempt, trying=-1))

    async def failed(self, owned: Owned, run: Sequence[RawRecord]) -> None:
        """This process ends of one of these records: our successor is to know it, or, of several,
        to try each by itself.
        """
        if len(run) == 1:
            await self.trying(owned, run[0].offset)
            return
        attempt = msgspec.structs.replace(
            owned.attempt, offset=owned.saved_offset, starts=STARTS_MAX, trying=-1, ended=True
        )
        await self._note(owned, attempt)

    async def _note(self, owned: Owned, attempt: Attempt) -> None:
        owned.attempt = attempt
        await self._write(owned, [checkpoints.attempt_record(attempt, self.link.writer)])

    async def _skip(self, owned: Owned, offset: int) -> None:
        """Nobody folds the record any more: told to our successors, then to every replay."""
        number = owned.partition.number
        log.error("record %d of partition %d ended three processes: skipped", offset, number)
        await self._write(owned, [checkpoints.skip_record(offset, self.link.writer)])
        skip = Skip(offset=offset, why=f"ended {owned.attempt.deaths} processes")
        told = described("skip", f"{number}-{offset}")
        sent = await self.link.send("events.v1", None, msgspec.json.encode(skip), told, number)
        await sent
        owned.skips.add(offset)
