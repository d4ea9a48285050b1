"""A step of the fold: what a batch, a label, a sample do to the windows that hold them."""

import math
from random import Random

import pytest
from sklearn import metrics

from inferwatch.core import engine
from inferwatch.core.model import DEPLOYS_MAX
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.events import Deploy, Resource
from inferwatch.testing.folding import Log, window_records

MINUTE = 60_000
MODEL = "team/model"
FAST = Window(name="fast", size_ms=MINUTE, grace_ms=0)
SLOW = Window(name="slow", size_ms=3 * MINUTE, step_ms=MINUTE, grace_ms=0)


def log_of(*windows, facts=None, checks=(), min_rows=5_000):
    """A binary model in countries."""
    model = ModelFacts(**{"task": "binary", "segments": ["country"]} | (facts or {}))
    return Log(
        Definition(
            model=model,
            reference=Reference(min_rows=min_rows),
            windows=list(windows or [FAST]),
            checks=list(checks),
        )
    )


def reads_labels(window, metric="accuracy"):
    """A check that makes a window keep its labels."""
    low = Limit(direction="below", value=0.0, clear=0.0)
    return Check(alert=window, metric=metric, window=window, warn=low, need=Need(coverage=0.1))


def test_a_repeated_batch_changes_nothing():
    """Neither rows, nor windows, nor the watermark."""
    log = log_of()
    log.rows(2, 10_000, emitter="e", seq=0, ids=["a", "b"])
    model = log.partition.models[MODEL]
    rows, before = dict(model.state.rows), model.state.watermark.now_ms()
    log.rows(2, 50_000, emitter="e", seq=0, ids=["a", "b"])
    assert (model.state.rows, model.state.watermark.now_ms()) == (rows, before)
    log.tick(5 * MINUTE)
    assert [w.rows for w in log.windows()] == [2]


def test_what_a_sender_dropped_stands_beside_what_it_sent():
    """`captured` is the share of what was emitted that was not dropped, by its own counters."""
    log = log_of()
    log.rows(5, 10_000, emitter="e", emitted=8, dropped={"queue_full": 3})
    log.rows(5, 20_000, emitter="e", emitted=14, dropped={"queue_full": 3, "too_large": 1})
    log.rows(1, 70_000, emitter="e", emitted=15, dropped={"queue_full": 3, "too_large": 1})
    log.tick(5 * MINUTE)
    first, second = log.windows()
    assert first.metrics["captured"] == pytest.approx(10 / 14)
    assert second.metrics["captured"] == 1.0


def test_resources_go_to_the_windows_that_are_open():
    """Mean and peak of the samples of its version; a sample opens no window."""
    log = log_of()
    log.rows(1, 10_000)
    for at_ms, version, cpu in ((20_000, "1", 0.2), (30_000, "1", 0.6), (30_000, "2", 0.9)):
        sample = Resource(
            model=MODEL, version=version, instance="a", time_ms=log.start_ms + at_ms, cpu=cpu
        )
        log.event(sample, at_ms)
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert (window.metrics["cpu"], window.metrics["cpu.max"]) == (pytest.approx(0.4), 0.6)
    assert "memory" not in window.metrics


def test_samples_that_are_no_shares_are_dead_letters_and_end_nothing():
    """None of them is in the window, which is published with its rows."""
    log = log_of()
    log.rows(1, 10_000)
    for at_ms in (20_000, 30_000):
        sample = Resource(
            model=MODEL, version="1", instance="a", time_ms=log.start_ms + at_ms, cpu=1e308
        )
        (letter,) = log.event(sample, at_ms)
        assert letter.kind == "dead"
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert "cpu" not in window.metrics | window.unknown
    assert window.rows == 1


def test_labels_count_in_every_window_that_holds_their_prediction():
    """Once a window: coverage and accuracy of hopping windows are those of their own rows."""
    log = log_of(SLOW, checks=[reads_labels("slow")])
    right = [True, True, False, True, False, False]
    for minute, flag in enumerate(right):
        log.rows(1, minute * MINUTE, prediction=[1.0], ids=[f"r{minute}"])
        log.labels([f"r{minute}"], [float(flag)], minute * MINUTE + 1)
    log.tick(20 * MINUTE)
    for window in log.windows("slow"):
        first = (window.window.start - log.start_ms) // MINUTE
        mine = right[max(first, 0) : first + 3]
        assert (window.labels, window.coverage) == (len(mine), 1.0)
        assert window.metrics["accuracy"] == pytest.approx(sum(mine) / len(mine))


