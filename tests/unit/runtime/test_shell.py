"""The agent's body: every message of every run is folded in order, and others have their turn."""

import asyncio
from itertools import pairwise

from faust.types import TP
from faust.types.tuples import ConsumerMessage

from inferwatch.runtime import shell
from inferwatch.runtime.shell import PIECE_BYTES, Shell

PLACE = TP("events.v1", 0)


def message(offset: int, place: TP = PLACE, body: bytes = b"body") -> ConsumerMessage:
    """A message as Faust's consumer makes it."""
    return ConsumerMessage(
        *(*place, offset, 1.5, 0, [("ce_type", b"t")], b"key", body, None, 3, len(body), place),
        generation_id=7,
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


async def run(folds: Folds, runs: list[list[ConsumerMessage]]) -> list[int]:
    """Let the body fold the runs; how much was folded at each turn of somebody else."""
    turns = []

    async def stream():
        for one in runs:
            yield one

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
    turns = asyncio.run(run(folds, [[message(at, body=big) for at in range(40)], [message(40)]]))
    assert [raw.offset for [raw], _ in folds.seen] == list(range(41))
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert turns[-1] > 35
    assert max(gaps) <= 3


def test_a_run_is_folded_by_partition_in_pieces_of_some_records():
    """Each partition's records in their order, at most 32 at once, fewer where they are big."""
    folds, other = Folds(), TP("events.v1", 1)
    small = [message(at // 2, place) for at, place in enumerate([PLACE, other] * 50)]
    half = [message(at, body=b"x" * (PIECE_BYTES // 2)) for at in range(50, 55)]
    asyncio.run(run(folds, [small, half]))
    pieces = [[(raw.partition, raw.offset) for raw in piece] for piece, _ in folds.seen]
    assert [len(piece) for piece in pieces] == [32, 18, 32, 18, 2, 2, 1]
    for number, end in ((0, 55), (1, 50)):
        seen = [offset for piece in pieces for place, offset in piece if place == number]
        assert seen == list(range(end))


def test_a_message_is_told_as_the_fold_knows_it():
    """With its generation, by which a record of an earlier assignment is known."""
    folds = Folds()
    asyncio.run(run(folds, [[message(5)]]))
    [([raw], generation)] = folds.seen
    assert generation == 7
    assert (raw.topic, raw.partition, raw.offset, raw.time_ms) == (*PLACE, 5, 1_500)
    assert (raw.key, raw.value, raw.headers) == (b"key", b"body", {"ce_type": b"t"})
