"""The agent's body: every message of every run is folded in order, and others have their turn."""

import asyncio
from itertools import pairwise

from aiokafka import ConsumerRecord
from faust.types import TP

from inferwatch.runtime import shell
from inferwatch.runtime.faust_private import Run
from inferwatch.runtime.shell import PIECE_BYTES, Shell

PLACE = TP("events.v1", 0)


def record(offset: int, body: bytes = b"body", place: TP = PLACE) -> ConsumerRecord:
    """A record as a fetch brings it."""
    return ConsumerRecord(
        *(*place, offset, 1_500, 0, b"key", body, None, 3, len(body), (("ce_type", b"t"),))
    )


class Clock:
    """In place of `time`: 2 ms pass with each look."""

    now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 0.002
        return self.now_s


class Folds:
    """In place of the delivery protocol: remembers what it was given."""

    closing = False

    def __init__(self) -> None:
        self.seen: list = []

    async def receive(self, run, generation) -> None:
        self.seen.append((run, generation))


async def run(folds: Folds, *fetches: list[list[ConsumerRecord]]) -> list[int]:
    """Let the body fold the runs; how much was folded at each turn of somebody else."""
    turns = []

    async def stream():
        for runs in fetches:
            yield [Run(TP(of[0].topic, of[0].partition), 7, of) for of in runs]

    async def somebody_else():
        while True:
            turns.append(len(folds.seen))
            await asyncio.sleep(0)

    other = asyncio.ensure_future(somebody_else())
    await asyncio.sleep(0)
    await Shell(None, PLACE.topic, None, folds, None).run(stream())
    other.cancel()
    return turns


def test_a_long_run_leaves_others_their_turn(monkeypatch):
    """Timers and clients live on the same loop: with folds of 2 ms they come every third."""
    monkeypatch.setattr(shell, "time", Clock())
    folds, big = Folds(), b"x" * PIECE_BYTES
    turns = asyncio.run(run(folds, [[record(at, big) for at in range(40)]], [[record(40)]]))
    assert [raw.offset for [raw], _ in folds.seen] == list(range(41))
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert turns[-1] > 35
    assert max(gaps) <= 3


def test_runs_are_folded_in_pieces_of_some_records():
    """Each in its order, at most 32 records at once, fewer where they are big."""
    folds, other, half = Folds(), TP("events.v1", 1), b"x" * (PIECE_BYTES // 2)
    small = [[record(at, place=place) for at in range(50)] for place in (PLACE, other)]
    asyncio.run(run(folds, small, [[record(at, half) for at in range(50, 55)]]))
    pieces = [[(raw.partition, raw.offset) for raw in piece] for piece, _ in folds.seen]
    assert [len(piece) for piece in pieces] == [32, 18, 32, 18, 2, 2, 1]
    for number, end in ((0, 55), (1, 50)):
        seen = [offset for piece in pieces for place, offset in piece if place == number]
        assert seen == list(range(end))


def test_a_record_is_told_as_the_fold_knows_it():
    """With its generation, by which a record of an earlier assignment is known."""
    folds = Folds()
    asyncio.run(run(folds, [[record(5)]]))
    [([raw], generation)] = folds.seen
    assert generation == 7
    assert (raw.topic, raw.partition, raw.offset, raw.time_ms) == (*PLACE, 5, 1_500)
    assert (raw.key, raw.value, raw.headers) == (b"key", b"body", {"ce_type": b"t"})


def test_what_a_record_lacks_is_told_as_nothing():
    """A tombstone without key, time or a header's value, as brokers may give them."""
    bare = ConsumerRecord(*(*PLACE, 5, None, 0, None, None, None, -1, -1, (("ce_type", None),)))
    raw = shell.raw_of(bare)
    assert (raw.key, raw.value, raw.time_ms, raw.headers) == (None, None, 0, {"ce_type": b""})
