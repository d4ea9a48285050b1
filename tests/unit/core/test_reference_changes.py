"""What an operator says of a reference: accepted, forgotten, from where it stands in the log on."""

import msgspec
import numpy as np
import pytest

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.reference import ACCEPTED_ROWS_MIN, numeric_profile
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Profile,
    Reference,
    Window,
)
from inferwatch.records.events import ReferenceChange
from inferwatch.testing.folding import Log

MINUTE = 60_000
ABOVE = Limit(direction="above", value=0.25, clear=0.25)
DRIFT = Check(alert="Drift", metric="feature.a", method="psi", window="minute", fail=ABOVE)
SHIFT = Check(alert="Shift", metric="feature.a", method="adwin", warn=ABOVE)
WRONG = Check(alert="Wrong", metric="error", method="adwin", warn=ABOVE)


def log_of(*checks, **reference):
    """Windows of a minute, closed by their end."""
    return Log(
        Definition(
            model=ModelFacts(task="binary"),
            reference=Reference(**{"min_rows": 100} | reference),
            windows=[Window(name="minute", size_ms=MINUTE, grace_ms=0)],
            checks=list(checks),
        )
    )


def feed(log, minute, mean, n=100, **more):
    """A minute of rows around a mean."""
    values = np.random.default_rng(minute).normal(mean, 1.0, n)
    log.rows(n, minute * MINUTE, numeric={"a": values.tolist()}, **more)


def say(log, action, minute, version=None, **more):
    """The operator's record."""
    fields = {"author": "ada", "comment": "a new market"} | more
    at_ms = minute * MINUTE
    change = ReferenceChange(
        model="team/model",
        action=action,
        time_ms=log.start_ms + at_ms,
        version=version,
        **fields,
    )
    log.event(change, at_ms)
    return change


def state_of(log):
    """The model's state."""
    return log.partition.models["team/model"].state


def test_a_reference_that_is_forgotten_is_learnt_anew_from_the_next_row_on():
    """Drift fires, the operator resets: the alert stays while it learns and then is fine."""
    log = log_of(DRIFT)
    for minute in range(3):
        feed(log, minute, 0.0 if minute < 1 else 5.0)
    log.tick(3 * MINUTE)
    assert [alert.condition for alert in log.alerts()] == ["firing"]
    say(log, "reset", 3)
    feed(log, 3, 5.0, n=60)
    log.tick(4 * MINUTE)
    said = log.windows()[-1].reference
    assert (said.kind, said.rows, said.min_rows) == ("learning", 60, 100)
    assert (said.author, said.comment) == ("ada", "a new market")
    assert said.changed_ms == log.start_ms + 3 * MINUTE
    for minute in (4, 5, 6):
        feed(log, minute, 5.0)
    log.tick(7 * MINUTE)
    said = log.windows()[-1].reference
    assert (said.kind, said.rows, said.from_ms) == ("learnt", 100, log.start_ms + 3 * MINUTE)
    assert [alert.reason for alert in log.alerts()] == ["limit_passed", "recovered"]
    assert log.windows()[-1].features["a"].psi < 0.25


def test_a_window_that_reaches_over_a_reset_has_no_drift():
    """What it counted on the old bins is compared with nothing."""
    log = log_of(DRIFT)
    for minute in (0, 1):
        feed(log, minute, 0.0)
    feed(log, 2, 0.0, n=50)
    say(log, "reset", 2)
    feed(log, 2, 0.0, n=200)
    log.tick(3 * MINUTE)
    last = log.windows()[-1]
    assert (last.rows, last.unknown["drift"]) == (250, "learning")
    assert last.features["a"].psi is None and last.reference.kind == "learnt"


