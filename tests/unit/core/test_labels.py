"""Predictions and labels meet by id, in either order, once, and within bounds."""

import copy
from itertools import pairwise
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import columns, labels, pending
from inferwatch.core.labels import Join
from inferwatch.core.pending import NONE_MS, SLAB_ROWS, Pending
from inferwatch.core.sample import hashes, kept
from inferwatch.core.watermark import UNSET
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.records.ids import pack
from inferwatch.testing.builders import TIME_MS, raw_inference
from inferwatch.testing.folding import Log, window_records

FACTS = ModelFacts(task="binary", segments=["country"])
HOUR = 3_600_000


def block_of(ids, *, version="1", time_ms=TIME_MS, first_row=0):
    """Rows of one version, predicted 1."""
    n = len(ids)
    rows = decode(
        raw_inference(n=n, ids=ids, version=version, time_ms=[time_ms] * n, prediction=[1.0] * n)
    ).record
    times = rows.time_ms
    return columns.align(
        columns.Columns(), FACTS, rows, times, times, first_row, np.zeros(rows.n, np.int64)
    )


def predict(join, ids, **options):
    """Add predictions; the rows that a label was waiting for."""
    block = block_of(ids, **options)
    late, oldest_ms = np.zeros(len(ids), np.uint16), np.full(len(ids), UNSET)
    return join.predict(block, late, oldest_ms, values=False)[0]


def label(join, ids, code=0, *, version=None, at_ms=TIME_MS, now_ms=TIME_MS, oldest_ms=UNSET):
    """One batch of labels of one class; what to take back and to add."""
    n = len(ids)
    codes, truth = np.full(n, code, np.int32), np.full(n, np.nan)
    times = np.full(n, at_ms, np.int64)
    return join.label(pack(ids), version, codes, truth, times, np.full(n, now_ms), oldest_ms)


def indexed(join):
    """The slot of each id that a version has."""
    ids = {version: [] for version in join.index}
    for slab in join.state.slabs.values():
        ids[slab.version].append(hashes(slab.ids))
    return {name: join.index[name].get(np.concatenate(some)).tolist() for name, some in ids.items()}


def told(joined):
    """(version, sign, row, label) of each joined row."""
    return [
        (part.version, part.sign, row, code)
        for part in joined
        for row, code in zip(part.row.tolist(), part.label.tolist(), strict=True)
    ]


def test_a_label_meets_its_prediction():
    """By id, and with the prediction's own row number."""
    join = Join(Pending())
    predict(join, ["a", "b", "c"])
    assert told(label(join, ["c", "a"], 1)) == [("1", 1, 2, 1), ("1", 1, 0, 1)]


def test_a_label_before_its_prediction_waits_for_it():
    """Early labels are held; the last word by the label's own time counts."""
    join = Join(Pending())
    assert label(join, ["a"], 1, at_ms=TIME_MS + 5) == []
    assert label(join, ["a"], 0, at_ms=TIME_MS + 1) == []
    assert told(predict(join, ["b", "a"])) == [("1", 1, 1, 1)]
    assert join.state.early == {}


def test_early_labels_of_two_versions_wait_for_each_its_own_answer():
    """As when shadow traffic is labelled at once: neither replaces the other."""
    join = Join(Pending())
    label(join, ["a"], 1, version="1")
    label(join, ["a"], 0, version="2")
    assert told(predict(join, ["a"], version="1")) == [("1", 1, 0, 1)]
    assert told(predict(join, ["a"], version="2")) == [("2", 1, 0, 0)]


def test_a_repeat_changes_nothing():
    """The same label twice is counted, and contributes once."""
    join = Join(Pending())
    predict(join, ["a"])
    label(join, ["a"], 1)
    assert label(join, ["a"], 1) == []
    assert join.state.repeated == 1


def test_a_correction_takes_the_old_label_back_and_adds_the_new_one():
    """Exactly the old contribution, so that counts come out as if it had never been."""
    join = Join(Pending())
    predict(join, ["a"])
    label(join, ["a"], 1)
    assert told(label(join, ["a"], 0, at_ms=TIME_MS + 1)) == [("1", -1, 0, 1), ("1", 1, 0, 0)]
    assert join.state.conflicts == 1


