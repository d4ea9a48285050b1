"""How late labels are, window by window, and which share of them should be there by now."""

import msgspec
import numpy as np
import pytest

from inferwatch.core import quality
from inferwatch.core.sketches import log_histogram
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Need, Window
from inferwatch.testing.folding import Log

MINUTE = 60_000
HORIZON = 10 * MINUTE
ABOVE = Limit(direction="above", value=90_000.0, clear=90_000.0)
FAST = Window(name="fast", size_ms=MINUTE, grace_ms=0)
MODEL = ModelFacts(
    task="binary", label_wait_ms=5 * MINUTE, label_horizon_ms=HORIZON, restate_every_ms=1
)


def log_of(metric="accuracy", **need):
    """Windows of a minute, labels taken for ten."""
    check = Check(
        alert="Late", metric=metric, window="fast", warn=ABOVE, need=Need(**need or {"labels": 1})
    )
    return Log(Definition(model=MODEL, windows=[FAST], checks=[check]))


def last(log, start):
    """The newest record of the window that starts then."""
    found = [one for one in log.windows() if one.window.start == log.start_ms + start]
    return max(found, key=lambda one: one.revision)


def figures(record):
    """Label delays and maturity, known or why not."""
    names = (*quality.DELAYS, "maturity")
    return {name: record.metrics.get(name, record.unknown.get(name)) for name in names}


def test_delays_are_the_labels_own_times_less_those_of_predictions():
    """Nearest rank of ten delays, at most 1.6 % off, whatever the record's time is."""
    log = log_of()
    log.rows(10, [1_000 * row for row in range(10)])
    delays = [1_000 * (number + 1) for number in range(10)]
    times = [1_000 * row + delay for row, delay in enumerate(delays)]
    log.labels([str(row) for row in range(10)], [1.0] * 10, 50_000, time_ms=times)
    log.tick(MINUTE)
    found = last(log, 0).metrics
    assert found["label_delay.p50"] == pytest.approx(5_000, rel=0.016)
    assert found["label_delay.p90"] == pytest.approx(9_000, rel=0.016)


def test_only_a_rows_first_label_has_a_delay():
    """Repeats and corrections change none; a label from before its row came at once."""
    log = log_of()
    log.rows(2, 0)
    log.labels(["0", "2"], [1.0, 1.0], 10_000, time_ms=[10_000, 5_000])
    log.rows(1, 20_000, ids=["2"])
    log.labels(["0"], [1.0], 30_000)
    log.labels(["0"], [0.0], 40_000)
    log.tick(MINUTE)
    track = log.partition.models["team/model"].state.tracks["fast"]["1"]
    cell = quality.merge([cells[""] for cells in track.labels.values()])
    assert log_histogram.count(cell.delays) == cell.labelled == 2
    assert log_histogram.quantile(cell.delays, 0.5).value == 0.0
    assert log_histogram.quantile(cell.delays, 1.0).value == pytest.approx(10_000, rel=0.016)


def test_a_window_has_the_delays_of_its_own_rows():
    """A row that came too late for one of the windows over it is a row of the next one alone."""
    wide = Window(name="wide", size_ms=2 * MINUTE, step_ms=MINUTE, grace_ms=0)
    check = Check(alert="Late", metric="accuracy", window="wide", warn=ABOVE)
    log = Log(Definition(model=MODEL, windows=[wide], checks=[check]))
    log.rows(1, 30_000, ids=["a"])
    log.rows(1, MINUTE, ids=["b"])
    log.rows(1, 40_000, MINUTE, ids=["late"])
    log.labels(["late"], [1.0], 60_000, time_ms=[59_000])
    found = last(log, -MINUTE)
    assert (found.labels, found.unknown["label_delay.p90"]) == (0, "no labels")
    log.labels(["a"], [1.0], 60_000, time_ms=[35_000])
    log.rows(1, 2 * MINUTE, ids=["c"])
    first, second = last(log, -MINUTE), last(log, 0)
    assert (first.labels, second.labels) == (1, 2)
    assert first.metrics["label_delay.p90"] == pytest.approx(5_000, rel=0.016)
    assert second.metrics["label_delay.p90"] == pytest.approx(19_000, rel=0.016)


def test_a_window_without_labels_has_no_delay_and_a_new_model_no_maturity():
    """Both unknown, with the reason, and neither hidden by a coverage that is too low."""
    log = log_of(coverage=0.8)
    log.rows(2, 0)
    log.tick(MINUTE)
    assert figures(last(log, 0)) == {
        "label_delay.p50": "no labels",
        "label_delay.p90": "no labels",
        "maturity": "0 labels of 100 of past windows",
    }
    log.labels(["0"], [1.0], 70_000, time_ms=[30_000])
    assert last(log, 0).unknown["accuracy"] == "coverage 50 %"
    assert last(log, 0).metrics["label_delay.p50"] == pytest.approx(30_000, rel=0.016)


def grown(log, minutes, draw):
    """A minute of 50 rows each, with labels that come one to five minutes after."""
    due = {}
    for minute in range(minutes):
        log.rows(50, minute * MINUTE, ids=[f"{minute}-{row}" for row in range(50)])
        for row, delay in enumerate(draw.integers(1, 6, 50)):
            due.setdefault(minute + int(delay), []).append(f"{minute}-{row}")
        ready = due.pop(minute, [])
        if ready:
            log.labels(ready, [1.0] * len(ready), minute * MINUTE)


