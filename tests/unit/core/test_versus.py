"""Versions compared: a canary beside the other, a rollout behind it, and what is told of a loss."""

import random

import msgspec
import numpy as np
import pytest

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Need, Window
from inferwatch.records.events import Deploy, MonitorChange
from inferwatch.testing.folding import Log, alert_records, fold

MODEL, HOUR, DAY = "team/model", 3_600_000, 86_400_000
WAIT = 6 * HOUR


def worse(**options):
    """Any rise of the error rate over that of the version before, for sure."""
    return Check(
        **{
            "alert": "Worse",
            "metric": "error_rate",
            "window": "hour",
            "fail": Limit(direction="rise", value=0.0, clear=0.0),
            "versus": "previous",
        }
        | options
    )


ACCURACY = worse(
    metric="accuracy", need=Need(labels=5), fail=Limit(direction="drop", value=0.0, clear=0.0)
)


def log_of(*checks, **facts):
    """Windows of an hour without grace."""
    model = ModelFacts(
        **{"task": "binary", "label_wait_ms": WAIT, "label_horizon_ms": DAY, "segments": []} | facts
    )
    window = Window(name="hour", size_ms=HOUR, grace_ms=0)
    return Log(Definition(model=model, windows=[window], checks=list(checks)))


def hour_of(log, hour, version, n, failed, minute=0):
    """n rows of a version in one hour, the first of them failed."""
    first = hour * HOUR + minute * 60_000
    error = ["x" if row < failed else None for row in range(n)]
    return log.rows(n, [first + row for row in range(n)], version=version, error=error)


def deployed(log, hour, version, **more):
    """A version went live."""
    time_ms = log.start_ms + hour * HOUR
    log.event(Deploy(model=MODEL, version=version, time_ms=time_ms, **more), hour * HOUR)


def state_of(log):
    """The model's state."""
    return log.partition.models[MODEL].state


def told(log):
    """Transitions as (version, condition, the other version)."""
    return [(one.version, one.condition, one.versus and one.versus.version) for one in log.alerts()]


def test_a_worse_canary_is_told_with_both_figures_and_what_to_go_back_to():
    """Both serve in each hour: the difference is that of the hours of both."""
    log = log_of(worse())
    deployed(log, 0, "1", note="retrained")
    for hour in range(3):
        hour_of(log, hour, "1", 500, 25)
    deployed(log, 3, "2")
    for hour in range(3, 8):
        hour_of(log, hour, "1", 400, 20)
        hour_of(log, hour, "2", 100, 15, minute=30)
    (alert,) = log.alerts()
    assert (alert.version, alert.condition, alert.severity) == ("2", "firing", "critical")
    assert (alert.value, alert.reference, alert.limit) == pytest.approx((0.15, 0.05, 0.05))
    assert alert.versus is not None and alert.versus.version == "1"
    assert 0 < alert.versus.low < 0.1 < alert.versus.high
    assert alert.versus.low + alert.versus.high == pytest.approx(0.2)
    assert (alert.versus.deployed_ms, alert.versus.note) == (log.start_ms, "retrained")
    assert alert.rows == 100 * alert.versus.windows
    assert alert.reference_span == f"v1 in {alert.versus.windows} windows of both"
    assert alert.context == ["2 hours after deploy v2"]
    assert alert.window is not None and alert.at_ms == alert.window.end


@pytest.mark.parametrize("version", ["2\x1f", "\x1f\x1f", "1\x1f1", "\0", "é \u202e"])
def test_a_version_may_have_any_name(version):
    """What separates the words of a key in a version's own name is a part of that name."""
    log = log_of(worse())
    for hour in range(6):
        hour_of(log, hour, "1", 400, 20)
        hour_of(log, hour, version, 100, 25, minute=30)
    assert told(log) == [(version, "firing", "1")]
    for day in range(1, 10):
        hour_of(log, 24 * day, "1", 40, 1)
    assert list(state_of(log).duels) == ["Worse\x1f1\x1f\x1f"]


def test_a_worse_rollout_is_told_against_the_week_before():
    """One version after the other: all its rows against those of the other's last week."""
    log = log_of(worse())
    for hour in range(10):
        hour_of(log, hour, "1", 500, 25)
    for hour in range(10, 15):
        hour_of(log, hour, "2", 300, 45)
    (alert,) = log.alerts()
    assert (alert.version, alert.condition) == ("2", "firing")
    assert (alert.value, alert.reference) == pytest.approx((0.15, 0.05))
    assert alert.versus is not None and alert.versus.windows == 0
    assert alert.reference_span == "v1 in the week before"
    before = state_of(log).duels["Worse\x1f2\x1f\x1f"].before
    assert sum(one.n for one in before.values()) == 5_000


