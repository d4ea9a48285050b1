"""The models of one partition: who folds what, what is counted as what, and who is woken."""

import msgspec
import pytest

from inferwatch.core import placement, snapshot
from inferwatch.core.fold import Partition
from inferwatch.errors import Reason
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition, Window
from inferwatch.records.events import Deploy, Skip
from inferwatch.testing import folding, streams
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_tick

MINUTE = 60_000
DEFINITION = Definition(windows=[Window(name="fast", size_ms=MINUTE, grace_ms=0)])


def fold(partition, *records):
    """Outputs of records, each at the offset it has."""
    return folding.fold(partition, records, lambda _: DEFINITION)


def batch(offset, **options):
    """Three rows at an offset."""
    return raw_inference(**{"n": 3, "offset": offset} | options)


def test_rows_are_counted_by_what_became_of_them():
    """A bad row of a batch is rejected alone; a repeat, a tick and a deploy are counted too."""
    partition = Partition(0)
    outputs = fold(
        partition,
        batch(0, time_ms=[TIME_MS, 5, TIME_MS]),
        batch(1, seq=0),
        raw_tick(offset=2, time_ms=TIME_MS),
        raw_event(Deploy(model="team/model", version="2", time_ms=TIME_MS), offset=3),
        msgspec.structs.replace(batch(4), value=b"\xc1"),
    )
    counts = partition.counts
    assert counts.in_ == 3 + 3 + 1 + 1 + 1
    assert counts.ok == 2 + 1 + 1
    assert counts.rejected == {Reason.BAD_TIME: 1, Reason.NOT_MSGPACK: 1}
    assert counts.duplicate == {"id": 3}
    assert counts.conserved()
    assert [(output.kind, output.id) for output in outputs] == [
        ("dead", "events.v1-0-0-1"),
        ("dead", "events.v1-0-4"),
    ]


def test_a_row_that_goes_missing_would_be_noticed():
    """Conservation is a sum that can fail."""
    partition = Partition(0)
    fold(partition, batch(0))
    partition.counts.ok -= 1
    assert not partition.counts.conserved()


def test_a_record_at_or_below_a_models_offset_is_skipped():
    """Each model by its own offset: what one has folded, another may not have."""
    partition = Partition(0)
    fold(partition, batch(0, model="a"), batch(1, model="b"), batch(2, model="a"))
    again = Partition(0)
    again.restore(snapshot.cut(partition.models["a"]))
    again.define("b", DEFINITION, 1)
    outputs = fold(again, batch(0, model="a"), batch(1, model="b"), batch(2, model="a"))
    assert outputs == []
    assert again.counts.duplicate == {"offset": 6}
    assert again.counts.ok == 3
    assert snapshot.cut(again.models["b"]) == snapshot.cut(partition.models["b"])


def test_repeats_are_those_of_the_records_folded_last():
    """Whoever folds a log with many repeats one by one, as a replay does, does not gather them."""
    partition = Partition(0)
    fold(partition, batch(0), batch(1))
    fold(partition, batch(0), batch(1))
    assert partition.repeats == {1}


def test_a_definition_acts_from_the_record_it_was_made_for():
    """What stands before it in the log was folded by somebody, or by nobody."""
    partition = Partition(0)
    assert partition.undefined(decode(batch(7))) == "team/model"
    partition.define("team/model", DEFINITION, 7)
    assert partition.undefined(decode(batch(7))) is None
    fold(partition, batch(6), batch(7))
    assert (partition.counts.duplicate, partition.counts.ok) == ({"offset": 3}, 3)


@pytest.mark.parametrize("by_log", [True, False])
def test_a_skipped_record_is_a_reject_of_its_own(by_log):
    """By a `skip` record before it, or by a survey of the topic: kept as a dead letter."""
    partition = Partition(0)
    if by_log:
        fold(partition, raw_event(Skip(offset=5), offset=1))
    else:
        partition.skip(5)
    assert partition.is_skipped(5)
    (letter,) = fold(partition, batch(4), batch(5))
    assert (letter.kind, letter.value) == ("dead", batch(5).value)
    assert partition.models["team/model"].offset == 5
    assert partition.counts.rejected == {Reason.FATAL: 1}
    assert partition.counts.conserved()


def test_a_record_of_another_partitions_model_is_sent_on():
    """Folding it here would split a model over two owners; there the copy counts once."""
    home = placement.partition_of("team/model", 8)
    wrong = (home + 1) % 8
    partition = Partition(wrong, partitions=8)
    raw = batch(3, partition=wrong, emitter="e", seq=0)
    assert partition.undefined(decode(raw)) is None
    (sent,) = fold(partition, raw)
    assert (sent.kind, sent.partition, sent.value) == ("forward", home, raw.value)
    assert (partition.models, partition.counts.duplicate) == ({}, {"misplaced": 3})
    owner = Partition(home, partitions=8)
    copy = msgspec.structs.replace(raw, partition=home, headers=sent.headers)
    fold(owner, *(msgspec.structs.replace(copy, offset=offset) for offset in (0, 1)))
    assert (owner.counts.ok, owner.counts.duplicate) == (3, {"id": 3})