def test_maturity_is_the_share_of_labels_that_past_windows_had_at_this_age():
    """From what windows past the horizon learnt; equal to coverage where nothing has changed."""
    log = log_of()
    grown(log, 40, np.random.default_rng(1))
    closed = log.windows()
    young = [one for one in closed if one.window.end <= log.start_ms + HORIZON]
    assert all("maturity" in one.unknown for one in young if one.revision == 0)
    settled = [one for one in closed if one.window.start > log.start_ms + 13 * MINUTE]
    pairs = [(one.metrics["maturity"], one.coverage) for one in settled if one.labels]
    assert len(pairs) > 100
    gaps = [maturity - coverage for maturity, coverage in pairs]
    assert abs(np.mean(gaps)) < 0.1
    assert {round(maturity, 1) for maturity, _ in pairs} >= {0.2, 0.4, 0.6, 0.8}


@pytest.mark.parametrize("together", [True, False])
def test_a_window_that_waited_for_the_one_before_is_as_old_as_that_ones_deadline(together):
    """How far ahead the batch is that brings the deadline does not show."""
    young = Limit(direction="below", value=0.7, clear=0.7)
    check = Check(alert="Young", metric="maturity", window="fast", warn=young, need=Need(labels=1))
    fast = Window(name="fast", size_ms=MINUTE, grace_ms=20_000)
    model = msgspec.structs.replace(MODEL, label_wait_ms=5 * MINUTE + 5_000)
    log = Log(Definition(model=model, windows=[fast], checks=[check]))
    for minute in range(27):
        begin, ids = minute * MINUTE, [f"{minute}-{row}" for row in range(40)]
        times = [begin + 1_000 * at for at in [1] * 10 + [6] * 10 + [15] * 20]
        for half in [slice(0, 40)] if together else [slice(0, 20), slice(20, 40)]:
            log.rows(20 * (1 + together), times[half], begin + 15_000, ids=ids[half])
        if 5 <= minute < 25:  # of 40 labels 16 are up to 278 s late, 31 up to 286
            told = [begin - 300_000 + 1_000 * delay for delay in range(271, 311)]
            old = [f"{minute - 5}-{row}" for row in range(40)]
            log.labels(old, [1.0] * 40, begin + 15_000, time_ms=told)
        if minute == 23:
            log.labels(["21-0"], [1.0], begin + 15_000)
    first = log.alerts()[0]
    assert (first.condition, first.window.start) == ("firing", log.start_ms + 21 * MINUTE)
    assert first.value == pytest.approx(0.4, abs=0.1)


def test_labels_that_stop_leave_coverage_behind_maturity():
    """The share that should be there grows with age, what is there does not."""
    log = log_of()
    grown(log, 30, np.random.default_rng(2))
    log.rows(50, 30 * MINUTE, ids=[f"x{row}" for row in range(50)])
    log.rows(1, 34 * MINUTE, ids=["y"])
    log.labels(["x0"], [1.0], 34 * MINUTE)
    log.tick(34 * MINUTE + 1_000)
    found = last(log, 30 * MINUTE)
    assert found.coverage == 0.02
    assert found.metrics["maturity"] > 0.5


def test_what_windows_learnt_outlives_their_version():
    """A new version's labels are expected as those of the one before were."""
    log = log_of()
    grown(log, 30, np.random.default_rng(3))
    log.rows(2, 30 * MINUTE, version="2", ids=["a", "b"])
    log.rows(1, 31 * MINUTE + 1, version="2", ids=["c"])
    (found,) = [one for one in log.windows() if one.version == "2"]
    assert 0 <= found.metrics["maturity"] <= 1


@pytest.mark.parametrize("metric", ["label_delay.p50", "label_delay.p90"])
def test_a_check_may_ask_for_labels_that_come_in_time(metric):
    """Judged once, when its labels have come, as other checks on labels."""
    log = log_of(metric, labels=2)
    log.rows(2, 0)
    log.rows(2, MINUTE)
    log.labels(["0", "1"], [1.0, 1.0], 80_000, time_ms=[20_000, 30_000])
    assert log.alerts() == []
    log.rows(1, 2 * MINUTE)
    log.labels(["2", "3"], [1.0, 1.0], 4 * MINUTE, time_ms=[4 * MINUTE, 4 * MINUTE])
    (alert,) = log.alerts()
    assert (alert.condition, alert.value) == ("firing", pytest.approx(180_000, rel=0.016))


def test_late_labels_are_told_by_the_few_that_came():
    """A check without `when` does not wait for a coverage that late labels never reach: it is
    judged when the wait is over, once.
    """
    check = Check(alert="Late", metric="label_delay.p50", window="fast", warn=ABOVE)
    log = Log(Definition(model=MODEL, windows=[FAST], checks=[check]))
    log.rows(10, 0)
    log.tick(2 * MINUTE)
    log.labels(["0", "1"], [1.0, 1.0], 3 * MINUTE)
    assert not log.alerts()
    log.tick(7 * MINUTE)
    log.tick(8 * MINUTE)
    assert [(one.condition, one.coverage) for one in log.alerts()] == [("firing", 0.2)]
