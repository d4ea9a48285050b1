"""The words in an alert: whole phrases, ranked, and none where nothing is known."""

import numpy as np
import pytest

from inferwatch.core import diagnose
from inferwatch.core.drift.columns import Drift
from inferwatch.core.figure import Figure
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.records.events import Deploy

MINUTE = 60_000


def drift_of(psi):
    """A drift with this PSI."""
    return Drift(Figure(psi), Figure(0.0), Figure(0.0), None, numeric=True)


def test_features_are_ranked_by_psi_and_ties_by_name():
    """What is unknown, and what is no feature, is left out."""
    drifts = {
        "feature.b": drift_of(0.5),
        "feature.a": drift_of(0.5),
        "feature.c": drift_of(4.0),
        "feature.d": drift_of(None),
        "score": drift_of(9.0),
    }
    assert diagnose.ranked(drifts) == [("c", 4.0), ("a", 0.5), ("b", 0.5)]


def test_causes_name_three_features_and_count_the_quiet_ones():
    """A reference that is not known gives no words at all."""
    drifted = [("a", 4.123), ("b", 1.0), ("c", 0.3), ("d", 0.26), ("e", 0.1)]
    assert diagnose.causes(drifted, 5) == [
        "a (PSI 4.12)",
        "b (PSI 1.00)",
        "c (PSI 0.30)",
        "1 of 5 features quiet",
    ]
    assert diagnose.causes([], 0) == []
    assert diagnose.causes([("a", 0.25)], 1) == ["1 of 1 features quiet"]


@pytest.mark.parametrize(
    ("ago_ms", "phrase"),
    [
        (0, ["less than a minute after deploy v2"]),
        (MINUTE, ["one minute after deploy v2"]),
        (12 * MINUTE, ["twelve minutes after deploy v2"]),
        (13 * MINUTE, ["13 minutes after deploy v2"]),
        (60 * MINUTE, ["60 minutes after deploy v2"]),
        (60 * MINUTE + 1, []),
        (-1, []),
    ],
)
def test_a_deploy_within_an_hour_before_is_named(ago_ms, phrase):
    """The last one before the beginning; one after it explains nothing."""
    deploys = [Deploy(model="m", version="2", time_ms=1_000_000)]
    assert diagnose.after_deploy(deploys, 1_000_000 + ago_ms, "2") == phrase


def test_how_long_a_version_is_live():
    """By its own newest record, in the largest unit that says it; nothing without one."""
    deploys = [
        Deploy(model="m", version="12", time_ms=0),
        Deploy(model="m", version="13", time_ms=9 * MINUTE),
        Deploy(model="m", version="12", time_ms=10 * MINUTE, kind="rollback"),
    ]
    for minutes, words in (
        (10, "less than a minute"),
        (11, "one minute"),
        (129, "119 minutes"),
        (130, "2 hours"),
        (48 * 60 + 9, "47 hours"),
        (3 * 24 * 60, "2 days"),
    ):
        said = diagnose.since_deploy(deploys, minutes * MINUTE, "12")
        assert said == [f"{words} after rollback v12"]
    assert diagnose.since_deploy(deploys, 9 * MINUTE, "12") == ["nine minutes after deploy v12"]
    assert diagnose.since_deploy(deploys, 8 * MINUTE, "13") == []


def test_the_last_deploy_rules_and_a_rollback_says_so():
    """By its own time, wherever it stands in the list."""
    deploys = [
        Deploy(model="m", version="1", time_ms=9 * MINUTE, kind="rollback"),
        Deploy(model="m", version="2", time_ms=5 * MINUTE),
        Deploy(model="m", version="3", time_ms=11 * MINUTE),
    ]
    assert diagnose.after_deploy(deploys, 10 * MINUTE, "1") == ["one minute after rollback v1"]


