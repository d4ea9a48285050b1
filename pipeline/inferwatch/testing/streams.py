"""Little streams as a fleet would send them, the same for the same seed.

A stream holds what makes life hard: several versions and instances, segments, missing values, new
words, rows out of order and far ahead, labels early, late, doubled and corrected, repeated batches,
resources, deploys, verdicts, changed definitions, a silence, and a worse time before it.
`definition` watches it with a check of every kind, on windows so short that they close all the
time.

    partition = Partition(0)
    for raw in streams.placed(streams.stream(7)):
        decoded = decode(raw)
        if name := partition.undefined(decoded):
            partition.define(name, streams.definition(name), raw.offset)
        outputs = partition.fold(raw, decoded)
"""

import math
from collections.abc import Iterable, Sequence
from random import Random

import msgspec

from inferwatch.records.raw import JSON, RawRecord
from inferwatch.testing.builders import raw_tick
from inferwatch.testing.request import MINUTE_MS, START_MS, TASKS
from inferwatch.testing.senders import Senders
from inferwatch.testing.watches import definition

__all__ = ["START_MS", "TASKS", "definition", "names", "placed", "stream"]


def names(models: int) -> list[str]:
    """Models of a stream; the name's first part is the task."""
    return [f"{TASKS[number % len(TASKS)]}/m{number}" for number in range(models)]


def stream(
    seed: int, *, models: int = 2, records: int = 200, rows_per_batch: int = 8
) -> list[RawRecord]:
    """`records` records of `models` models in log order, without places: see `placed`.

    Record times ascend by 0 to 8 s; in one silence of five minutes only ticks come, by 0 to 40 s.
    One batch in thirty is sent twice. Before the silence the model gets worse for a while.
    """
    draw = Random(f"{seed}")
    senders = [Senders(name, Random(f"{seed}/{name}")) for name in names(models)]
    found: list[RawRecord] = []
    now_ms, silent_until_ms = START_MS + int(draw.random() * MINUTE_MS), 0
    while len(found) < records:
        done = len(found) / records
        now_ms += int(draw.random() * (40_000 if now_ms < silent_until_ms else 8_000))
        if not silent_until_ms and done > 0.7:
            silent_until_ms = now_ms + 5 * MINUTE_MS
        if now_ms < silent_until_ms or draw.random() < 0.15:
            found.append(raw_tick(offset=-1, time_ms=now_ms))
            continue
        trouble = math.sin(math.pi * (done - 0.4) / 0.25) if 0.4 < done < 0.65 else 0.0
        sent = _one(draw, draw.choice(senders), now_ms, rows_per_batch, trouble)
        if sent is None:
            continue
        found.append(sent)
        if draw.random() < 1 / 30 and len(found) < records:
            found.append(_again(draw, found, now_ms))
    return found


def _one(
    draw: Random, sender: Senders, now_ms: int, rows_max: int, trouble: float
) -> RawRecord | None:
    chance = draw.random()
    if chance < 0.08:
        return sender.word(now_ms)
    if chance < 0.35:
        return sender.labels(now_ms, rows_max)
    if chance < 0.38:
        return sender.single(now_ms, trouble)
    return sender.answers(now_ms, rows_max, trouble)


def _again(draw: Random, found: Sequence[RawRecord], now_ms: int) -> RawRecord:
    """A record that its sender repeats; one without a number is never repeated."""
    numbered = [raw for raw in found if raw.headers["content-type"] != JSON.encode()]
    repeat = draw.choice(numbered or [raw_tick(offset=-1, time_ms=now_ms)])
    return msgspec.structs.replace(repeat, time_ms=now_ms)


def placed(records: Iterable[RawRecord], *, partition: int = 0, first: int = 0) -> list[RawRecord]:
    """The same records at the offsets `first`, `first` + 1, … of one partition."""
    return [
        msgspec.structs.replace(raw, partition=partition, offset=first + place)
        for place, raw in enumerate(records)
    ]
