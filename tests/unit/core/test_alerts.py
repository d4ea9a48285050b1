"""The life of an alert: the whole table, what `times`, `for` and `keep_firing_for` make of levels,
and what is told.
"""

import itertools
from random import Random
from typing import get_args

import numpy as np
import pytest

from inferwatch.core import alerts
from inferwatch.core.alerts import TRANSITIONS, Instance, Signal
from inferwatch.records.definition import Check, Limit
from inferwatch.records.outputs import Condition

CONDITIONS, SIGNALS = get_args(Condition), get_args(Signal)
TABLE = """
          ok       breach   held     unknown  learning silent   ended
learning  ok       pending  firing   unknown  learning no_data  ok
unknown   ok       pending  firing   unknown  learning no_data  ok
ok        ok       pending  firing   unknown  learning no_data  ok
pending   ok       pending  firing   unknown  learning no_data  ok
firing    ok       firing   firing   firing   firing   no_data  ok
no_data   ok       pending  firing   no_data  no_data  no_data  ok
"""
MINUTE = 60_000


def check_of(**options):
    """A check with a limit that tests move by levels of their own."""
    limit = Limit(direction="above", value=1.0, clear=1.0)
    return Check(**{"alert": "A", "metric": "rows", "warn": limit, **options})


def instance_of(**state):
    """An alert of no version, feature or segment."""
    return Instance(alert="A", version="", feature="", segment="", **state)


def rows_of_table():
    """(condition, signal, next condition) as the table above says."""
    signals, *lines = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (line[0], sign, after)
        for line in lines
        for sign, after in zip(signals, line[1:], strict=True)
    ]


@pytest.mark.parametrize(("condition", "sign", "after"), rows_of_table())
def test_every_condition_and_signal_has_its_transition(condition, sign, after):
    """The machine is the table, and a change has a reason where no change has none."""
    found, reason = TRANSITIONS[condition, sign]
    assert found == after
    assert bool(reason) == (condition != after or sign == "ended")


def test_the_table_is_whole():
    """No pair of condition and signal is left to chance."""
    assert set(TRANSITIONS) == {(at, sign) for at in CONDITIONS for sign in SIGNALS}
    assert {row[:2] for row in rows_of_table()} == set(TRANSITIONS)


def test_a_gap_in_data_never_resolves_an_alert():
    """From firing or no_data only recovery and the end of its check lead to ok."""
    for condition in ("firing", "no_data"):
        left = {sign for sign in SIGNALS if TRANSITIONS[condition, sign][0] == "ok"}
        assert left == {"ok", "ended"}
        blind = {TRANSITIONS[condition, sign][0] for sign in ("unknown", "learning")}
        assert blind == {condition}


def levels(check, text, *, stride=MINUTE, step=MINUTE):
    """What `count` makes of windows with these levels: f, w, o, u."""
    names = {"f": "fail", "w": "warn", "o": "ok", "u": "unknown"}
    instance = instance_of()
    return "".join(
        alerts.count(check, instance, place * step, names[letter], stride)[0]
        for place, letter in enumerate(text)
    )


def test_n_of_m_counts_this_window_and_those_before_it():
    """2 of 3: entered with the second bad one, left when two of three are good."""
    assert levels(check_of(times=(2, 3)), "ofoffooof") == "ooofffooo"


def test_a_fail_counts_as_a_warning_too():
    """Two of three at least at warning level are a warning; at fail level alone a fail."""
    assert levels(check_of(times=(2, 3)), "wfofw") == "owwfw"


def test_an_unknown_window_is_no_good_one():
    """It says unknown itself, and leaves the windows around it as they are."""
    assert levels(check_of(times=(2, 3)), "fuf") == "ouf"
    assert levels(check_of(times=(2, 2)), "fuf") == "ouo"


def test_hopping_windows_count_whole_multiples_of_their_size():
    """Windows that share rows with this one say nothing new: of size 3 every third counts."""
    check = check_of(times=(2, 2))
    assert levels(check, "fffoof", stride=3 * MINUTE, step=MINUTE) == "ooooof"


def test_a_long_window_with_a_short_step_is_counted_back_far_enough():
    """A day every five minutes: the window a day before is 288 windows back."""
    step, day = 5 * MINUTE, 1440 * MINUTE
    found = levels(check_of(times=(2, 2)), "f" * 290, stride=day, step=step)
    assert found == "o" * 288 + "ff"


def test_the_history_holds_no_more_than_counts():
    """After any number of windows an alert remembers the last m times its windows' overlap."""
    check, instance = check_of(times=(3, 5)), instance_of()
    for place in range(500):
        alerts.count(check, instance, place * MINUTE, "ok", 2 * MINUTE)
    assert len(instance.history) <= 5 * 2


def drive(check, text, *, instance=None):
    """Signals of one-minute windows with these levels; o, f and u as above."""
    instance, found = instance or instance_of(), []
    names = {"f": "fail", "o": "ok", "u": "unknown"}
    for place, letter in enumerate(text):
        start = place * MINUTE
        sign = alerts.signal(check, instance, names[letter], start, start + MINUTE)
        moved = alerts.move(instance, sign, "critical")
        if moved is not None:
            alerts.record("m", check, instance, moved, start + MINUTE, 0)
        found.append(instance.condition)
    return found


def test_for_asks_a_breach_to_last():
    """Three minutes, counted from the beginning of the first bad window to the end of this one."""
    found = drive(check_of(for_ms=3 * MINUTE), "ofofffff")
    assert found == ["ok", "pending", "ok", "pending", "pending", "firing", "firing", "firing"]


def test_keep_firing_for_asks_a_recovery_to_last():
    """A good window does not end the alert before that time; a bad one starts it anew."""
    found = drive(check_of(keep_firing_for_ms=2 * MINUTE), "foofoooo")
    assert found == ["firing"] * 6 + ["ok", "ok"]


