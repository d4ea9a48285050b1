"""Effectively once: records in order to the fold, outputs out, checkpoints behind them.

The protocol alone, over a `Link` to the broker: Faust and aiokafka implement it in a worker, memory
in the simulator. Its rules, in the order they matter:

- Fold and send are one synchronous step: state, offset and outputs are always one consistent cut.
- Checkpoint: outputs acknowledged → chunks → roots → marker, each acknowledged → group offset.
- Restore: the newest state of each model rules; the group offset is set to the highest marker, and
  what a model has folded already is skipped.
- Nothing is deleted before a commit that was accepted after its replacement.
- Any doubt ends the process: the log is right, memory is not, and a restart costs a second.

`link.reach("C4")` and the like name the places where a crash is tried (docs/delivery.md).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from inferwatch.core import snapshot
from inferwatch.core.fold import MODELS_MAX, Output, Partition
from inferwatch.errors import ConfigError, Exit, TransientError
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.records.events import Gap, MonitorChange
from inferwatch.records.raw import SKIPPED, Decoded, RawRecord
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.runtime import continuity, embedded, letters
from inferwatch.runtime.attempts import Attempts
from inferwatch.runtime.checkpoint import BrokenStateError, Record
from inferwatch.runtime.described import described
from inferwatch.runtime.inspections import Inspections
from inferwatch.runtime.owned import Owned
from inferwatch.runtime.ports import Inspector, Link, Observer, Rules

T = TypeVar("T")
log = logging.getLogger("inferwatch.worker")
TOPIC_OF = {
    **dict.fromkeys(("window", "schema"), "windows.v1"),
    "alert": "alerts.v1",
    "dead": "dlq.v1",
    "forward": "events.v1",
}
HANDOVER_S = 3.0
MODEL_EVERY_S = 30.0
PACE_BYTES_S = 4_000_000


class Delivery:
    """Everything between a broker and the fold. One lock: a checkpoint and a restore never mix."""

    def __init__(
        self,
        link: Link,
        rules: Rules,
        observer: Observer,
        inspector: Inspector,
        *,
        on_embedded: bool = False,
        accept_state_loss: bool = False,
        models_max: int = MODELS_MAX,
        pace_bytes_s: float = PACE_BYTES_S,
    ) -> None:
        self.link, self.rules, self.observer = link, rules, observer
        self.embedded, self.accept_state_loss = on_embedded, accept_state_loss
        self.models_max, self.pace_bytes_s = models_max, pace_bytes_s
        self.owned: dict[int, Owned] = {}
        self.lock = asyncio.Lock()
        self.attempts = Attempts(link, observer, self._write)
        self.inspections = Inspections(link, inspector, self.owned, self._guard)
        self.quota = letters.Quota()
        self.generation: int | None = None
        self.closing = False

    # ── restore and hand over ────────────────────────────────────────────────────────────────────

    async def restore(self, partitions: Sequence[int]) -> None:
        """Take over the partitions of a new assignment; the flow is stopped meanwhile."""
        generation = self.link.generation()
        self.observer.restoring, self.observer.assigned = True, False
        await self._check_partitions()
        async with self.lock:
            self._let_go()
            owned = {number: await self._take_over(number) for number in partitions}
            if generation != self.link.generation():
                return  # superseded: the group calls again
            start = {
                number: one.partition.offset + 1
                for number, one in owned.items()
                if one.partition.offset >= 0
            }
            if start:
                await self.link.commit(start)
            self.owned.update(owned)
            self.generation = generation
            for one in owned.values():
                self.inspections.ask(one, one.partition.asked())
        self.observer.took_over(partitions)
        models = sum(len(one.partition.models) for one in owned.values())
        log.info("took over partitions %s with %d models", list(partitions), models)

    async def _take_over(self, number: int) -> Owned:
        # in this order, because the owner before us may still be at work: what was committed, and
        # dropped, before the state is read is in the state; what was folded is in the log after it
        head, _, committed = await self.link.bounds(number)
        records, end = await self.link.state(number, 0)
        _, log_end, _ = await self.link.bounds(number)
        self.link.reach("C14")
        partitions, bounds = self.link.partitions(), (head, log_end, committed)
        try:
            found = checkpoints.gather(records)
            continuity.check_placement(number, [*found.states, *found.definitions], partitions)
            partition = Partition(number, self.rules.values(), partitions, self.models_max)
            for state in found.states.values():
                partition.restore(state)
            gap = continuity.check_log(
                number, found.offset, bounds, accept_loss=self.accept_state_loss
            )
        except ConfigError as error:
            self.link.die(Exit.CONFIG, str(error))
        except (BrokenStateError, ValueError) as error:
            self.link.die(Exit.STORAGE, f"the state of partition {number}: {error}")
        partition.offset = found.offset
        if gap is not None:
            partition.pass_over(gap)
        owned = Owned(partition, found, end)
        await self.attempts.begin(owned, found.attempt)
        if gap is not None:
            await self._pass_over(number, gap)
        for offset in owned.skips:
            partition.skip(offset)
        return owned

    async def _pass_over(self, number: int, gap: Gap) -> None:
        """Records that are lost: told to every reader of the log."""
        log.warning("offsets %d to %d are lost: %s", gap.from_offset, gap.to_offset - 1, gap.why)
        told = described("gap", f"{number}-{gap.from_offset}-{gap.to_offset}")
        sent = await self.link.send("events.v1", None, msgspec.json.encode(gap), told, number)
        await sent
        self.observer.passed_over(number)

    async def _check_partitions(self) -> None:
        """Placement counts with the partitions that the topic had at the start."""
        now = await self.link.partitions_now()
        try:
            continuity.check_growth(self.link.partitions(), now)
        except ConfigError as error:
            self.link.die(Exit.CONFIG, str(error))

    async def hand_over(self, point: str = "C13") -> None:
        """One last checkpoint while still a member, then let go of the state."""
        try:
            async with asyncio.timeout(HANDOVER_S), self.lock:
                self.link.reach(point)
                for number, owned in list(self.owned.items()):
                    await self._checkpoint(number, everything=True)
                    if owned.attempt.trying >= 0:  # nobody died of it
                        await self.attempts.over(owned)
        except TimeoutError:
            log.warning(
                "the last checkpoint took longer than %.0f s; its input is folded again", HANDOVER_S
            )
        finally:  # also where the group does not wait for us
            self._let_go()

    def _let_go(self) -> None:
        self.inspections.forget()
        self.owned.clear()

    async def close(self) -> None:
        """Hand over for good; from here on nothing is written."""
        self.closing = True
        await self.hand_over("C16")

    # ── the stream ───────────────────────────────────────────────────────────────────────────────

    async def receive(self, run: Sequence[RawRecord], generation: int | None) -> None:
        """Fold consecutive records of one partition, in offset order; their outputs are on their
        way when this returns.
        """
        number = run[0].partition
        owned = self.owned.get(number)
        if owned is None or generation != self.generation:
            return
        while run and self.owned.get(number) is owned:
            count = 1 if owned.careful else len(run)
            await self._receive(owned, run[:count])
            run = run[count:]

    async def _receive(self, owned: Owned, run: Sequence[RawRecord]) -> None:
        decoded = [(raw, await self._read(owned, raw)) for raw in await self._proved(owned, run)]
        number, careful = owned.partition.number, owned.careful
        if careful and self.owned.get(number) is owned:
            await self.attempts.trying(owned, run[0].offset)
        if self.owned.get(number) is not owned:
            return
        # from here to the last send nothing waits: a checkpoint in between would lose outputs
        outputs = await self._attempt(owned, run, lambda: owned.partition.fold_all(decoded))
        self.quota.read(len(run), self.link.now_s())
        outputs = letters.fitted(outputs, self.quota)
        self.link.reach("C2")
        owned.sends += [
            asyncio.ensure_future(self._emit(position, output))
            for position, output in enumerate(outputs)
            if output.kind != "request"
        ]
        self.inspections.ask(owned, [output for output in outputs if output.kind == "request"])
        self.observer.folded(owned.partition, decoded, outputs)
        self._announce_changes(owned, decoded)
        if careful:  # or it would be blamed for what another partition's record does
            await self.attempts.over(owned)

    async def _read(self, owned: Owned, raw: RawRecord) -> Decoded:
        """What a record says; its model is defined when this returns."""
        self.link.reach("C0")
        decoded = await self._attempt(owned, [raw], lambda: self._decode(owned, raw))
        name = owned.partition.undefined(decoded)
        if name is not None:
            await self._define(owned, name, raw.offset)
        return decoded

    async def _proved(self, owned: Owned, run: Sequence[RawRecord]) -> Sequence[RawRecord]:
        """The records, where nothing of the log is missing before or between them."""
        expected = owned.partition.offset + 1
        for raw in run:
            if raw.offset > expected:
                await self._prove_hole(raw, expected)
            expected = max(expected, raw.offset + 1)
        return run

    async def _prove_hole(self, raw: RawRecord, expected: int) -> None:
        """The log holds nothing between: the group's delivery is not taken at its word."""
        head, _, _ = await self.link.bounds(raw.partition)
        first = await self.link.first_from(raw.partition, expected)
        if first < raw.offset or head > expected:
            self.link.die(
                Exit.STALLED, f"partition {raw.partition} jumped from {expected} to {raw.offset}"
            )

    def _decode(self, owned: Owned, raw: RawRecord) -> Decoded:
        decoded = SKIPPED if owned.partition.is_skipped(raw.offset) else decode(raw)
        self.link.reach("C1")
        return decoded

    async def _attempt(self, owned: Owned, run: Sequence[RawRecord], work: Callable[[], T]) -> T:
        """The result of `work`, without waiting; where it is a bug, our successor is told of it: of
        the record that is to blame, or to try each by itself.
        """
        try:
            return work()
        except ConfigError:
            raise
        except Exception:
            self.owned.pop(owned.partition.number, None)  # no checkpoint may take what is half done
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDOVER_S):
                    await self.attempts.failed(owned, run)
            raise

    async def _emit(self, position: int, output: Output) -> None:
        if position:
            self.link.reach("C3")
        acknowledged = await self.link.send(
            TOPIC_OF[output.kind], output.key, output.value, output.headers, output.partition
        )
        self.link.reach("C15" if output.kind == "dead" else "C4")
        await acknowledged

    async def _write(self, owned: Owned, records: Iterable[Record], point: str = "") -> None:
        """Records on the state topic, all acknowledged."""
        acknowledged, number = [], owned.partition.number
        for key, value in records:
            owned.garbage.pop(key, None)
            acknowledged.append(await self.link.send("state.v1", key, value, {}, number))
            if point:
                self.link.reach(point)
        await asyncio.gather(*acknowledged)

    # ── definitions ──────────────────────────────────────────────────────────────────────────────

    async def _define(self, owned: Owned, name: str, offset: int) -> None:
        """A model's first definition is on both topics before its first record is folded."""
        number = owned.partition.number
        if name not in owned.definitions:
            record = checkpoints.definition_record(
                name, self._definition(owned, name), self.link.writer
            )
            await self._write(owned, [record])
            # a stalled owner may have written another one at the same time: the first in the log
            # rules, for both of us and for all who come after
            written, owned.state_end = await self.link.state(number, owned.state_end)
            for model, found in checkpoints.definitions(written).items():
                owned.definitions.setdefault(model, found)
        definition = owned.definitions[name]
        log.info("watching %s: %d checks", name, len(definition.checks))
        await (await self._send_monitor(number, name, definition, offset))
        if name not in owned.partition.models:
            owned.partition.define(name, definition, offset)

    def _definition(self, owned: Owned, name: str) -> Definition:
        """The file's definition; on the embedded broker the joins must fit what that can hold."""
        definition = self.rules.definition(name)
        if not self.embedded:
            return definition
        known = owned.partition.models.get(name)
        if known is not None:
            room = known.definition.model.pending_max_bytes
        else:  # each model of the partition has an eighth of the one before
            room = embedded.PENDING_MAX_BYTES >> 3 * len(owned.partition.models)
        most = min(definition.model.pending_max_bytes, max(room, embedded.PENDING_MIN_BYTES))
        facts = msgspec.structs.replace(definition.model, pending_max_bytes=most)
        return msgspec.structs.replace(definition, model=facts)

    async def _send_monitor(
        self, number: int, name: str, definition: Definition, from_offset: int | None
    ) -> Awaitable[None]:
        change = MonitorChange(model=name, definition=definition, from_offset=from_offset)
        told = described("monitor", f"{name}-{definition.digest()}")
        return await self.link.send(
            "events.v1", name.encode(), msgspec.json.encode(change), told, number
        )

    def _announce_changes(self, owned: Owned, run: Sequence[tuple[RawRecord, Decoded]]) -> None:
        """Of models whose records were folded: see `_announce_change`."""
        for name in dict.fromkeys(getattr(one.record, "model", None) for _, one in run):
            if name is not None and name in owned.partition.models:
                self._announce_change(owned, name)

    def _announce_change(self, owned: Owned, name: str) -> None:
        """A file's definition that differs is written to the log once; it acts where it is read."""
        told = self.rules.definition(name)
        if owned.announced.get(name) == told:
            return
        owned.announced[name] = told
        definition = self._definition(owned, name)
        if owned.partition.models[name].definition.digest() != definition.digest():
            log.info("the definition of %s changed", name)
            owned.sends.append(
                asyncio.ensure_future(self._announce(owned.partition.number, name, definition))
            )

    async def _announce(self, number: int, name: str, definition: Definition) -> None:
        await (await self._send_monitor(number, name, definition, None))

    # ── timers ───────────────────────────────────────────────────────────────────────────────────

    async def tick(self) -> None:
        """Write the passing of time into every partition owned, unless the topic has grown."""
        if self.owned:
            await self._check_partitions()
        async with self.lock:
            if self.closing or self.link.rebalancing():
                return
            for number in list(self.owned):
                told = described("tick", "")
                await self._guard(self._send_tick(number, told))

    async def _send_tick(self, number: int, told: Mapping[str, bytes]) -> None:
        await (await self.link.send("events.v1", None, b"", told, number))

    async def checkpoint(self) -> None:
        """Make what was folded so far safe, partition by partition."""
        async with self.lock:
            if self.closing:
                return
            for number in list(self.owned):
                await self._checkpoint(number)

    async def _checkpoint(self, number: int, *, everything: bool = False) -> None:
        owned = self.owned.get(number)
        if owned is None or owned.partition.offset <= owned.saved_offset:
            return
        partition = owned.partition
        cuts = [self._cut(owned, name) for name in self._due(owned, everything)]
        partition.saved([one.root.model for one in cuts])
        offset = partition.safe_offset()
        vouched = {model: root.offset for model, root in owned.roots.items()}
        vouched |= {one.root.model: one.root.offset for one in cuts}
        marker = checkpoints.marker_record(offset, vouched, self.link.writer)
        sends, owned.sends = owned.sends, []
        try:
            await self._guard(self._save(owned, offset, cuts, marker, sends))
        except asyncio.CancelledError:
            # what was cut counts as saved and is not: a next checkpoint would vouch for nothing
            self.owned.pop(number, None)
            raise

    def _due(self, owned: Owned, everything: bool) -> list[str]:
        """Models to write: those that changed, a big one only as often as its size allows.

        All of them at first, so that what other writers left can go, and where nothing compacts.
        """
        if owned.inherited or (self.embedded and owned.written_bytes > embedded.REWRITE_BYTES):
            return list(owned.partition.models)
        changed = owned.partition.changed()
        if everything:
            return changed
        now_s = self.link.now_s()
        return [name for name in changed if self._is_due(owned, name, now_s)]

    def _is_due(self, owned: Owned, name: str, now_s: float) -> bool:
        at_s, size_bytes = owned.saved_at_s.get(name, (0.0, 0))
        return now_s - at_s >= min(MODEL_EVERY_S, size_bytes / self.pace_bytes_s)

    def _cut(self, owned: Owned, name: str) -> checkpoints.Cut:
        """The model's part of a checkpoint, as of now."""
        model, before = owned.partition.models[name], owned.roots.get(name)
        if self.embedded and owned.written_bytes > embedded.REWRITE_BYTES:
            before = None
        known = {piece.name for piece in before.pieces} if before else set()
        pieces = snapshot.cut(model, known)
        return checkpoints.cut(name, model.offset, pieces, before, self.link.writer)

    async def _save(
        self,
        owned: Owned,
        offset: int,
        cuts: Sequence[checkpoints.Cut],
        marker: Record,
        sends: Sequence[asyncio.Future[None]],
    ) -> None:
        number, link = owned.partition.number, self.link
        await asyncio.gather(*sends)
        link.reach("C5")
        await self._write(owned, [record for one in cuts for record in one.chunks], "C5")
        link.reach("C6")
        for position, one in enumerate(cuts):
            if position:
                link.reach("C8")
            await self._write(owned, [one.record], "C7")
        link.reach("C9")
        await self._write(owned, [marker])
        answer = asyncio.ensure_future(link.commit({number: offset + 1}))
        await asyncio.sleep(0)
        link.reach("C10")
        accepted = await answer
        link.reach("C11")
        self._account(owned, offset, cuts)
        self.observer.committed(number, accepted=accepted)
        if accepted:
            await self._delete_garbage(owned)

    def _account(self, owned: Owned, offset: int, cuts: Sequence[checkpoints.Cut]) -> None:
        """Remember what is safe now."""
        if self.embedded and owned.written_bytes > embedded.REWRITE_BYTES:
            owned.written_bytes = 0
        written, now_s = 0, self.link.now_s()
        for one in cuts:
            size = sum(len(value or b"") for _, value in (*one.chunks, one.record))
            owned.roots[one.root.model] = one.root
            owned.saved_at_s[one.root.model] = (now_s, size)
            owned.garbage.update(dict.fromkeys(one.freed))
            written += size
        owned.saved_offset = offset
        owned.written_bytes += written
        state_bytes = sum(
            piece.size_bytes for root in owned.roots.values() for piece in root.pieces
        )
        if self.embedded and state_bytes > embedded.STATE_MAX_BYTES:
            self.link.die(
                Exit.CONFIG,
                f"{state_bytes} bytes of state in partition {owned.partition.number} are more than "
                "the embedded broker can hold; use a real broker (--bootstrap-server)",
            )
        self.observer.checkpointed(owned.partition.number, state_bytes, written)
        for one in cuts:
            if one.root.model in owned.partition.models:
                model = owned.partition.models[one.root.model]
                self.observer.watched(owned.partition.number, model)

    async def _delete_garbage(self, owned: Owned) -> None:
        """Tombstones for what no root needs: the commit before this was accepted, so we own it."""
        if owned.garbage:
            self.link.reach("C12")
            owned.inherited = False
            await self._write(owned, [(key, None) for key in owned.garbage], "C12")

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (asyncio.CancelledError, GeneratorExit):
            raise  # a hand-over that took too long, or a loop that is gone: folded again
        except ConfigError as error:
            self.link.die(Exit.CONFIG, str(error))
        except TransientError as error:
            self.link.die(Exit.UNAVAILABLE, str(error))
        except BaseException as error:
            self.link.die(Exit.BUG, f"a write was not acknowledged: {error!r}")