def test_a_better_or_equal_version_raises_nothing():
    """Nor does the version that was there first, whatever the second does."""
    for failed in (0, 20):
        log = log_of(worse())
        for hour in range(30):
            hour_of(log, hour, "1", 400, 20)
            hour_of(log, hour, "2", 400, failed, minute=30)
        assert log.alerts() == []


def test_hours_that_are_bad_for_both_are_no_difference():
    """A canary that gets its traffic in the worst hours is compared within them."""
    log = log_of(worse())
    for hour in range(24):
        bad = hour % 2
        hour_of(log, hour, "1", 400, 160 if bad else 20)
        hour_of(log, hour, "2", 300 if bad else 20, 120 if bad else 1, minute=30)
    assert log.alerts() == []
    assert state_of(log).duels["Worse\x1f2\x1f\x1f"].strata.windows == 23


def test_a_tolerance_is_passed_only_for_sure():
    """A loss of ten points is no more than five for sure until there are rows enough for that."""
    fires = {}
    for value in (0.0, 0.05, 0.2):
        log = log_of(worse(fail=Limit(direction="rise", value=value, clear=value)))
        for hour in range(40):
            hour_of(log, hour, "1", 100, 5)
            hour_of(log, hour, "2", 100, 15, minute=30)
        alerts = log.alerts()
        fires[value] = alerts[0].at_ms if alerts else None
        for alert in alerts:
            assert alert.limit == pytest.approx(0.05 + value) and alert.versus.low > value
    assert fires[0.0] < fires[0.05] and fires[0.2] is None


def test_the_alert_ends_when_the_loss_is_no_longer_sure():
    """It is judged at every window, and recovers by the same comparison."""
    log = log_of(worse())
    for hour in range(6):
        hour_of(log, hour, "1", 400, 20)
        hour_of(log, hour, "2", 100, 15, minute=30)
    for hour in range(6, 30):
        hour_of(log, hour, "1", 400, 20)
        hour_of(log, hour, "2", 400, 8, minute=30)
    assert told(log) == [("2", "firing", "1"), ("2", "ok", "1")]


def test_the_rollback_that_was_proposed_ends_the_alert():
    """Told to the log, an hour after the last row of the version that was left."""
    log = log_of(worse())
    for hour in range(6):
        hour_of(log, hour, "1", 400, 20)
        hour_of(log, hour, "2", 100, 30, minute=30)
    deployed(log, 6, "1", kind="rollback")
    for hour in range(6, 9):
        hour_of(log, hour, "1", 400, 20)
    assert told(log) == [("2", "firing", "1"), ("2", "ok", None)]
    assert log.alerts()[-1].reason == "version_retired"


def test_the_other_is_the_one_that_served_most_before():
    """Of two canaries each is compared with the version that had the traffic, not with the other;
    one that a check names is compared with all that are not it.
    """
    for check in (worse(), worse(versus="1")):
        log = log_of(check)
        hour_of(log, 0, "1", 400, 20)
        for hour in range(1, 9):
            hour_of(log, hour, "1", 400, 20)
            hour_of(log, hour, "2", 50, 2, minute=20)
            if hour > 2:
                hour_of(log, hour, "3", 100, 20, minute=40)
        assert told(log) == [("3", "firing", "1")]


def test_a_gap_between_two_versions_changes_nothing():
    """The version that served last before a silent day is still the one before."""
    log = log_of(worse())
    for hour in range(10):
        hour_of(log, hour, "1", 500, 25)
    for hour in range(34, 40):
        hour_of(log, hour, "2", 300, 45)
    assert told(log) == [("2", "firing", "1")]


def labelled(log, first, n, wrong, record_ms):
    """Labels of rows from number `first` on, all of which were predicted 1."""
    truth = [0.0 if row < wrong else 1.0 for row in range(n)]
    log.labels([str(first + row) for row in range(n)], truth, record_ms)


def answered(log, hours, minutes):
    """Hours of 100 rows of either version, predicted 1."""
    for hour in range(hours):
        for version, minute in minutes.items():
            first = hour * HOUR + minute * 60_000
            times = [first + row for row in range(100)]
            log.rows(100, times, version=version, prediction=[1.0] * 100)