def test_an_older_label_corrects_nothing():
    """The last by (event time, offset) rules: an older one that comes later is only counted."""
    join = Join(Pending())
    predict(join, ["a"])
    label(join, ["a"], 1, at_ms=TIME_MS + 10)
    assert label(join, ["a"], 0, at_ms=TIME_MS + 9) == []
    assert told(label(join, ["a"], 0, at_ms=TIME_MS + 10)) == [("1", -1, 0, 1), ("1", 1, 0, 0)]
    assert join.state.conflicts == 2


def test_a_repeat_with_a_later_time_is_the_last_word():
    """A at 1, A again at 3, B at 2: the answer is A."""
    join = Join(Pending())
    predict(join, ["a"])
    label(join, ["a"], 1, at_ms=TIME_MS + 1)
    label(join, ["a"], 1, at_ms=TIME_MS + 3)
    assert label(join, ["a"], 0, at_ms=TIME_MS + 2) == []


def test_several_corrections_in_one_batch_end_in_the_last():
    """Within a batch of labels too the later time rules, and what was not yet told is not taken
    back.
    """
    join = Join(Pending())
    predict(join, ["a"])
    found = join.label(
        pack(["a", "a", "a"]),
        None,
        np.array([0, 1, 2], np.int32),
        np.full(3, np.nan),
        np.array([5, 9, 7], np.int64) + TIME_MS,
        np.full(3, TIME_MS),
        UNSET,
    )
    assert told(found) == [("1", 1, 0, 1)]


def test_a_label_with_a_version_labels_that_version_only():
    """Without one it labels the prediction of every version that has it: shadow traffic."""
    join = Join(Pending())
    predict(join, ["a"], version="1")
    predict(join, ["a"], version="2")
    assert told(label(join, ["a"], 1, version="2")) == [("2", 1, 0, 1)]
    assert told(label(join, ["a"], 0, at_ms=TIME_MS + 1)) == [
        ("2", -1, 0, 1),
        ("1", 1, 0, 0),
        ("2", 1, 0, 0),
    ]


def test_a_label_without_a_version_is_for_answers_that_have_come():
    """A shadow that answers behind the label has none until one names its version.

    So it is where the label came before both: the first answer takes it.
    """
    for before in (True, False):
        join = Join(Pending())
        if before:
            predict(join, ["a"], version="1")
            assert told(label(join, ["a"], 1)) == [("1", 1, 0, 1)]
        else:
            assert label(join, ["a"], 1) == []
            assert told(predict(join, ["a"], version="1")) == [("1", 1, 0, 1)]
        assert predict(join, ["a"], version="2") == []
        assert told(label(join, ["a"], 1, version="2")) == [("2", 1, 0, 1)]


def test_an_early_label_with_a_version_waits_for_that_version():
    """Another version's prediction of the same id leaves it waiting."""
    join = Join(Pending())
    label(join, ["a"], 1, version="2")
    assert predict(join, ["a"], version="1") == []
    assert told(predict(join, ["a"], version="2")) == [("2", 1, 0, 1)]


def test_an_id_that_is_used_again_is_counted_and_the_newer_prediction_is_meant():
    """After a restart of the server ids may come again: the label goes to the last one."""
    join = Join(Pending())
    predict(join, ["a"])
    predict(join, ["a"], first_row=1)
    assert join.state.collisions == 1
    assert told(label(join, ["a"], 1)) == [("1", 1, 1, 1)]


def test_what_is_past_the_horizon_takes_no_label_and_no_memory():
    """A label for an expired prediction is too late, or an orphan; bytes come back to nothing."""
    join = Join(Pending())
    predict(join, ["old"], time_ms=TIME_MS)
    predict(join, ["new"], time_ms=TIME_MS + HOUR)
    assert label(join, ["old"], 1, oldest_ms=TIME_MS + 1) == []
    assert join.state.too_late == 1
    join.expire(TIME_MS + HOUR + 1)
    assert (join.state.bytes, join.state.slabs, join.known) == (0, {}, {})
    assert label(join, ["new"], 1, now_ms=TIME_MS + HOUR) == []
    join.expire(TIME_MS + HOUR + 2)
    assert (join.state.orphans, join.state.early) == (1, {})


def test_an_early_label_is_dropped_and_counted_at_the_horizon_and_not_before():
    """Held for the horizon after it came, by the watermark: 1 s to 3 d before its prediction."""
    join = Join(Pending())
    label(join, ["a"], 1, now_ms=TIME_MS)
    join.expire(TIME_MS)
    assert "a" in join.state.early
    join.expire(TIME_MS + 1)
    assert (join.state.orphans, join.state.early) == (1, {})