def test_what_was_learnt_so_far_can_be_accepted():
    """It is the reference at once, and stays it; the record says who said so."""
    log = log_of(DRIFT, min_rows=1_000, min_span_ms=60 * MINUTE)
    feed(log, 0, 0.0)
    say(log, "accept", 1)
    for minute in (1, 2):
        feed(log, minute, 0.0)
    log.tick(3 * MINUTE)
    said = log.windows()[-1].reference
    assert (said.kind, said.name, said.rows) == ("accepted", "first 100 rows", 100)
    assert said.author == "ada" and log.windows()[-1].features["a"].psi is not None


def test_a_few_rows_are_no_reference():
    """Under the least that a monitor file may ask for, nothing is accepted."""
    log = log_of(DRIFT, min_rows=1_000)
    feed(log, 0, 0.0, n=ACCEPTED_ROWS_MIN - 1)
    say(log, "accept", 0)
    assert state_of(log).learnt["1"].profile is None
    feed(log, 0, 0.0, n=1)
    say(log, "accept", 0, comment="now")
    assert state_of(log).learnt["1"].profile.rows == ACCEPTED_ROWS_MIN


def test_a_learnt_reference_that_is_accepted_only_says_so():
    """Rows and bins stay what they were."""
    log = log_of(DRIFT)
    feed(log, 0, 0.0)
    log.tick(MINUTE)
    before = state_of(log).learnt["1"].profile
    say(log, "accept", 1)
    assert state_of(log).learnt["1"].profile == before
    feed(log, 1, 0.0)
    log.tick(2 * MINUTE)
    assert [window.reference.kind for window in log.windows()] == ["learnt", "accepted"]


@pytest.mark.parametrize("action", ["accept", "reset"])
def test_the_same_word_twice_is_said_once(action):
    """A sender that was not answered sends again: the fold goes on as if it had not."""
    log = log_of(DRIFT)
    feed(log, 0, 0.0)
    change = say(log, action, 1)
    feed(log, 1, 0.0, n=30)
    before = snapshot.cut(log.partition.models["team/model"])
    log.event(change, 2 * MINUTE)
    after = snapshot.cut(log.partition.models["team/model"])
    assert {name for name in before if before[name] != after[name]} == {"head"}  # its offset


def test_a_word_of_one_version_leaves_the_others():
    """And without a version it is said of all that there are; one never seen is passed over."""
    log = log_of(DRIFT)
    for version in ("1", "2"):
        feed(log, 0, 0.0, version=version)
    say(log, "reset", 1, version="2")
    learnt = state_of(log).learnt
    assert [learnt[version].profile is None for version in ("1", "2")] == [False, True]
    say(log, "reset", 2, version="9")
    assert list(learnt) == ["1", "2"]
    say(log, "reset", 3)
    assert all(state_of(log).learnt[version].profile is None for version in ("1", "2"))


def test_a_profile_is_not_learnt():
    """A word on it changes nothing, and the windows say what they are compared with."""
    profile = Profile(
        name="training",
        rows=500,
        from_ms=1,
        to_ms=2,
        numeric={"a": numeric_profile(np.arange(100.0))},
    )
    log = log_of(DRIFT, profile=profile)
    feed(log, 0, 0.0)
    say(log, "reset", 1)
    log.tick(2 * MINUTE)
    said = log.windows()[-1].reference
    assert (said.kind, said.name, said.rows, said.author) == ("profile", "training", 500, "")


def test_what_the_reference_scaled_starts_anew():
    """Detectors of features are made again by the new one; those of errors know no scale."""
    log = log_of(SHIFT, WRONG)
    feed(log, 0, 0.0, prediction=[1.0] * 100)
    log.labels([str(row) for row in range(100)], [1.0] * 100, MINUTE)
    feed(log, 1, 0.0, prediction=[1.0] * 100)
    detectors = log.partition.models["team/model"].detectors
    assert [key.split("\x1f")[0] for key in sorted(detectors)] == ["Shift", "Wrong"]
    say(log, "reset", 2)
    assert [key.split("\x1f")[0] for key in detectors] == ["Wrong"]
    for minute in (2, 3):
        feed(log, minute, 5.0, prediction=[1.0] * 100)
    assert len(detectors) == 2 and not log.alerts()