def test_data_that_comes_back_bad_fires_at_once():
    """What fired before the silence need not last for `for` again; good data recovers."""
    for letter, expected in (("f", "firing"), ("o", "ok")):
        check, instance = check_of(for_ms=3 * MINUTE), instance_of()
        drive(check, "ffff", instance=instance)
        moved = alerts.move(instance, "silent", instance.severity)
        assert (instance.condition, moved.reason) == ("no_data", "data_gone")
        assert drive(check, letter, instance=instance) == [expected]


@pytest.mark.parametrize("gap", ["silent", "unknown", "learning"])
def test_a_gap_ends_what_was_only_pending(gap):
    """It had not fired, so what comes back bad has to last for `for` again."""
    check, instance = check_of(for_ms=3 * MINUTE), instance_of()
    assert drive(check, "ff", instance=instance)[-1] == "pending"
    alerts.move(instance, gap, instance.severity)
    sign = alerts.signal(check, instance, "fail", 9 * MINUTE, 10 * MINUTE)
    assert (instance.fired, sign) == (False, "breach")


def test_nothing_is_told_of_an_alert_that_never_was_bad():
    """From unknown to ok and back there is no record; from its first pending on there is each."""
    instance = instance_of()
    assert alerts.move(instance, "ok", "warning") is None
    assert alerts.move(instance, "unknown", "warning") is None
    assert alerts.move(instance, "silent", "warning") is None
    assert alerts.move(instance, "ok", "warning") is None
    moved = alerts.move(instance, "held", "warning")
    assert (moved.previous, moved.reason) == ("ok", "limit_passed")


def test_a_severity_that_changes_while_firing_is_told():
    """Raised and lowered are transitions from firing to firing; the same severity is none."""
    instance = instance_of()
    alerts.move(instance, "held", "warning")
    assert alerts.move(instance, "held", "warning") is None
    assert alerts.move(instance, "held", "critical").reason == "severity_raised"
    assert alerts.move(instance, "held", "info").reason == "severity_lowered"


def test_an_acknowledgement_ends_with_the_alert_and_not_with_a_gap():
    """It stays through no_data, and is gone once the alert has recovered."""
    instance = instance_of()
    alerts.move(instance, "held", "critical")
    instance.acknowledged = True
    alerts.move(instance, "silent", "critical")
    assert instance.flags(0) == ["acknowledged"]
    alerts.move(instance, "ok", "critical")
    assert instance.flags(0) == []


def test_a_silence_is_a_flag_until_its_time():
    """`silenced` stands beside the condition, and half-open as every span."""
    instance = instance_of(silenced_until_ms=100)
    assert (instance.flags(99), instance.flags(100)) == (["silenced"], [])


@pytest.mark.parametrize("seed", range(20))
def test_records_are_numbered_without_a_gap_and_chain(seed):
    """`seq` counts from 1, each record begins where the last ended, equal ids never come twice."""
    draw, instance, told = Random(seed), instance_of(), []
    for at_ms in range(60):
        moved = alerts.move(instance, draw.choice(SIGNALS), draw.choice(["warning", "critical"]))
        if moved is not None:
            told.append(alerts.record("m", check_of(), instance, moved, at_ms, 0))
    assert [record.seq for record in told] == list(range(1, len(told) + 1))
    assert len({record.id for record in told}) == len(told)
    assert len({record.fingerprint for record in told}) == 1
    assert told[0].condition in ("pending", "firing")
    for before, after in itertools.pairwise(told):
        assert after.previous == before.condition


def test_severity_is_outside_the_fingerprint():
    """A warning that becomes critical is the same alert."""
    instance, check = instance_of(), check_of()
    first = alerts.record("m", check, instance, alerts.move(instance, "held", "warning"), 0, 0)
    second = alerts.record("m", check, instance, alerts.move(instance, "held", "critical"), 1, 1)
    assert first.fingerprint == second.fingerprint
    assert (first.severity, second.severity) == ("warning", "critical")


def test_an_alert_that_begins_anew_goes_on_counting():
    """A changed check starts without a past, but a number that was given never comes again."""
    instances = {"k": instance_of()}
    moved = alerts.move(instances["k"], "held", "critical")
    alerts.record("m", check_of(), instances["k"], moved, 0, 0)
    alerts.begin_anew(instances, "k")
    fresh = instances["k"]
    assert (fresh.condition, fresh.fired, fresh.history) == ("unknown", False, [])
    assert alerts.move(fresh, "ok", "critical") is None
    moved = alerts.move(fresh, "held", "critical")
    assert alerts.record("m", check_of(), fresh, moved, 1, 1).seq == 2


def test_an_alert_that_comes_and_goes_flaps():
    """By the share of the last 21 windows that changed it, as Nagios weighs them: 30 %, 15 %."""
    instance = Instance(alert="A", version="1", feature="", segment="")
    said, changes = [], []
    for window in range(60):
        before = instance.condition
        instance.condition = "firing" if window < 24 and window % 3 == 0 else "ok"
        changes.append(before == "firing" or instance.condition == "firing")
        word = alerts.flap(
            instance, changed=(before == "firing") != (instance.condition == "firing")
        )
        if word:
            said.append((window, word))
        weights = np.linspace(0.8, 1.2, 20)
        recent = ([False] * 20 + changes)[-20:]
        share = float(np.dot(weights, recent) / weights.sum())
        if word == "flapping":
            assert share >= 0.3 and instance.condition == "firing"
        if word == "steady":
            assert share <= 0.15
        assert ("flapping" in instance.flags(0)) == instance.flapping
    assert [word for _, word in said] == ["flapping", "steady"]