def test_a_row_that_came_too_late_for_a_window_gives_it_no_label_either():
    """Its label is joined, for windows that held it, and leaves the others' coverage as it was."""
    log = log_of(
        FAST, Window(name="batch", rows=3), checks=[reads_labels("fast"), reads_labels("batch")]
    )
    log.rows(2, [10_000, 70_000], prediction=[1.0, 1.0], ids=["a", "b"])
    log.rows(1, 20_000, record_ms=70_000, prediction=[1.0], ids=["late"])
    log.labels(["a", "b", "late"], [1.0, 1.0, 0.0], 80_000)
    log.tick(10 * MINUTE)
    last = {(w.window.name, w.window.start): w for w in log.windows()}
    assert last["fast", log.start_ms].labels == 1
    assert last["fast", log.start_ms].metrics["accuracy"] == 1.0
    assert last["batch", 0].labels == 3
    assert last["batch", 0].metrics["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize(
    ("task", "metric", "expected"), [("binary", "accuracy", 0.75), ("regression", "mae", 0.25)]
)
def test_a_row_that_is_late_for_some_windows_is_labelled_in_the_others(
    task, metric, expected, size
):
    """A window that had closed has neither the row nor its label, whatever it says again, and the
    figures of the rows it has; nor is it said again for that label alone.
    """
    facts = {"task": task, "restate_every_ms": 0}
    log = log_of(SLOW, checks=[reads_labels("slow", metric)], facts=facts)
    times, predicted, truth = [130_000, 150_000, 200_000, 140_000], [1.0] * 4, [1.0, 0.0, 1.0, 0.0]
    for at in range(0, 4, size):
        part = slice(at, at + size)
        log.rows(
            size,
            times[part],
            200_000,
            prediction=predicted[part],
            segments={"country": ["DE"] * size},
        )
    log.labels(["3"], truth[3:], 210_000)
    assert not any(one.revision for one in log.windows("slow"))
    log.labels(["0", "1", "2"], truth[:3], 211_000)
    log.tick(10 * MINUTE)
    log.labels(["3"], [1.0], 10 * MINUTE)
    for segment in ("", "country=DE"):
        last = {one.window.start - log.start_ms: one for one in log.windows("slow", segment)}
        closed, open_ = last[0], last[MINUTE]
        assert (closed.rows, closed.labels, closed.coverage) == (2, 2, 1.0)
        assert (open_.rows, open_.labels, open_.coverage) == (4, 4, 1.0)
        assert closed.metrics[metric] == 0.5
        assert open_.metrics[metric] == pytest.approx(expected)


def test_an_exact_window_has_the_figures_of_its_rows():
    """Ranked figures of windows of rows equal scikit-learn's to the last digit, by segment too."""
    window = Window(name="batch", rows=8, exact=True)
    log = log_of(window, checks=[reads_labels("batch")])
    score = [0.1, 0.9, 0.4, 0.4, 0.8, 0.3, 0.6, 0.7]
    truth = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    country = ["DE", "DE", "DE", "DE", "DE", "FR", "FR", "FR"]
    ids = [str(row) for row in range(8)]
    log.labels(ids, truth, 500)
    log.rows(
        8,
        1_000,
        score=score,
        prediction=[float(s > 0.5) for s in score],
        segments={"country": country},
    )
    for segment, rows in (("", range(8)), ("country=DE", range(5)), ("country=FR", range(5, 8))):
        (found,) = log.windows("batch", segment)
        mine = [[column[row] for row in rows] for column in (truth, score)]
        assert found.metrics["auc"] == pytest.approx(metrics.roc_auc_score(*mine), rel=1e-11)
        assert found.metrics["log_loss"] == pytest.approx(metrics.log_loss(*mine), rel=1e-11)
        assert found.metrics["brier"] == pytest.approx(metrics.brier_score_loss(*mine), rel=1e-11)


def test_an_exact_window_that_outlasts_the_horizon_has_the_figures_of_all_its_rows():
    """Rows past it are forgotten, and those that are left are another sample: the counts by score,
    which hold all rows, stand in.
    """
    window = Window(name="batch", rows=8, exact=True)
    log = log_of(window, checks=[reads_labels("batch")], facts={"label_horizon_ms": MINUTE})
    score = [0.2, 0.9, 0.3, 0.6, 0.8, 0.4, 0.7, 0.5]
    truth = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    for rows, at_ms in ((range(4), 0), (range(4, 7), 2 * MINUTE), (range(7, 8), 2 * MINUTE)):
        mine = [score[row] for row in rows]
        if at_ms:  # the model goes on, and forgets
            log.rows(1, at_ms, version="2", ids=["other"])
        log.rows(
            len(mine),
            at_ms,
            ids=[str(row) for row in rows],
            score=mine,
            prediction=[float(one > 0.5) for one in mine],
        )
        log.labels([str(row) for row in rows], [truth[row] for row in rows], at_ms)
    found = log.windows("batch")[-1]
    assert (found.revision, found.labels, found.coverage) == (1, 8, 1.0)
    assert found.metrics["auc"] == pytest.approx(metrics.roc_auc_score(truth, score), abs=0.02)
    assert found.metrics["brier"] == pytest.approx(metrics.brier_score_loss(truth, score), rel=0.02)