def test_the_baseline_of_labels_follows_the_reference():
    """After a reset it is of the rows learnt since, by the labels of those rows alone."""
    drop = Limit(direction="drop", value=0.1, clear=0.1)
    check = Check(alert="Drop", metric="accuracy", window="minute", fail=drop)
    log = log_of(check)
    for minute, right in enumerate((1.0, 1.0, 0.8, 0.8, 0.6)):
        if minute == 2:
            say(log, "reset", 2)
        feed(log, minute, 0.0, prediction=[1.0] * 100)
        ids = [str(100 * minute + row) for row in range(100)]
        wrong = round(100 * (1 - right))
        log.labels(ids, [0.0] * wrong + [1.0] * (100 - wrong), minute * MINUTE)
    log.tick(5 * MINUTE)
    (alert,) = log.alerts()
    assert (alert.condition, alert.value, alert.reference) == ("firing", 0.6, 0.8)


def test_a_span_is_asked_for_beside_rows():
    """Many rows of one minute are no reference where an hour is asked for; kept are a bounded few.

    However the rows are cut, the reference is the same: every second, fourth, … row.
    """
    rows, span = 5_000, 50
    values = np.random.default_rng(4).normal(size=rows).astype(np.float32)
    times = (np.arange(rows) * (span * MINUTE) // rows).tolist()
    found = []
    for step in (7, 500):
        log = log_of(DRIFT, min_rows=100, min_span_ms=40 * MINUTE)
        for first in range(0, rows, step):
            part = values[first : first + step].tolist()
            log.rows(len(part), times[first : first + step], numeric={"a": part})
            learning = state_of(log).learnt["1"].learning
            if learning is not None:
                kept = sum(block.shape[1] for block in learning.numeric)
                assert kept == -(-learning.rows >> learning.shift) <= 200
                whole = np.concatenate(learning.numeric, axis=1)[0]
                np.testing.assert_array_equal(whole, values[: learning.rows : 1 << learning.shift])
        found.append(state_of(log).learnt["1"].profile)
    assert found[0] == found[1]
    first_after = next(at for at, time in enumerate(times) if time >= 40 * MINUTE)
    assert found[0].rows == first_after + 1 and found[0].to_ms - found[0].from_ms > 40 * MINUTE
    assert 100 <= sum(found[0].numeric["a"].counts) <= 200


def test_words_of_a_long_span_are_bounded():
    """Beyond a thousand, new ones of a column count as `__other__`."""
    log = log_of(DRIFT, min_rows=50, min_span_ms=10 * MINUTE)
    for minute in range(11):
        words = [f"w{200 * minute + row}" for row in range(200)]
        feed(log, minute, 0.0, n=200, categories={"k": words})
    words = state_of(log).learnt["1"].profile.categories["k"]
    assert len(words.words) == 1_001 and "__other__" in words.words
    assert sum(words.counts) == 2_001


def test_a_state_that_was_cut_while_it_learnt_goes_on():
    """The span, what is kept of it and who said what are in the checkpoint."""
    log = log_of(DRIFT, min_rows=60, min_span_ms=3 * MINUTE)
    for minute in range(3):
        feed(log, minute, 0.0)
        if minute == 1:
            say(log, "reset", 1)
    cut = snapshot.cut(log.partition.models["team/model"])
    other = Log(log.definition)
    other.partition = Partition(0)
    other.partition.restore(cut)
    other.offset = log.offset
    for minute in range(3, 7):
        feed(log, minute, 1.0)
        feed(other, minute, 1.0)
    assert log.outputs[-1] == other.outputs[-1]
    assert msgspec.structs.asdict(state_of(log).learnt["1"]) == msgspec.structs.asdict(
        state_of(other).learnt["1"]
    )
