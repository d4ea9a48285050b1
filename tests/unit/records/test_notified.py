"""Records of several writers become one: nothing that was done is done again."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.errors import DataError, Reason
from inferwatch.records.notified import NotifiedRecord, Plan, key, merge, read
from inferwatch.testing.alerts import alert_record


def record(seq, done, plans):
    """Where a channel stands, as one writer wrote it."""
    return NotifiedRecord(
        fingerprint="f",
        channel="c",
        seq=seq,
        condition="firing",
        severity="critical",
        done=done,
        result="sent" if done else "",
        plans=[Plan(key=str(n), at_ms=n, alert=alert_record(seq=n)) for n in plans],
    )


@st.composite
def histories(draw):
    """What writers leave who plan and finish in order: each a state of one growing history."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        seq = draw(st.integers(1, 6))
        done = draw(st.integers(0, seq))
        plans = [n for n in range(done + 1, seq + 1) if draw(st.booleans())]
        found.append(record(seq, done, plans))
    return found


@given(histories())
def test_merging_takes_the_furthest_of_everything(found):
    """The highest transition, the highest finished one, and the plans beyond it, once each."""
    merged = merge(found)
    assert merged.seq == max(one.seq for one in found)
    assert merged.done == max(one.done for one in found)
    wanted = {plan.alert.seq for one in found for plan in one.plans}
    seqs = [plan.alert.seq for plan in merged.plans]
    assert seqs == sorted(seq for seq in wanted if seq > merged.done)


@given(histories())
def test_merging_does_not_depend_on_order(found):
    """Any order of the same records, and a merge of merges, give the same plans."""
    merged = merge(found)
    for order in itertools.islice(itertools.permutations(found), 24):
        again = merge(order)
        assert (again.seq, again.done, again.plans) == (merged.seq, merged.done, merged.plans)
    assert merge([merged, *found]).plans == merged.plans
    assert merge([merged]) == merged


def test_the_key_tells_writers_apart():
    """A late writer has a key of its own."""
    assert key("f", "c", "w1") == b"f|c|w1"
    assert key("f", "c", "w1") != key("f", "c", "w2")


def test_a_record_is_read_as_it_was_written():
    """Plans with their alerts survive the wire."""
    written = record(3, 1, [2, 3])
    assert read(msgspec.json.encode(written)) == written


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"seq": "1"}', b"\xff", b"[" * 100_000])
def test_a_damaged_record_is_told_as_such(value):
    """Anything else is `schema_invalid`, never another error."""
    with pytest.raises(DataError) as refused:
        read(value)
    assert refused.value.reason == Reason.SCHEMA_INVALID
