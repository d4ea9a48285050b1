"""Checks on every class of several: an alert each, and none that is forgotten."""

import numpy as np

from inferwatch.core import snapshot
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Need, Window
from inferwatch.testing.folding import Log

MINUTE = 60_000
LOW = Limit(direction="below", value=0.6, clear=0.6)
CHECK = Check(
    alert="ClassRecall",
    metric="class.*.recall",
    window="fast",
    need=Need(labels=1),
    fail=LOW,
)


def log_of(*checks: Check) -> Log:
    """A model of several classes in windows of a minute, whose labels are waited for ten."""
    return Log(
        Definition(
            model=ModelFacts(
                task="multiclass", label_wait_ms=10 * MINUTE, label_horizon_ms=30 * MINUTE
            ),
            windows=[Window(name="fast", size_ms=MINUTE, grace_ms=0)],
            checks=list(checks),
        )
    )


def minute(log: Log, number: int, answers: list[str], truths: list[str]) -> None:
    """One minute of rows with their labels, which the first row of the next closes."""
    ids = [f"{number}-{row}" for row in range(len(answers))]
    log.rows(len(ids), number * MINUTE, ids=ids, prediction=answers)
    log.labels(ids, truths, number * MINUTE + 1_000)


def moves(log: Log) -> list[tuple[str, str, float | None]]:
    """What was told, of which class, with its figure."""
    return [(one.feature, one.condition, one.value) for one in log.alerts()]


def test_each_class_has_an_alert_of_its_own():
    """The one that is missed fires; the others are as a check that names them would have them."""
    named = [
        Check(alert=name, metric=f"class.{name}.recall", window="fast", need=CHECK.need, fail=LOW)
        for name in ("cat", "dog", "a.b")
    ]
    log, draw = log_of(CHECK, *named), np.random.default_rng(5)
    for number in range(12):
        truths = draw.choice(["cat", "dog", "a.b"], 40).tolist()
        right = draw.random(40) < 0.6
        answers = [one if ok else "cat" for one, ok in zip(truths, right, strict=True)]
        minute(log, number, answers, truths)
    told = [
        (one.feature.removeprefix("class."), one.condition, one.reason, one.value, one.at_ms)
        for one in log.alerts("ClassRecall")
    ]
    alone = [
        (name, one.condition, one.reason, one.value, one.at_ms)
        for name in ("cat", "dog", "a.b")
        for one in log.alerts(name)
    ]
    assert sorted(told) == sorted(alone)
    assert {one[0] for one in told} == {"dog", "a.b"}


def test_a_class_without_a_row_is_unknown_and_comes_back():
    """An alert that fires goes on through windows without its class, and ends when it is right."""
    log = log_of(CHECK)
    minute(log, 0, ["cat", "cat"], ["cat", "dog"])
    minute(log, 1, ["cat", "cat"], ["cat", "cat"])
    minute(log, 2, ["cat", "cat"], ["cat", "cat"])
    [dog] = [one for one in log.partition.models[log.model].state.instances.values() if one.seq]
    assert (dog.feature, dog.condition) == ("class.dog", "firing")
    assert dog.judged_ms == log.start_ms + 2 * MINUTE  # looked at where it has no row
    minute(log, 3, ["cat", "dog"], ["cat", "dog"])
    minute(log, 4, ["cat", "cat"], ["cat", "cat"])
    minute(log, 5, ["cat", "cat"], ["cat", "cat"])
    assert moves(log) == [
        ("class.dog", "firing", 0.0),
        ("class.dog", "ok", 1.0),
        ("class.dog", "unknown", None),
    ]


def test_a_class_that_is_labelled_no_more_has_no_support():
    """Once looked at, it counts in a window without it as if it were named: no label of it."""
    few = Limit(direction="below", value=1.0, clear=1.0)
    log = log_of(Check(alert="Few", metric="class.*.support", window="fast", fail=few))
    minute(log, 0, ["cat", "dog"], ["cat", "dog"])
    minute(log, 1, ["cat", "cat"], ["cat", "cat"])
    minute(log, 2, ["cat", "cat"], ["cat", "cat"])
    assert moves(log) == [("class.dog", "firing", 0.0)]


def test_the_alerts_outlive_a_restart():
    """Their state is that of any alert: a model that was read back goes on with the same."""
    whole, cut = log_of(CHECK), log_of(CHECK)
    for log in (whole, cut):
        minute(log, 0, ["cat", "cat"], ["cat", "dog"])
        minute(log, 1, ["cat", "dog"], ["cat", "dog"])
    cut.partition.restore(snapshot.cut(cut.partition.models[cut.model]))
    for log in (whole, cut):
        minute(log, 2, ["cat"], ["cat"])
        minute(log, 3, ["cat"], ["cat"])
    assert len(whole.alerts()) > 1
    assert [one.value for one in cut.outputs] == [one.value for one in whole.outputs]


def test_classes_with_alerts_have_an_end():
    """The first twenty of the model, however many there are."""
    log, names = log_of(CHECK), [f"c{number}" for number in range(60)]
    for number in range(4):
        minute(log, number, names, names)
    assert len(log.partition.models[log.model].state.instances) == 20
