"""Rows that come from another topic: however they are cut into batches, each counts once."""

from random import Random

import msgspec
import numpy as np
import pytest

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.output import FORWARDED
from inferwatch.errors import Reason
from inferwatch.records import batch
from inferwatch.records.columns import pack
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition, Window
from inferwatch.testing import folding
from inferwatch.testing.builders import TIME_MS, raw_inference, raw_labels

DEFINITION = Definition(windows=[Window(name="fast", size_ms=60_000)])
N = 24


def piece(kind, version, offsets, place):
    """The rows that stand at these offsets of the source, as the record at `place`."""
    common = {
        "time_ms": [TIME_MS + offset * 10_000 for offset in offsets],
        "ids": [f"id{offset}" for offset in offsets],
        "version": version,
        "emitter": "orders/0",
        "record_time_ms": TIME_MS + 1_000_000,
        "seq": 0,
    }
    if kind is batch.InferenceBatch:
        common |= {"numeric": {"a": [float(offset) for offset in offsets]}, "n": len(offsets)}
        raw = raw_inference(**common, prediction=[1.0] * len(offsets))
    else:
        raw = raw_labels(**common, label=[1.0] * len(offsets))
    body = msgspec.msgpack.decode(raw.value, type=kind)
    body = msgspec.structs.replace(body, source_offsets=pack("q", offsets))
    return msgspec.structs.replace(raw, value=batch.encode(body), offset=place)


def folded(pieces):
    """A partition that has seen the records, restored from its state before each of them."""
    partition = Partition(0)
    for raw in pieces:
        counts, again = partition.counts, Partition(0)
        for model in partition.models.values():
            again.restore(snapshot.cut(model))
        partition, again.counts = again, counts
        folding.fold(partition, [raw], lambda _: DEFINITION)
    return partition


def sendings(draw):
    """Source offsets of one kind and version, cut anyhow; each start may repeat what was sent."""
    found, done = [], 0
    while done < N:
        first = draw.randint(max(0, done - 6), done)
        end = draw.randint(first + 1, min(N, first + 9))
        found.append((first, end))
        done = max(done, end)
    return found


@pytest.mark.parametrize("seed", range(25))
def test_any_cut_and_any_repeat_counts_every_row_once(seed):
    """Two versions and labels of one source partition, in any batches and repeats, mixed in any
    order: rows, emitters and counts are those of one pass, and in = ok + rejected + duplicate.
    """
    draw = Random(seed)
    one, two, labels = sendings(draw), sendings(draw), sendings(draw)
    rows, truths = batch.InferenceBatch, batch.LabelBatch
    queues = [
        [(rows, "1", [3 * at for at in range(*span)]) for span in one],
        [(rows, "2", [3 * at + 1 for at in range(*span)]) for span in two],
        [(truths, None, [3 * at + 2 for at in range(*span)]) for span in labels],
    ]
    mixed = []
    while any(queues):
        mixed.append(draw.choice([queue for queue in queues if queue]).pop(0))
    partition = folded([piece(*part, place) for place, part in enumerate(mixed)])
    state = partition.models["team/model"].state
    assert state.rows == {"1": N, "2": N}
    assert partition.counts.ok == 3 * N and partition.counts.conserved()
    assert partition.counts.in_ == sum(len(offsets) for *_, offsets in mixed)
    ends = {name: emitter.next_seq for name, emitter in state.sources.items()}
    assert sorted(ends.values()) == [3 * N - 2, 3 * N - 1, 3 * N]


def test_only_the_new_rows_of_a_batch_are_folded():
    """Values, not only counts: the mean of a feature is that of each row once."""
    kind = batch.InferenceBatch
    once = folded([piece(kind, "1", [0, 1, 2, 3, 4], 0)])
    twice = folded([piece(kind, "1", [0, 1, 2], 0), piece(kind, "1", [1, 2, 3, 4], 1)])
    cells = [
        [
            pane.cells
            for track in found.models["team/model"].state.tracks["fast"].values()
            for pane in track.panes.values()
        ]
        for found in (once, twice)
    ]
    as_text = [snapshot._encoder.encode(found) for found in cells]
    assert as_text[0] == as_text[1]
    assert twice.counts.duplicate == {"id": 2}


def test_a_record_that_a_bridge_sent_on_twice_counts_once():
    """By its place in the source, whatever came between; one before it, sent on late, is new."""
    sent = [3, 17, 17, 5, 3, 17]
    raws = [
        msgspec.structs.replace(
            raw_inference(emitter=f"e{place}", offset=place),
            headers=raw_inference().headers | {FORWARDED: f"orders/0@{offset}".encode()},
        )
        for place, offset in enumerate(sent)
    ]
    partition = folded(raws)
    assert partition.counts.ok == len({*sent})
    assert partition.counts.duplicate == {"id": len(sent) - len({*sent})}


@pytest.mark.parametrize(
    ("offsets", "reason"),
    [
        ([0], Reason.COLUMN_LENGTH),
        ([1, 1], Reason.INT_RANGE),
        ([2, 1], Reason.INT_RANGE),
        ([-1, 0], Reason.INT_RANGE),
        ([0, 1 << 62], Reason.INT_RANGE),
    ],
)
def test_offsets_of_another_length_or_order_are_a_dead_letter(offsets, reason):
    """The record is a reject as a whole."""
    raw = piece(batch.InferenceBatch, "1", [0, 1], 0)
    body = msgspec.msgpack.decode(raw.value, type=batch.InferenceBatch)
    body = msgspec.structs.replace(body, source_offsets=np.array(offsets, "<i8").tobytes())
    (reject,) = decode(msgspec.structs.replace(raw, value=batch.encode(body))).rejects
    assert reject.reason == reason