def test_a_label_before_the_models_first_row_is_held_too():
    """Without a watermark its own time says how long it may wait."""
    log = Log(Definition(model=FACTS, windows=[Window(name="batch", rows=2)]))
    log.labels(["0", "1"], [1.0, 0.0], record_ms=1_000)
    log.rows(1, 5_000, prediction=[1.0])
    (record,) = window_records(log.rows(1, 6_000, prediction=[1.0]))
    assert (record.labels, record.metrics["accuracy"]) == (2, 0.5)


names = st.sampled_from("abc")
early_labels = st.tuples(names, st.sampled_from([None, "1", "2"]), st.integers(0, 4))


@given(
    st.lists(names, min_size=1, max_size=12),
    st.lists(early_labels, max_size=9),
    st.sets(st.integers(1, 11)),
)
def test_a_waiting_label_is_taken_by_the_first_row_in_whatever_batches(ids, waiting, cuts):
    """An id may come several times, in one batch or in many: the rows and labels that meet are the
    same, and so are the labels that wait on.
    """
    bounds = [0, *sorted(cut for cut in cuts if cut < len(ids)), len(ids)]
    one, other = Join(Pending()), Join(Pending())
    for join in (one, other):
        for number, (name, version, at_ms) in enumerate(waiting):
            label(join, [name], number % 3, version=version, at_ms=TIME_MS + at_ms)
    whole, parts = told(predict(one, ids)), []
    for first, end in pairwise(bounds):
        parts += told(predict(other, ids[first:end], first_row=first))
    assert parts == whole
    assert {row for _, _, row, _ in whole} <= {ids.index(name) for name in ids}
    assert repr(one.state.early) == repr(other.state.early)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_horizon_is_asked_at_each_row_of_a_batch(size):
    """A row that takes a waiting label past the horizon takes it from those behind it in its batch
    too; and a row that is itself past it takes none, whichever came first.
    """
    facts = msgspec.structs.replace(FACTS, label_horizon_ms=HOUR)
    log = Log(Definition(model=facts, windows=[Window(name="batch", rows=100)]))
    log.rows(1, 0, ids=["first"])
    log.labels(["a", "b", "c"], [1.0] * 3, record_ms=0)
    ids, times = ["b", "ahead", "a"], [1, HOUR + 1, HOUR + 1]
    for at in range(0, 3, size):
        log.rows(len(ids[at : at + size]), times[at : at + size], 2 * HOUR, ids=ids[at : at + size])
    state = log.partition.models[log.model].state.pending
    assert [slot for slot, *_ in state.answered] == [1]
    assert (state.orphans, state.early) == (2, {})
    log.labels(["old"], [1.0], record_ms=2 * HOUR)
    log.rows(1, 0, 2 * HOUR, ids=["old"])
    assert (len(state.answered), state.too_late) == (1, 1)


def test_a_label_of_a_far_time_keeps_none_behind_it_from_going():
    """Before the first row: a fast clock's label waits as if it had been of its record's time."""
    facts = msgspec.structs.replace(FACTS, label_horizon_ms=HOUR)
    log = Log(Definition(model=facts, windows=[Window(name="batch", rows=100)]))
    log.labels(["far", "near"], [1.0] * 2, record_ms=0, time_ms=[900 * HOUR, 0])
    log.rows(1, HOUR, ids=["a"])
    pending_ = log.partition.models[log.model].state.pending
    assert (list(pending_.early), pending_.orphans) == (["far", "near"], 0)
    log.rows(1, HOUR + 1, ids=["b"])
    assert (list(pending_.early), pending_.orphans) == ([], 2)


@pytest.mark.parametrize(
    ("task", "prediction", "truth", "metric", "expected"),
    [
        ("unknown", [3.0, 5.0], [4.0, 7.0], "mae", 1.5),
        ("regression", [3.0, 5.0], [4.0, 7.0], "mae", 1.5),
        ("multiclass", ["a", "b"], ["a", "a"], "accuracy", 0.5),
        ("unknown", ["a", "b"], ["a", "a"], "accuracy", 0.5),
    ],
)
def test_a_first_label_is_read_by_the_models_task(task, prediction, truth, metric, expected):
    """Also where no row has come yet, and where no file names the task."""
    definition = Definition(model=ModelFacts(task=task), windows=[Window(name="batch", rows=2)])
    log = Log(definition)
    log.labels(["0", "1"], truth, record_ms=1_000)
    (record,) = window_records(log.rows(2, 5_000, prediction=prediction))
    assert record.metrics[metric] == pytest.approx(expected)


