"""Embeddings that begin when a reference that moves along has been learnt: it learns them."""

import msgspec
import numpy as np
import pytest

from inferwatch.core import directions, snapshot
from inferwatch.core.embeddings import DISTANCE, MISSING
from inferwatch.core.fold import Partition
from inferwatch.core.reference import embedding_profile
from inferwatch.records.definition import Definition, ModelFacts, Reference, Window
from inferwatch.records.events import ReferenceChange
from inferwatch.testing.folding import Log, placeless

HOUR = 3_600_000
DAY = 24 * HOUR
DIM, A_DAY = 6, 480
LATER = 240  # rows of the first day in windows behind the one in which the reference was learnt
WINDOW = Window(name="hours", size_ms=6 * HOUR, grace_ms=0)


def log_of(min_rows=200):
    """Four windows a day; the reference of seven days moves each night."""
    reference = Reference(min_rows=min_rows, last_ms=7 * DAY)
    return Log(Definition(model=ModelFacts(task="binary"), reference=reference, windows=[WINDOW]))


def vectors_of(day, n=A_DAY):
    """The vectors of a day; every tenth row has none."""
    found = np.random.default_rng(day).normal(1.0, 2.0, (n, DIM)).astype(np.float32)
    found[::10] = np.nan
    return found


def feed(log, day, *, begins=0, step=48, vectors=True):
    """A day in batches of `step` rows; those from row `begins` on have vectors."""
    draw = np.random.default_rng(1_000 + day)
    values, rows = draw.normal(0.1 * day, 1.0, A_DAY), vectors_of(day)
    first = 0
    while first < A_DAY:
        end = min(first + step, A_DAY if first >= begins or not vectors else max(begins, first + 1))
        sent = vectors and first >= begins
        log.rows(
            end - first,
            [day * DAY + row * (DAY // A_DAY) for row in range(first, end)],
            numeric={"a": values[first:end].tolist()},
            prediction=["u"] * (end - first),
            embedding=rows[first:end].tolist() if sent else None,
        )
        first = end


def profile_of(log):
    """The reference."""
    return log.partition.models["team/model"].state.learnt["1"].profile


def described(rows):
    """Those vectors as a reference has them."""
    stored = directions.make(DIM)
    return embedding_profile(DIM, stored, directions.along(directions.read(stored, DIM), rows).lie)


def test_it_learns_them_with_its_next_move():
    """From then on windows are compared with every second row since they began: 599 are more than
    twice as many as are asked for.
    """
    log = log_of()
    feed(log, 0, vectors=False)
    feed(log, 1)
    assert profile_of(log).embedding is None
    feed(log, 2)
    found = profile_of(log)
    first_window = vectors_of(2)[: A_DAY // 4]
    assert found.rows == LATER + A_DAY
    since = np.concatenate([vectors_of(1), first_window])[1:]  # the first row has none
    assert found.embedding == described(since[::2])
    before, after = log.windows()[:9], log.windows()[10:]  # one was open
    assert {window.unknown.get(DISTANCE) for window in before[4:]} == {"not in the reference"}
    assert all(
        window.metrics[DISTANCE] < 0.3 and window.metrics[MISSING] == 0.1 for window in after
    )
    assert after


def test_the_window_that_is_open_then_has_all_its_other_figures():
    """Of it embeddings alone are unknown, and the days before stay part of later references."""
    log = log_of()
    for day in range(5):
        feed(log, day, vectors=day > 0)
    log.tick(6 * DAY)
    windows = log.windows()
    assert all("drift" not in window.unknown for window in windows[2:])
    assert all(window.features["a"].psi is not None for window in windows[2:])
    unknown = [at for at, window in enumerate(windows) if DISTANCE in window.unknown]
    assert unknown == [4, 5, 6, 7, 8, 9]
    assert windows[9].unknown[DISTANCE] == "learning"
    assert windows[-1].reference.held_ms is None
    assert profile_of(log).rows == LATER + 3 * A_DAY


def test_too_few_wait_for_a_later_move():
    """Vectors that begin in the evening are fewer than are asked for."""
    log = log_of(min_rows=400)
    feed(log, 0, vectors=False)
    feed(log, 1, begins=240)
    feed(log, 2)
    assert profile_of(log).embedding is None
    feed(log, 3)
    assert profile_of(log).embedding is not None


def test_at_most_twice_as_many_rows_are_kept():
    """Of more every second one, from the first vector on."""
    log = log_of()
    feed(log, 0, vectors=False)
    feed(log, 1, begins=7)
    vectors = log.partition.models["team/model"].state.learnt["1"].vectors
    kept = np.concatenate(vectors.along, axis=1)
    assert (vectors.rows, vectors.given, vectors.shift) == (A_DAY - 7, 426, 1)
    lie = directions.along(directions.read(directions.make(DIM), DIM), vectors_of(1)).lie
    assert np.array_equal(kept, lie[:, 7 :: 1 << vectors.shift], equal_nan=True)


@pytest.mark.parametrize("step", [1, 7, 480])
def test_neither_batches_nor_restarts_show(step):
    """The same outputs, and a reference of the same rows, for any batches and after a restart."""
    logs = log_of(), log_of()
    for log, size in zip(logs, (48, step), strict=True):
        for day in range(4):
            feed(log, day, begins=100 if day == 1 else 0, step=size, vectors=day > 0)
            if log is logs[1]:
                pieces = snapshot.cut(log.partition.models["team/model"])
                log.partition = Partition(0)
                assert snapshot.cut(log.partition.restore(pieces)) == pieces
    first, second = (
        [placeless(msgspec.to_builtins(one)) for one in (*log.windows(), *log.schemas())]
        for log in logs
    )
    assert first == second and profile_of(logs[0]) == profile_of(logs[1])


def test_columns_that_came_are_told_once():
    """That the reference has learnt them is no change of what is sent."""
    log = log_of()
    for day in range(4):
        feed(log, day, vectors=day > 0)
    log.tick(5 * DAY)
    found = [(one.column, one.change) for record in log.schemas() for one in record.changes]
    assert found == [("embedding", "new")]


def test_what_an_operator_accepted_stays_without():
    """An accepted reference moves no more, and keeps nothing for a move."""
    log = log_of()
    feed(log, 0, vectors=False)
    feed(log, 1)
    change = ReferenceChange(
        model="team/model", action="accept", version="1", author="ops", time_ms=log.start_ms
    )
    log.event(change, 2 * DAY)
    feed(log, 2)
    feed(log, 3)
    assert profile_of(log).embedding is None
    assert log.partition.models["team/model"].state.learnt["1"].vectors is None
