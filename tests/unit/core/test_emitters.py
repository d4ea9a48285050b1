"""Repeats by emitter and sequence number, exact in memory that grows with emitters only."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from inferwatch.core import emitters
from inferwatch.core.emitters import EMITTERS_MAX, HOLES_MAX
from inferwatch.records.decode import decode
from inferwatch.testing.builders import raw_inference


@settings(max_examples=60)
@given(st.permutations(range(30)), st.lists(st.integers(0, 29), max_size=40), st.randoms())
def test_each_number_counts_once_in_any_order(order, repeats, draw):
    """Shuffled and repeated batches: each number is new exactly once, whichever came first."""
    state, seen, sent = {}, set(), [*order, *repeats]
    draw.shuffle(sent)
    for seq in sent:
        assert emitters.accept(state, "a", seq) == (seq not in seen)
        seen.add(seq)
    assert state["a"].holes == [] and state["a"].next_seq == 30


def test_emitters_know_nothing_of_each_other():
    """The same number from another process is another batch."""
    state = {}
    assert emitters.accept(state, "a", 3)
    assert emitters.accept(state, "b", 3)


def test_a_sender_without_a_name_is_never_deduplicated():
    """Single events carry no number; each one counts."""
    state = {}
    assert all(emitters.accept(state, "", -1) for _ in range(3))
    assert state == {}


def test_memory_is_bounded_by_emitters_and_holes():
    """The oldest holes close and the least recent emitters leave; a dictionary cannot grow."""
    state, draw = {}, Random(1)
    for number in range(EMITTERS_MAX + 50):
        emitters.accept(state, f"e{number}", 0)
    assert len(state) == EMITTERS_MAX
    assert "e0" not in state and f"e{EMITTERS_MAX + 49}" in state
    state = {}
    for seq in sorted(draw.sample(range(10_000), 2_000)):
        emitters.accept(state, "a", seq)
    assert len(state["a"].holes) <= HOLES_MAX


def test_an_emitter_that_speaks_stays():
    """What leaves is the one that was silent longest."""
    state = {}
    emitters.accept(state, "old", 0)
    for number in range(EMITTERS_MAX - 1):
        emitters.accept(state, f"e{number}", 0)
    emitters.accept(state, "old", 1)
    emitters.accept(state, "new", 0)
    assert "old" in state and "e0" not in state


def moved(offsets, emitter):
    """Rows that stood at these offsets of another topic."""
    return structs.replace(
        decode(raw_inference(n=len(offsets))).record,
        emitter=emitter,
        source_offsets=np.array(offsets),
    )


def test_processes_never_push_out_what_is_known_of_a_source():
    """More processes than the cap, some that carry offsets, between two readings of one source:
    its rows are still repeats. Of the sources beyond their own cap the most silent leaves.
    """
    state, sources = {}, {}
    rows = moved([3, 4, 5], "orders/0")
    assert emitters.fresh(state, sources, rows) is rows
    for number in range(EMITTERS_MAX + 50):
        emitters.accept(state, f"e{number}", 0)
    for number in range(EMITTERS_MAX - 1):
        emitters.fresh(state, sources, moved([0], f"topic/{number}"))
    assert emitters.repeated(sources, rows) == 3
    assert emitters.fresh(state, sources, rows) is None
    assert (len(state), len(sources)) == (EMITTERS_MAX, EMITTERS_MAX)
    emitters.fresh(state, sources, moved([0], "one/more"))
    assert len(sources) == EMITTERS_MAX
    assert emitters.repeated(sources, moved([0], "topic/0")) == 0
    assert emitters.repeated(sources, rows) == 3


def test_counters_are_told_as_what_came_since():
    """Emitted and dropped are the sender's own running totals; an older total adds nothing."""
    state = {}
    emitters.accept(state, "a", 0)
    assert emitters.account(state, "a", 100, 5) == (100, 5)
    assert emitters.account(state, "a", 80, 2) == (0, 0)
    assert emitters.account(state, "a", 130, 5) == (30, 0)
    assert emitters.account(state, "unknown", 10, 1) == (0, 0)