def test_a_window_record_says_which_records_it_is_made_of():
    """First and last offset, event times, and the partition it came from."""
    log = log_of()
    log.tick(1)
    log.rows(2, [20_000, 5_000])
    log.rows(1, 30_000)
    log.rows(1, 70_000)
    (window,) = log.windows()
    assert (window.first_offset, window.last_offset, window.partition) == (1, 2, 0)
    assert (window.from_ms - log.start_ms, window.to_ms - log.start_ms) == (5_000, 30_000)


@pytest.mark.parametrize("seed", range(3))
def test_one_row_at_a_time_gives_what_one_batch_gives(seed):
    """Windows that overlap, windows of rows, late rows: the split shows only in offsets."""
    draw = Random(seed)
    times = [max(0, step * 4_000 - int(draw.expovariate(1 / 40_000))) for step in range(90)]
    found = []
    for size in (90, 1, 13):
        log = log_of(FAST, SLOW, Window(name="batch", rows=7))
        for at in range(0, 90, size):
            part = times[at : at + size]
            log.rows(len(part), part, record_ms=400_000, score=[0.5] * len(part))
        log.tick(1_000_000)
        found.append(
            sorted(
                (w.window.name, w.window.start, w.rows, w.late, w.from_ms, w.to_ms, w.id)
                for w in log.windows()
            )
        )
    assert found[0] == found[1] == found[2]
    assert sum(late for _, _, _, late, *_ in found[0]) > 0


def test_a_closing_window_does_not_wait_for_the_end_of_its_batch():
    """A row that closes a window closes it before the next row of the batch, for its label too."""
    log = log_of(FAST)
    outputs = log.rows(4, [10_000, 130_000, 20_000, 200_000])
    closed = window_records(outputs)
    assert [(w.rows, w.late) for w in closed] == [(1, 0), (1, 1)]


def test_deploys_are_remembered_up_to_a_bound():
    """The newest ones: a server that announces itself with each request cannot grow the state."""
    log = log_of()
    log.rows(1, 0)
    for number in range(DEPLOYS_MAX + 5):
        log.event(Deploy(model=MODEL, version=str(number), time_ms=log.start_ms), number)
    kept = [deploy.version for deploy in log.partition.models[MODEL].state.deploys]
    assert kept == [str(number) for number in range(5, DEPLOYS_MAX + 5)]


def test_an_idle_model_wants_no_waking():
    """Nothing open, nothing waiting: no tick need be told to it."""
    log = log_of()
    log.rows(1, 0)
    model = log.partition.models[MODEL]
    assert engine.wake_ms(model) == log.start_ms + MINUTE
    log.tick(MINUTE)
    assert engine.wake_ms(model) is None


def test_only_windows_that_read_labels_are_kept_for_them():
    """Those with a label check, and the longest one; of the others nothing stays once judged."""
    log = log_of(FAST, SLOW)
    log.rows(4, 0)
    log.rows(1, 10 * MINUTE)
    tracks = log.partition.models[MODEL].state.tracks
    assert (tracks["fast"]["1"].closed, tracks["fast"]["1"].labels) == ({}, {})
    assert len(tracks["slow"]["1"].closed) == 3


@pytest.mark.parametrize("together", [True, False])
def test_a_feature_was_missing_before_it_first_came(together):
    """In the window and in the reference that is learnt, whether its batch had the rows before."""
    log = log_of(min_rows=3)
    if not together:
        log.rows(1, 0, numeric={})
        log.rows(1, 0, numeric={})
    n = 3 if together else 1
    numbers, words = [math.nan, math.nan, 1.0][-n:], [None, None, "x"][-n:]
    log.rows(n, 0, numeric={"a": numbers}, categories={"k": words})
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert {(one.rows, one.missing) for one in window.features.values()} == {(1, 2)}
    profile = log.partition.models[MODEL].state.learnt["1"].profile
    assert (profile.numeric["a"].counts[-1], profile.categories["k"].missing) == (2, 2)


def test_words_count_where_a_model_has_no_numbers():
    """Rows of categories alone: their words and what is missing are in the window."""
    log = log_of()
    log.rows(3, 10_000, numeric={}, categories={"k": ["x", None, "x"]})
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert (window.features["k"].rows, window.features["k"].missing) == (2, 1)