def test_full_pieces_never_change_again():
    """Slabs and answers that are full stay as they are, byte for byte, while more comes."""
    join, encode = Join(Pending()), msgspec.msgpack.Encoder(enc_hook=lambda a: a.tobytes()).encode
    ids = [f"a{row}" for row in range(SLAB_ROWS)]
    predict(join, ids[: SLAB_ROWS - 9])
    predict(join, ids[SLAB_ROWS - 9 :])
    label(join, ids, 1)
    before = encode([join.state.slabs[0], join.state.answers[0]])
    predict(join, ["b"], first_row=SLAB_ROWS)
    label(join, [*ids, "b"], 0, at_ms=TIME_MS + 1)
    assert encode([join.state.slabs[0], join.state.answers[0]]) == before
    assert list(join.state.slabs) == [0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_not_stored_follows_from_the_state(seed, monkeypatch):
    """After any history, a join made from the state knows the same ids, labels and times."""
    for module in (labels, pending):
        monkeypatch.setattr(module, "SLAB_ROWS", 7)
    draw, join, row = Random(seed), Join(Pending()), 0
    for step in range(60):
        kind, now = draw.random(), TIME_MS + step * 1_000
        ids = [f"i{draw.randrange(80)}" for _ in range(draw.randint(1, 5))]
        if kind < 0.5:
            predict(join, ids, version=draw.choice("12"), time_ms=now, first_row=row)
            row += len(ids)
        elif kind < 0.9:
            named = draw.choice([None, "1", "2"])
            label(
                join,
                ids,
                draw.randrange(2),
                version=named,
                at_ms=now + draw.randrange(9),
                now_ms=now,
            )
        else:
            join.expire(now - 20_000)
    if seed % 2:
        join.shrink(join.state.bytes // 2)
    again = Join(join.state)
    assert indexed(again) == indexed(join)
    assert again.known.keys() == join.known.keys()
    for key, known in join.known.items():
        for field in ("label", "at_ms", "truth"):
            np.testing.assert_array_equal(
                getattr(again.known[key], field), getattr(known, field), strict=True
            )
    sizes = sum(pending.slab_bytes(slab) for slab in join.state.slabs.values())
    answers = sum(len(piece.slot) for piece in join.state.answers.values())
    answers += len(join.state.answered)
    assert join.state.bytes == sizes + answers * pending.ANSWER_BYTES
    ids = [f"i{number}" for number in range(80)]
    again = Join(copy.deepcopy(join.state))
    for most_bytes in (1 << 20, join.state.bytes // 4):
        assert told(label(again, ids, 7)) == told(label(join, ids, 7))
        found, expected = again.shrink(most_bytes), join.shrink(most_bytes)
        assert [told(pair) for pair in found] == [told(pair) for pair in expected]


def test_above_the_memory_cap_one_hash_sample_serves_both_sides():
    """Half of the ids, then a quarter: those whose hash begins with zeros, on both sides."""
    join = Join(Pending())
    ids = [f"id{row}" for row in range(4_000)]
    predict(join, ids)
    label(join, ids[:2_000], 1)
    left = join.shrink(join.state.bytes // 3)
    assert join.sampled() == 0.25
    mine = kept(hashes(pack(ids)), 2)
    held = [id_ for slab in join.state.slabs.values() for id_ in slab.ids]
    assert held == [id_ for id_, keeps in zip(ids, mine, strict=True) if keeps]
    assert 850 < mine.sum() < 1_150
    gone, labelled = (sum(len(part.row) for part in parts) for parts in zip(*left, strict=True))
    assert gone == 4_000 - mine.sum()
    assert labelled == 2_000 - mine[:2_000].sum()
    assert sum((known.at_ms != NONE_MS).sum() for known in join.known.values()) == 2_000 - labelled
    outside = ids[2_000 + int(np.argmin(mine[2_000:]))]
    assert label(join, [outside], 1) == []
    assert outside not in join.state.early
    others = [f"x{row}" for row in range(50)]
    assert join.sample(block_of(others)).tolist() == kept(hashes(pack(others)), 2).tolist()


def test_a_sampled_window_says_so_and_keeps_its_coverage_right():
    """`sampled` travels in the window; coverage and labels are those of the sample."""
    below = Limit(direction="below", value=0.1, clear=0.1)
    log = Log(
        Definition(
            model=ModelFacts(task="binary", pending_max_bytes=40_000),
            windows=[Window(name="fast", size_ms=60_000, grace_ms=0)],
            checks=[Check(alert="Low", metric="accuracy", window="fast", fail=below)],
        )
    )
    ids = [f"id{row}" for row in range(2_000)]
    for at in range(0, 2_000, 500):
        log.rows(500, 1_000 + at, ids=ids[at : at + 500], prediction=[1.0] * 500)
    log.labels(ids, [float(row % 4 > 0) for row in range(2_000)], record_ms=10_000)
    log.tick(100_000)
    (record,) = log.windows("fast")
    model = log.partition.models["team/model"]
    mine = np.flatnonzero(kept(hashes(pack(ids)), model.state.pending.shift)).tolist()
    assert record.sampled == model.join.sampled() == 0.25
    assert (record.rows, record.labels, record.coverage) == (2_000, len(mine), 1.0)
    accuracy = sum(row % 4 > 0 for row in mine) / len(mine)
    assert record.metrics["accuracy"] == pytest.approx(accuracy)
    assert record.metrics["sampled"] == 0.25


def capped_log(*, min_rows=100):
    """A model whose sample soon shrinks; its reference is its first `min_rows` rows."""
    below = Limit(direction="below", value=0.1, clear=0.1)
    return Log(
        Definition(
            model=ModelFacts(task="binary", pending_max_bytes=40_000),
            reference=Reference(min_rows=min_rows),
            windows=[Window(name="fast", size_ms=60_000, grace_ms=0)],
            checks=[Check(alert="Low", metric="accuracy", window="fast", fail=below)],
        )
    )


def test_the_learning_span_loses_the_rows_that_leave_the_sample():
    """Its coverage is of the rows that may still be labelled, as that of any window."""
    log = capped_log(min_rows=1_500)
    ids = [f"id{row}" for row in range(2_000)]
    for at in range(0, 2_000, 500):
        log.rows(500, 1_000 + at, ids=ids[at : at + 500], prediction=[1.0] * 500)
    log.labels(ids, [1.0] * 2_000, record_ms=10_000)
    state = log.partition.models["team/model"].state
    assert state.pending.shift
    mine = kept(hashes(pack(ids)), state.pending.shift)[:1_500].sum()
    (cells,) = state.first["1"].labels.values()
    assert (cells[""].predicted, cells[""].labelled) == (mine, mine)


def test_rows_of_an_id_that_came_again_leave_the_sample_too():
    """Each was counted as one that may be labelled, and so is each that leaves; the older ones'
    labels go with them.
    """
    log = capped_log()
    ids = [f"id{row}" for row in range(500)]
    log.rows(500, 1_000, ids=ids, prediction=[1.0] * 500)
    log.labels(ids, [1.0] * 500, record_ms=1_500)
    for at in range(2_000, 5_000, 1_000):
        log.rows(500, at, ids=ids, prediction=[1.0] * 500)
    state = log.partition.models["team/model"].state
    assert state.pending.shift
    mine = kept(hashes(pack(ids)), state.pending.shift).sum()
    (cells,) = state.tracks["fast"]["1"].labels.values()
    assert (cells[""].predicted, cells[""].labelled) == (4 * mine, mine)


def test_a_version_of_few_rows_keeps_no_other_from_expiring():
    """Its open slab never fills; what came behind it goes at its own time all the same."""
    join = Join(Pending())
    for hour in range(10):
        now_ms = TIME_MS + hour * HOUR
        predict(join, [f"slow{hour}"], version="slow", time_ms=now_ms)
        predict(join, [f"{hour}-{row}" for row in range(SLAB_ROWS)], version="1", time_ms=now_ms)
        join.expire(now_ms - 2 * HOUR)
    oldest_ms = min(int(slab.time_ms.min()) for slab in join.state.slabs.values())
    assert oldest_ms >= now_ms - 5 * HOUR


def test_a_version_whose_rows_are_all_gone_is_looked_up_no_more():
    """Each batch of labels asks every version that has an index."""
    join = Join(Pending())
    predict(join, ["a"], version="1")
    predict(join, ["b"], version="2", time_ms=TIME_MS + HOUR)
    join.expire(TIME_MS + 1)
    assert list(join.index) == ["2"]