def test_a_version_that_is_worse_since_its_deploy_names_the_one_before():
    """Only what went live can be taken back: not after a rollback, not for an older version."""
    deploys = [
        Deploy(model="m", version=version, time_ms=at * MINUTE)
        for version, at in (("1", 1), ("2", 5), ("3", 8), ("3", 9))
    ]
    assert diagnose.after_deploy(deploys, 10 * MINUTE, "3") == [
        "one minute after deploy v3",
        "v2 was live before: roll back to it if it was well",
    ]
    assert diagnose.after_deploy(deploys, 10 * MINUTE, "2") == ["one minute after deploy v3"]
    back = [*deploys, Deploy(model="m", version="2", time_ms=10 * MINUTE, kind="rollback")]
    assert diagnose.after_deploy(back, 11 * MINUTE, "2") == ["one minute after rollback v2"]


def test_a_distance_from_windows_before_is_told_in_the_figure_itself():
    """What was usual and what is now, in numbers as people write them."""
    past = [1_180.0, 1_200.0, 90_000.0]
    assert diagnose.usual("rows", past, 300.0) == ["rows usually 1,200, now 300"]
    assert diagnose.usual("latency.p50", [80.04], 1234.5) == [
        "latency.p50 usually 80 ms, now 1,234 ms"
    ]
    assert diagnose.usual("rows", [], 300.0) == diagnose.usual("rows", past, None) == []


def test_a_drift_says_which_way():
    """The mean of numbers, the word whose share changed most; nothing where nothing is known."""
    amounts = numeric_profile(np.array([30_000.0, 30_200.0]))
    assert diagnose.moved_mean("amount", amounts, 42_345.6) == ["mean of amount 30,100 → 42,346"]
    assert diagnose.moved_mean("amount", None, 1.0) == []
    assert diagnose.moved_mean("amount", amounts, None) == []
    kinds = category_profile({"web": 50, "app": 50}, 0)
    assert diagnose.moved_word(kinds, {"web": 12, "app": 60, "shop": 28}) == [
        "'web' 50 % → 12 % of rows"
    ]
    assert diagnose.moved_word(kinds, {"web": 0, "shop": 7}) == ["'shop' 0 % → 100 % of rows"]
    assert diagnose.moved_word(kinds, {}) == []


def test_gaps_are_told_where_they_are_what_moved():
    """Of a column that went missing the mean of the few rows left says nothing: from ten points on
    the share of gaps is told too, whichever way it went.
    """
    assert diagnose.moved_gaps("age", 0.0, 0.996) == ["age missing 0 % → 99 % of rows"]
    assert diagnose.moved_gaps("age", 0.31, 0.2) == ["age missing 31 % → 20 % of rows"]
    assert diagnose.moved_gaps("age", 0.05, 0.14) == []
    assert diagnose.moved_gaps("age", None, 1.0) == diagnose.moved_gaps("age", 0.0, None) == []


def test_other_segments_are_those_of_the_same_column():
    """Unchanged, or which ones moved too; those that nobody can tell are no witnesses."""
    levels = {
        "country=DE": "fail",
        "country=FR": "ok",
        "country=IT": "unknown",
        "channel=web": "fail",
    }
    assert diagnose.other_segments("country=DE", levels) == ["other country values unchanged"]
    assert diagnose.other_segments("country=FR", levels) == ["also country=DE"]
    assert diagnose.other_segments("channel=web", levels) == []
    assert diagnose.other_segments("", levels) == []
    many = {f"country={name}": "warn" for name in "ABCDE"}
    assert diagnose.other_segments("country=A", many) == ["also country=B, country=C, country=D …"]


def test_latency_is_normal_or_how_it_moved():
    """Against the windows before; nothing while there are too few of them."""
    past = [10.0, 11.0] * 10
    assert diagnose.latency(past, 11.0) == ["latency normal"]
    assert diagnose.latency(past, 42.0) == ["latency p99 10.5 → 42 ms"]
    assert diagnose.latency(past[:3], 42.0) == []
    assert diagnose.latency(past, None) == []