def test_a_window_waits_for_the_labels_of_both():
    """However they come: the same verdict, at the labels that complete the pair, in order."""
    log = log_of(ACCURACY, label_wait_ms=DAY)
    answered(log, 9, {"1": 0, "2": 30})
    labelled(log, 0, 100, 5, 9 * HOUR)
    for hour in range(8):
        labelled(log, 200 * hour + 100, 100, 30, 9 * HOUR)
    side = state_of(log).duels["Worse\x1f2\x1f\x1f"]
    assert (len(side.rounds), side.strata.windows) == (8, 1) and log.alerts() == []
    for hour in range(1, 8):
        labelled(log, 200 * hour, 100, 5, 9 * HOUR)
        assert side.strata.windows == hour + 1
    (alert,) = log.alerts()
    assert (alert.value, alert.reference) == pytest.approx((0.70, 0.95))
    assert alert.labelled == alert.rows == 100 * alert.versus.windows


def test_a_window_waits_for_most_labels_of_either():
    """Wrong answers are known first, of either version alike: by a number of labels alone the one
    with more rows would be judged by its earliest ones, and be called worse.
    """
    log, known, number = log_of(ACCURACY, label_wait_ms=DAY), [], 0
    for hour in range(12):
        for version, n, minute in (("1", 40, 0), ("2", 400, 30)):
            times = [hour * HOUR + minute * 60_000 + row for row in range(n)]
            log.rows(n, times, version=version, prediction=[1.0] * n)
            known += [(row >= n // 10, number + row) for row in range(n)]
            number += n
    for right, row in sorted(known):
        log.labels([str(row)], [float(right)], 12 * HOUR)
    found = state_of(log).duels["Worse\x1f2\x1f\x1f"].strata
    assert found.windows == 11 and found.my_rows.n >= 0.8 * 400 * 11
    assert log.alerts() == []


def test_what_has_no_labels_in_time_tells_nothing():
    """After `label_wait` a window of one version without labels is left out, of both."""
    log = log_of(ACCURACY)
    answered(log, 3, {"1": 0, "2": 30})
    for hour in range(3):
        labelled(log, 200 * hour + 100, 100, 30, 3 * HOUR)
    hour_of(log, 12, "1", 10, 0)
    side = state_of(log).duels["Worse\x1f2\x1f\x1f"]
    assert (side.strata.windows, side.alone, side.rounds) == (0, {}, {})
    assert log.alerts() == []


def test_one_version_is_compared_with_nothing():
    """It says so where a replay asks, fires nothing, and keeps a week of sums by the hour."""
    log = log_of(worse())
    for hour in range(24 * 9):
        hour_of(log, hour, "1", 5, hour % 5)
    (side,) = state_of(log).duels.values()
    assert len(side.hours) == 168 and not side.rounds and side.strata.windows == 0
    (instance,) = state_of(log).instances.values()
    assert instance.blind == "no version served before it" and log.alerts() == []


def test_few_events_are_a_reason():
    """What cannot be judged yet is unknown, with what is lacking."""
    log = log_of(worse())
    for hour in range(3):
        hour_of(log, hour, "1", 400, 1)
        hour_of(log, hour, "2", 400, 1, minute=30)
    instance = state_of(log).instances["Worse\x1f2\x1f\x1f"]
    assert instance.blind == "2 of 20 events"


def test_a_check_of_figures_of_one_version_keeps_nothing():
    """No state and no comparison where no check asks for one."""
    log = log_of(worse(versus="", fail=Limit(direction="above", value=0.5, clear=0.5)))
    for hour in range(5):
        hour_of(log, hour, "1", 40, 1)
        hour_of(log, hour, "2", 40, 1, minute=30)
    assert state_of(log).duels == {}
    assert "duels" not in snapshot.cut(log.partition.models[MODEL])


def test_what_a_check_compared_is_forgotten_when_it_compares_another():
    """Another `versus` or another window starts anew; another limit does not."""
    log = log_of(worse())
    for hour in range(3):
        hour_of(log, hour, "1", 40, 1)
        hour_of(log, hour, "2", 40, 1, minute=30)
    kept = dict(state_of(log).duels)
    steps = [
        (worse(warn=Limit(direction="rise", value=0.01, clear=0.01)), True, HOUR),
        (worse(versus="1"), False, HOUR),
        (worse(versus="1"), False, 2 * HOUR),
    ]
    for check, same, size_ms in steps:
        window = Window(name="hour", size_ms=size_ms, grace_ms=0)
        definition = msgspec.structs.replace(log.definition, windows=[window], checks=[check])
        log.event(MonitorChange(model=MODEL, definition=definition), 3 * HOUR)
        assert (state_of(log).duels == kept) is same
        hour_of(log, 3, "1", 1, 0)


def test_a_version_that_is_forgotten_takes_its_comparison_along():
    """A week after its last row."""
    log = log_of(worse())
    hour_of(log, 0, "1", 40, 1)
    hour_of(log, 0, "2", 40, 1, minute=30)
    for day in range(1, 10):
        hour_of(log, 24 * day, "2", 40, 1)
    assert list(state_of(log).duels) == ["Worse\x1f2\x1f\x1f"]


def story(seed):
    """Two versions, labels late and in any order, rates that differ: (kind, record time, what)."""
    draw = random.Random(seed)
    chance = np.random.default_rng(seed)
    rows, labels, number = [], [], 0
    for hour in range(10):
        for version in ("1", "2") if hour > 2 else ("1",):
            n = draw.randint(20, 40)
            times = sorted(draw.randrange(hour * HOUR, hour * HOUR + HOUR) for _ in range(n))
            wrong = chance.random(n) < (0.1 if version == "1" else 0.7)
            for at, one in zip(times, wrong.tolist(), strict=True):
                rows.append((at, version, str(number), "x" if one else None))
                labels.append((at + draw.randrange(3 * HOUR), str(number), 0.0 if one else 1.0))
                number += 1
    moments = [(row[0], 0, row) for row in rows] + [(label[0], 1, label) for label in labels]
    return [(kind, what) for _, kind, what in sorted(moments, key=lambda one: (one[0], one[1]))]


def written(log, moments, rows_max, draw):
    """The story in batches of one version's rows of up to so many; labels one by one."""
    batch = []

    def flush():
        if batch:
            log.rows(
                len(batch),
                [row[0] for row in batch],
                version=batch[0][1],
                ids=[row[2] for row in batch],
                error=[row[3] for row in batch],
                prediction=[1.0] * len(batch),
            )
            batch.clear()

    for kind, what in moments:
        if kind:
            flush()
            log.labels([what[1]], [what[2]], what[0])
            continue
        if batch and (batch[0][1] != what[1] or len(batch) >= draw.randint(1, rows_max)):
            flush()
        batch.append(what)
    flush()
    return log


def verdicts(log):
    """Transitions without the fields that name records."""
    return [
        msgspec.structs.replace(one, first_bad="", at_ms=one.at_ms, id=one.id)
        for one in log.alerts()
    ]


@pytest.mark.parametrize("seed", range(2))
def test_the_way_rows_were_batched_never_shows(seed):
    """One by one or many at once: the same transitions, the same figures, the same sums."""
    moments = story(seed)
    found = []
    for rows_max in (1, 40):
        log = log_of(worse(), worse(**{**CHANGED, "alert": "Wrong"}))
        written(log, moments, rows_max, random.Random(seed))
        found.append((verdicts(log), state_of(log).duels))
    assert [one.condition for one in found[0][0]].count("firing") >= 2
    assert found[0][0] == found[1][0]
    for name, side in found[0][1].items():
        other = found[1][1][name]
        assert (side.strata, side.alone, side.before) == (other.strata, other.alone, other.before)


CHANGED = {
    "metric": "accuracy",
    "need": Need(coverage=0.6),
    "fail": Limit(direction="drop", value=0.0, clear=0.0),
}


def test_a_state_cut_after_any_record_goes_on_as_if_it_had_not_been():
    """Same outputs and the same bytes, whether or not the state was written and read between."""
    log = log_of(worse(), worse(**{**CHANGED, "alert": "Wrong"}))
    raws, write = [], log.write
    log.write = lambda raw: (
        raws.append(msgspec.structs.replace(raw, offset=log.offset)) or write(raw)
    )
    written(log, story(1)[::], 40, random.Random(1))
    whole, cut, outputs = Partition(0), Partition(0), []
    for place, raw in enumerate(raws):
        expected = fold(whole, [raw], lambda _: log.definition)
        if place % 25 == 3:
            pieces = snapshot.cut(cut.models[MODEL])
            cut = Partition(0)
            cut.restore(pieces)
        assert fold(cut, [raw], lambda _: log.definition) == expected
        outputs += expected
    assert snapshot.cut(cut.models[MODEL]) == snapshot.cut(whole.models[MODEL])
    assert {one.alert for one in alert_records(outputs)} == {"Worse", "Wrong"}
