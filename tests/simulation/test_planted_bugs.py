"""Bugs that others have had, put back one by one: each must be caught, or the proof proves nothing.

The list is that of the design's fault catalogue. Each is a patch of production code; what catches
it is the same simulator, or the same check, that the healthy code passes.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec
import pytest

from inferwatch import Monitor
from inferwatch.connection import Connection
from inferwatch.core import emitters, engine, fold, placement, publish, snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.model import Position
from inferwatch.core.queries import QueryJoin
from inferwatch.core.watermark import Watermark
from inferwatch.notify.channels import webhook
from inferwatch.notify.deliver import Sent
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.decode import decode
from inferwatch.records.events import Inspection
from inferwatch.records.notified import Plan
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.runtime.delivery import Delivery
from inferwatch.runtime.inspections import Inspections
from inferwatch.sdk.privacy import Privacy
from inferwatch.testing.alerts import alert_record
from inferwatch.testing.receiver import Answer, Receiver
from inferwatch.testing.simulation import run
from inferwatch.testing.simulation.process import Process
from inferwatch.testing.simulation.run import FULL, INSPECTED, RANKED

SEEDS = 60
pytestmark = pytest.mark.slow
Patch = Callable[[pytest.MonkeyPatch], None]


def commit_in_finally(patch):
    """1: a commit that happens also where the checkpoint did not."""
    save = Delivery._save

    async def planted(self, owned, offset, *rest):
        try:
            await save(self, owned, offset, *rest)
        finally:
            await asyncio.shield(self.link.commit({owned.partition.number: offset + 1}))

    patch.setattr(Delivery, "_save", planted)


def gap_of_one(patch):
    """2: one missing record is taken for a hole."""
    prove = Delivery._prove_hole

    async def planted(self, raw, expected):
        if raw.offset > expected + 1:
            await prove(self, raw, expected)

    patch.setattr(Delivery, "_prove_hole", planted)


def wall_clock(patch):
    """3: windows close by the worker's clock."""
    step = engine.step

    def planted(model, record, at):
        try:
            now_ms = int(asyncio.get_running_loop().time() * 20_000)
        except RuntimeError:
            now_ms = 0
        mark = model.state.watermark
        mark.ticked_ms = max(mark.ticked_ms, mark.moved_at_ms + now_ms % 90_000)
        return step(model, record, at)

    patch.setattr(fold.engine, "step", planted)


def salted_placement(patch):
    """4: `hash()` places keys, with another salt in each process."""
    start = Process.start
    salts = [0]

    def planted_start(self):
        salts[0] += 1
        start(self)

    patch.setattr(Process, "start", planted_start)
    patch.setattr(
        placement,
        "partition_of",
        lambda model, partitions: random.Random(f"{model}{salts[0]}").randrange(partitions),
    )


def restatement_under_the_old_id(patch):
    """5: a restated window takes the id of the one that it replaces."""
    name = publish._window_id
    patch.setattr(publish, "_window_id", lambda *parts: name(*parts[:-1], 0))


def state_before_outputs(patch):
    """6: states are written although outputs are not acknowledged."""
    save = Delivery._save

    async def planted(self, owned, offset, cuts, marker, sends):
        await save(self, owned, offset, cuts, marker, [])
        await asyncio.gather(*sends)

    patch.setattr(Delivery, "_save", planted)


def commit_before_states(patch):
    """7: the group moves on before the states are safe."""
    save = Delivery._save

    async def planted(self, owned, offset, cuts, marker, sends):
        await self.link.commit({owned.partition.number: offset + 1})
        await save(self, owned, offset, cuts, marker, sends)

    patch.setattr(Delivery, "_save", planted)


def root_before_chunks(patch):
    """8: the root is written before what it binds."""
    save = Delivery._save

    async def planted(self, owned, offset, cuts, marker, sends):
        turned = [
            msgspec.structs.replace(one, chunks=[one.record, marker, *one.chunks]) for one in cuts
        ]
        await save(self, owned, offset, turned, marker, sends)

    patch.setattr(Delivery, "_save", planted)


def chunks_deleted_before_the_new_root(patch):
    """9: what the old root needs is gone before there is a new one."""
    save = Delivery._save

    async def planted(self, owned, offset, cuts, marker, sends):
        await self._write(owned, [(key, None) for one in cuts for key in one.freed])
        await save(self, owned, offset, cuts, marker, sends)

    patch.setattr(Delivery, "_save", planted)


def commit_of_the_largest_offset(patch):
    """10: the group moves to the newest record, though a model's state is older."""
    patch.setattr(Partition, "safe_offset", lambda self: self.offset)


def watermark_outside_the_state(patch):
    """12: event time is not part of what a checkpoint holds."""
    cut = snapshot.cut

    def planted(model, known=()):
        kept, model.state.watermark = model.state.watermark, Watermark()
        try:
            return cut(model, known)
        finally:
            model.state.watermark = kept

    patch.setattr(snapshot, "cut", planted)


def repeats_forgotten(patch):
    """13: a sender's numbers are forgotten before its repeats have come."""
    patch.setattr(emitters, "accept", lambda *_: True)


def a_full_partition_forgotten(patch):
    """17: a restored partition counts only the models that it has met since."""
    restore = Partition.restore

    def planted(self, pieces):
        self.models_max += 1
        return restore(self, pieces)

    patch.setattr(Partition, "restore", planted)


def outputs_out_of_order(patch):
    """14: a later transition overtakes an earlier one."""
    emit = Delivery._emit

    async def planted(self, position, output):
        await asyncio.sleep(2.5 if output.id < "8" else 0.0)
        await emit(self, position, output)

    patch.setattr(Delivery, "_emit", planted)