def test_a_model_is_changed_from_its_first_record_until_it_is_saved():
    """What is safe reaches to just before the oldest record that no saved state has."""
    partition = Partition(0)
    fold(partition, batch(0, model="a"), batch(1, model="b"), batch(2, model="a"))
    assert (partition.changed(), partition.safe_offset()) == (["a", "b"], -1)
    partition.saved(["a"])
    assert (partition.changed(), partition.safe_offset()) == (["b"], 0)
    fold(partition, batch(3, model="a"))
    partition.saved(["b"])
    assert (partition.changed(), partition.safe_offset()) == (["a"], 2)
    partition.saved(["a"])
    assert (partition.changed(), partition.safe_offset()) == ([], 3)


def test_a_tick_wakes_only_whom_it_concerns():
    """An idle model costs nothing: neither a step nor a checkpoint."""
    partition = Partition(0)
    fold(partition, batch(0, model="idle"), batch(1, model="open", time_ms=[TIME_MS + MINUTE] * 3))
    fold(partition, raw_tick(offset=2, time_ms=TIME_MS + 3 * MINUTE))
    partition.saved(["idle", "open"])
    assert fold(partition, raw_tick(offset=3, time_ms=TIME_MS + 900 * MINUTE)) == []
    assert partition.changed() == []


def test_a_tick_wakes_nobody_too_late():
    """Waking every model on every tick gives no output that waking by deadline does not give."""
    partition, woken = Partition(0), 0
    for raw in streams.placed(streams.stream(12, records=100)):
        decoded = decode(raw)
        if decoded.record is None or raw.headers["ce_type"] != b"io.inferwatch.tick.v1":
            folding.fold(partition, [raw], streams.definition)
            continue
        forced = Partition(0)
        for model in partition.models.values():
            forced.restore(snapshot.cut(model))
        forced._wake_ms = dict.fromkeys(forced.models, 0)
        expected = folding.fold(forced, [raw], streams.definition)
        found = folding.fold(partition, [raw], streams.definition)
        assert [output.id for output in found] == [output.id for output in expected]
        assert found == expected
        woken += bool(found)
    assert woken > 3


@pytest.mark.parametrize(
    ("key", "expected"),
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)],
)
def test_models_are_placed_as_kafka_places_keys(key, expected):
    """murmur2 as Kafka's own tests publish it (`UtilsTest.testMurmur2`)."""
    signed = placement.murmur2(key.encode())
    assert (signed - (1 << 32) if signed >= 1 << 31 else signed) == expected
    assert placement.partition_of(key, 24) == (expected & 0x7FFFFFFF) % 24


def test_a_full_partition_takes_no_more_models():
    """The first in the log are folded; every record of another one is a dead letter, whole, and
    none of it is lost from the count.
    """
    partition = Partition(0, models_max=2)
    last = batch(6, model="c", time_ms=[TIME_MS, 5, TIME_MS])
    outputs = fold(
        partition,
        *(batch(offset, model=name) for offset, name in enumerate("abcaba")),
        last,
        raw_event(Deploy(model="c", version="2", time_ms=TIME_MS), offset=7),
    )
    assert list(partition.models) == ["a", "b"]
    assert (partition.counts.ok, partition.counts.rejected) == (15, {Reason.TOO_MANY_MODELS: 7})
    assert partition.counts.conserved()
    assert [(one.kind, one.id) for one in outputs] == [
        ("dead", f"events.v1-0-{offset}") for offset in (2, 6, 7)
    ]
    assert outputs[1].value == last.value
    assert partition.undefined(decode(batch(8, model="c"))) is None
    assert partition.undefined(decode(batch(8, model="a"))) is None


def test_a_restored_partition_refuses_whom_the_first_one_refused():
    """Whatever part of the states a checkpoint has, and from wherever the log is read again."""
    names = "abacbdcadb"
    records = [batch(offset, model=name) for offset, name in enumerate(names)]
    whole = Partition(0, models_max=2)
    letters = {output.id for output in fold(whole, *records)}
    assert len(letters) == sum(name in "cd" for name in names)
    for end in range(len(records) + 1):
        first = Partition(0, models_max=2)
        fold(first, *records[:end])
        for saved in ([], ["a"], ["b"], ["a", "b"]):
            again = Partition(0, models_max=2)
            kept = [name for name in saved if name in first.models]
            for name in kept:
                again.restore(snapshot.cut(first.models[name]))
            unsaved = [names.index(name) for name in first.models if name not in kept]
            start = min([end, *unsaved])
            found = {output.id for output in fold(again, *records[start:])}
            assert found == {id_ for id_ in letters if int(id_.rpartition("-")[2]) >= start}
            assert {name: snapshot.cut(one) for name, one in again.models.items()} == {
                name: snapshot.cut(one) for name, one in whole.models.items()
            }


def test_a_model_of_another_partition_takes_no_place():
    """Its record is sent on; the cap is that of the partition where it belongs."""
    home = placement.partition_of("team/model", 8)
    partition = Partition((home + 1) % 8, partitions=8, models_max=1)
    (sent,) = fold(partition, batch(0, partition=partition.number))
    assert (sent.kind, partition.counts.rejected) == ("forward", {})
