"""The buffer keeps the law `emitted = delivered + dropped + pending`, its bounds and its order."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.sdk import buffer as module
from inferwatch.sdk.buffer import BATCH_ROWS_MAX, Buffer, Drop

ANSWERS = ("inference", "12")
LABELS = ("label", None)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 300), st.sampled_from([ANSWERS, LABELS])),
        st.tuples(st.just("refuse"), st.integers(1, 5)),
        st.tuples(st.just("deploy")),
        st.tuples(st.just("seal")),
        st.tuples(st.just("take"), st.sampled_from([None, Drop.NOT_DELIVERED, Drop.TOO_LARGE])),
        st.tuples(st.just("close")),
    )
)


@given(steps)
def test_every_row_is_delivered_dropped_or_pending_after_every_step(sequence):
    """Whatever is put, refused, taken, lost and closed in whatever order, no row is unaccounted."""
    buffer, handed_in, settled = Buffer(1_000, 10_000), 0, 0
    for step, *arguments in sequence:
        if step == "put":
            rows, lane = arguments
            buffer.put(lane, "item", rows, rows * 5)
            handed_in += rows
        elif step == "refuse":
            buffer.refuse(Drop.BAD_ROW, arguments[0])
            handed_in += arguments[0]
        elif step == "deploy":
            buffer.put_between(("deploy", "13"), "deploy")
        elif step == "take" and (taken := buffer.take()) is not None:
            buffer.settle(taken.chunk.rows, arguments[0])
            settled += taken.chunk.rows
        elif step in ("seal", "close"):
            getattr(buffer, step)()
        counters = buffer.counters()
        dropped = sum(counters.dropped.values())
        assert counters.emitted == handed_in
        assert counters.emitted == counters.delivered + dropped + counters.pending
        assert 0 <= counters.pending <= 1_000


@given(st.lists(st.integers(1, BATCH_ROWS_MAX), max_size=40))
def test_batches_are_full_but_never_overfull_and_keep_the_order(sizes):
    """No batch has more than 500 rows, two neighbours never fit into one, order is as put."""
    buffer = Buffer(1_000_000, 1 << 30)
    for position, rows in enumerate(sizes):
        buffer.put(ANSWERS, position, rows, rows)
    buffer.seal()
    chunks = []
    while (taken := buffer.take()) is not None:
        chunks.append(taken.chunk)
    assert [item for chunk in chunks for item in chunk.items] == list(range(len(sizes)))
    assert all(chunk.rows <= BATCH_ROWS_MAX for chunk in chunks)
    for earlier, later in itertools.pairwise(chunks):
        assert earlier.rows + sizes[later.items[0]] > BATCH_ROWS_MAX


def test_a_full_buffer_keeps_what_it_has_and_refuses_what_comes():
    """Rows or bytes over the bound are dropped as `queue_full`; earlier ones are not evicted."""
    by_rows, by_bytes = Buffer(3, 1_000), Buffer(1_000, 30)
    for buffer in (by_rows, by_bytes):
        answers = [buffer.put(ANSWERS, n, 1, 10)[0] for n in range(5)]
        assert answers == [None] * 3 + [Drop.QUEUE_FULL] * 2
        buffer.seal()
        assert buffer.take().chunk.items == [0, 1, 2]
        assert buffer.put(ANSWERS, 5, 1, 10)[0] is None


def test_a_young_batch_waits_and_an_old_one_goes(monkeypatch):
    """A part-filled batch is due when its first row is old enough, not before."""
    buffer = Buffer(1_000, 1_000)
    buffer.put(ANSWERS, "row", 1, 1)
    monkeypatch.setattr(module, "BATCH_AGE_MAX_S", 3_600)
    assert buffer.take() is None
    monkeypatch.setattr(module, "BATCH_AGE_MAX_S", 0)
    assert buffer.take().chunk.items == ["row"]


def test_a_deploy_stands_between_the_rows_before_and_after_it():
    """Rows of the old version leave before the deploy, rows of the new one after it."""
    buffer = Buffer(1_000, 1_000)
    buffer.put(ANSWERS, "old", 1, 1)
    buffer.put_between(("deploy", "13"), "deploy")
    buffer.put(("inference", "13"), "new", 1, 1)
    buffer.seal()
    assert [buffer.take().chunk.items for _ in range(3)] == [["old"], ["deploy"], ["new"]]


def test_counters_of_a_batch_stop_at_its_last_row():
    """`emitted` in a taken chunk excludes rows that still wait behind it."""
    buffer = Buffer(1_000, 100_000)
    for position in range(750):
        buffer.put(ANSWERS, position, 1, 1)
    buffer.seal()
    assert [buffer.take().emitted for _ in range(2)] == [500, 750]


def test_waiting_ends_at_the_deadline_while_rows_are_pending():
    """`wait` answers False in time for a row that nobody settles, True once it is settled."""
    buffer = Buffer(10, 100)
    assert buffer.wait(0)
    buffer.put(ANSWERS, "row", 1, 1)
    assert not buffer.wait(0.01)
    buffer.settle(1)
    assert buffer.wait(0)


@pytest.mark.parametrize("reason", list(Drop))
def test_reasons_are_counted_under_their_own_name(reason):
    """Each reason of the closed list has its own counter."""
    buffer = Buffer(10, 100)
    buffer.refuse(reason, 2)
    assert buffer.counters().dropped == {str(reason): 2}


def test_waiting_is_for_a_deploy_too():
    """A process that only tells of a deploy ends by `wait`: unsent, the deploy was lost with it."""
    buffer = Buffer(10, 100)
    assert buffer.put_between(("deploy", "13"), "deploy")
    assert not buffer.wait(0)
    assert buffer.take() is not None and not buffer.wait(0)
    buffer.settle_between()
    assert buffer.wait(0)


def test_a_closed_buffer_takes_no_deploy():
    """Nobody would send it, and whoever waits would wait for it."""
    buffer = Buffer(10, 100)
    buffer.close()
    assert not buffer.put_between(("deploy", "13"), "deploy")
    assert buffer.wait(0)