def answers_past_the_log(patch):
    """18: an owner judges by its inspector's answer at once, instead of when the log has it."""

    async def planted(self, number, request, answer):
        partition = self._owned[number].partition
        found = msgspec.json.decode(answer, type=Inspection)
        partition.answer(found, Position(number, partition.offset, 0))

    patch.setattr(Inspections, "_send", planted)


def queries_forgotten(patch):
    """A restart that begins queries anew, whose earlier items wait in the state."""
    load = QueryJoin.__init__

    def planted(self, *state):
        load(self, *state)
        self._clear()

    patch.setattr(QueryJoin, "__init__", planted)


BUGS: dict[Patch, tuple[str, ...]] = {
    commit_in_finally: ("topic_stalls", "one_more", "terminate"),
    gap_of_one: ("delivery_skips",),
    wall_clock: (),
    salted_placement: (),
    restatement_under_the_old_id: (),
    state_before_outputs: ("topic_stalls", "C11"),
    commit_before_states: ("C6",),
    root_before_chunks: ("C5",),
    chunks_deleted_before_the_new_root: ("C6",),
    commit_of_the_largest_offset: ("kill",),
    watermark_outside_the_state: ("kill",),
    repeats_forgotten: (),
    a_full_partition_forgotten: (FULL, "kill"),
    outputs_out_of_order: (),
    answers_past_the_log: (INSPECTED,),
    queries_forgotten: (RANKED, "kill"),
}
"""Each with the faults under which it shows, so that few seeds find it."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_caught(bug, monkeypatch):
    """Some seed fails once the bug is in, under the faults that the healthy code survives."""
    bug(monkeypatch)
    assert any(run(seed, BUGS[bug]).failures for seed in range(SEEDS))


@pytest.mark.parametrize("aim", dict.fromkeys(BUGS.values()), ids="-".join)
def test_the_healthy_code_survives_the_same(aim):
    """What catches the bugs catches nothing without them."""
    for seed in range(3):
        assert run(seed, aim).failures == []


# ── one that the markers heal, so that few seeds would show it ───────────────────────────────────


def restored_after_a_late_root() -> int:
    """Offset of the state that a start finds where a stalled owner's root came after it."""
    old, new = (
        checkpoints.cut("m", offset, {"state": b"%d" % offset}, None, writer)
        for offset, writer in ((10, "stalled"), (20, "owner"))
    )
    log = [*new.chunks, new.record, checkpoints.marker_record(20, {"m": 20}, "owner")]
    log += [*old.chunks, old.record, checkpoints.marker_record(10, {"m": 10}, "stalled")]
    return checkpoints.gather(log).roots["m"].offset


def test_the_last_root_instead_of_the_newest_is_caught(monkeypatch):
    """11: a restore takes the newest root, whoever wrote last; a plant that takes the last is seen.

    In the simulator this bug only costs time: a lower marker vouches for the older root, and the
    records between are folded again.
    """
    assert restored_after_a_late_root() == 20

    def by_last_write(items, key):
        items = list(items)
        if items and isinstance(items[0], checkpoints.Root):
            return list(reversed(items))
        return sorted(items, key=key)

    monkeypatch.setattr(checkpoints, "sorted", by_last_write, raising=False)
    assert restored_after_a_late_root() == 10


# ── two that live outside the worker ─────────────────────────────────────────────────────────────


def keys_of_retries() -> set[str]:
    """Idempotency keys under which a receiver that fails twice gets one message."""
    statuses = iter((503, 503, 200))
    alert = alert_record()
    plan = Plan(key=idempotency_key(alert.id, "oncall"), at_ms=alert.at_ms, alert=alert)

    async def deliver(url: str) -> None:
        channel = webhook.Webhook("oncall", webhook.URL(url), (bytes(32),))
        while not isinstance(await channel.send(plan), Sent):
            continue
        await channel.close()

    with Receiver(lambda _: Answer(next(statuses))) as receiver:
        asyncio.run(deliver(receiver.url))
        return {request.headers["webhook-id"] for request in receiver.requests}


def test_a_retry_with_a_new_key_is_caught(monkeypatch):
    """15: a message that is tried again keeps its key; a plant that counts attempts is seen."""
    assert len(keys_of_retries()) == 1
    sign, attempts = webhook.signature, iter(range(9))
    monkeypatch.setattr(
        webhook, "signature", lambda key, *rest: sign(f"{key}-{next(attempts)}", *rest)
    )
    assert len(keys_of_retries()) > 1


CANARY = "4111-1111-1111-1111"


def dead_letter_of_a_damaged_batch() -> bytes:
    """What the dead-letter topic gets of a batch whose card numbers were to stay at home."""
    sent: list[tuple[bytes, bytes, dict[str, bytes]]] = []
    connection = Connection("127.0.0.1:1")
    monitor = Monitor("team/m", "1", connection=connection, include=["amount"])
    monitor.log(features={"amount": 1.0, "card": CANARY}, prediction=1)
    monitor._emitter.buffer.seal()
    while monitor._emitter.send_next(
        lambda key, value, headers, report: sent.append((key, value, headers))
    ):
        continue
    key, value, described = sent[0]
    raw = RawRecord("events.v1", 0, 0, 1, key, value[:-1], described)
    outputs = Partition(0).fold(raw, decode(raw))
    assert [output.kind for output in outputs] == ["dead"]
    return value + b"".join(output.value for output in outputs)


def test_a_privacy_filter_that_comes_too_late_is_caught(monkeypatch):
    """16: what must not leave is nowhere, dead letters included; a plant that keeps it is seen."""
    assert CANARY.encode() not in dead_letter_of_a_damaged_batch()
    monkeypatch.setattr(Privacy, "of_feature", lambda *_: "keep")
    assert CANARY.encode() in dead_letter_of_a_damaged_batch()
