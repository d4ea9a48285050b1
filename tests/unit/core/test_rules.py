"""What a check sees in a window, and how bad it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import plan as plans
from inferwatch.core import rules
from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.core.drift.columns import Drift
from inferwatch.core.embeddings import DISTANCE
from inferwatch.core.figure import Figure
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.core.rules import Reading, View
from inferwatch.core.sequential import Sample, Strata, together
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Window,
)
from inferwatch.records.outputs import FeatureFigures, Span

PROFILE = Profile(
    name="p",
    rows=5,
    from_ms=0,
    to_ms=1,
    numeric={"amount": numeric_profile(np.arange(5.0))},
    categories={"kind": category_profile({"a": 3, "b": 1}, missing=1)},
)


def limit_of(direction, value, clear=None, *, relative=False):
    """A limit; it clears where it begins unless told otherwise."""
    clear = value if clear is None else clear
    return Limit(direction=direction, value=value, clear=clear, relative=relative)


def check_of(metric="recall", **options):
    """A check that fails above one half."""
    fail = {"fail": limit_of("above", 0.5)} if "warn" not in options else {}
    return Check(**{"alert": "A", "metric": metric, "window": "fast"} | fail | options)


def view_of(**changes):
    """A window of 100 rows, 80 of them labelled."""
    definition = Definition(windows=[Window(name="fast", size_ms=60_000)])
    fields = {
        "plan": plans.make(definition).windows[0],
        "version": "1",
        "span": Span(name="fast", start=0, end=60_000),
        "segment": "",
        "rows": 100,
        "labels": 80,
        "coverage": 0.8,
        "metrics": {"recall": Figure(0.7, 80), "error_rate": Figure(0.1, 100)},
        "features": {},
        "drifts": {},
        "profile": PROFILE,
        "baseline": {"recall": 0.8},
        "learning": False,
        "series": {},
        "end_ms": 60_000,
        "began_ms": 0,
        "first_offset": 0,
    }
    return View(**fields | changes)


def level(value, *, reference=None, firing="", **limits):
    """Level of a value under limits."""
    check = Check(**{"alert": "A", "metric": "recall", "window": "fast"} | limits)
    return rules.level(check, Reading(value, reference), firing)


def test_warn_and_fail_are_two_limits():
    """Past both is a failure, past one a warning; on the limit is not past it."""
    limits = {"warn": limit_of("above", 1.0), "fail": limit_of("above", 2.0)}
    found = [level(value, **limits) for value in (1.0, 1.1, 2.0, 2.1)]
    assert found == ["ok", "warn", "warn", "fail"]


def test_below_looks_the_other_way():
    """Under the limit is past it."""
    limits = {"warn": limit_of("below", 2.0), "fail": limit_of("below", 1.0)}
    found = [level(value, **limits) for value in (2.0, 1.9, 1.0, 0.9)]
    assert found == ["ok", "warn", "warn", "fail"]


def test_five_percent_is_relative_and_five_points_are_not():
    """A drop from 0.8: by 5 % ends at 0.76, by 5 points at 0.75."""
    percent = {"fail": limit_of("drop", 0.05, relative=True)}
    points = {"fail": limit_of("drop", 0.05)}
    for value, by_percent, by_points in ((0.77, "ok", "ok"), (0.755, "fail", "ok")):
        assert level(value, reference=0.8, **percent) == by_percent
        assert level(value, reference=0.8, **points) == by_points
    assert level(0.745, reference=0.8, **points) == "fail"


def test_a_rise_is_not_a_drop():
    """Each looks in its own direction only."""
    for direction, worse, better in (("drop", 0.5, 0.9), ("rise", 0.9, 0.5)):
        limits = {"fail": limit_of(direction, 0.1)}
        assert level(worse, reference=0.7, **limits) == "fail"
        assert level(better, reference=0.7, **limits) == "ok"


def test_a_change_counts_as_far_as_it_is_sure():
    """Half the interval is taken off the distance, in either direction, before it is a share."""
    for direction, value in (("drop", 0.6), ("rise", 1.0)):
        for relative, most in ((False, 0.15), (True, 0.1875)):
            found = rules.measure(
                limit_of(direction, 0.0, relative=relative), Reading(value, 0.8), 0.05
            )
            assert found == pytest.approx(most)


def test_what_is_surely_twice_as_much_is_so_where_both_figures_are_unsure():
    """Two rates that are exactly the limit apart: a look at each of 200 windows is wrong in at most
    5 % of streams, though the limit is a share of a figure that is itself not known.
    """
    chance = np.random.default_rng(2)
    for share, (mine, theirs) in ((1.0, (100, 100)), (2.0, (950, 50))):
        check = check_of(versus="previous", fail=limit_of("rise", share, relative=True))
        wrong = 0
        for _ in range(100):
            strata = Strata()
            for _ in range(200):
                events = chance.binomial(mine, 0.1 * (1 + share)), chance.binomial(theirs, 0.1)
                one, other = map(float, events)
                strata.add(Sample(mine, one, one), Sample(theirs, other, other))
                found = together(strata)
                reading = Reading(found.mine, found.theirs, unsure=found.half)
                if not found.unknown and rules.level(check, reading, "") == "fail":
                    wrong += 1
                    break
        assert wrong <= 5


def test_what_is_not_sure_begins_nothing_and_ends_nothing():
    """A level begins with all of the interval past its limit, and ends with the figure itself."""
    for direction, towards in (("drop", -1), ("rise", 1)):
        check = check_of(
            versus="previous", warn=limit_of(direction, 0.0), fail=limit_of(direction, 0.1)
        )
        for change, levels in {
            0.04: ("ok", "warn", "warn"),
            0.06: ("warn", "warn", "warn"),
            0.12: ("warn", "warn", "fail"),
            0.16: ("fail", "fail", "fail"),
            -0.01: ("ok", "ok", "ok"),
        }.items():
            reading = Reading(0.8 + towards * change, 0.8, unsure=0.05)
            firing = ("", "warning", "critical")
            assert tuple(rules.level(check, reading, one) for one in firing) == levels


def test_a_share_of_a_negative_reference_is_a_share_of_its_size():
    """Bias may be negative: 50 % of −2 is one unit, in either direction."""
    limits = {"fail": limit_of("rise", 0.5, relative=True)}
    assert level(-1.1, reference=-2.0, **limits) == "ok"
    assert level(-0.9, reference=-2.0, **limits) == "fail"


def test_a_share_of_nothing_is_unknown():
    """No relative change from a reference of 0: it is not fine, it cannot be told."""
    assert level(3.0, reference=0.0, fail=limit_of("rise", 0.5, relative=True)) == "unknown"


@pytest.mark.parametrize(
    ("direction", "values", "expected"),
    [
        ("above", [9, 11, 9, 7, 9], ["ok", "fail", "fail", "ok", "ok"]),
        ("below", [11, 9, 11, 13, 11], ["ok", "fail", "fail", "ok", "ok"]),
    ],
)
def test_a_level_ends_at_its_own_limit(direction, values, expected):
    """Enter at 10, leave at 8 (or 12): between the two it depends on whether it fires."""
    clear = 8.0 if direction == "above" else 12.0
    check = Check(alert="A", metric="rows", fail=limit_of(direction, 10.0, clear))
    firing, found = "", []
    for value in values:
        found.append(rules.level(check, Reading(float(value)), firing))
        firing = "critical" if found[-1] == "fail" else ""
    assert found == expected


def test_a_failure_becomes_a_warning_before_it_ends():
    """Back behind the failure's clear level, but not the warning's: still a warning."""
    check = Check(
        alert="A",
        metric="rows",
        warn=limit_of("above", 10.0, 8.0),
        fail=limit_of("above", 20.0, 18.0),
    )
    found = [rules.level(check, Reading(value), "critical") for value in (19.0, 17.0, 9.0, 8.0)]
    assert found == ["fail", "warn", "warn", "ok"]
    assert rules.level(check, Reading(19.0), "warning") == "warn"


def test_nothing_known_is_neither_good_nor_bad():
    """Unknown and learning are levels of their own."""
    check = check_of()
    assert rules.level(check, Reading(None, unknown="no labels"), "critical") == "unknown"
    assert rules.level(check, Reading(None, unknown="learning", learning=True), "") == "learning"


@pytest.mark.parametrize(
    ("need", "changes", "why"),
    [
        (Need(rows=101), {}, "100 rows of 101"),
        (Need(labels=81), {}, "80 labels of 81"),
        (Need(coverage=0.81), {}, "coverage 80 %"),
        (Need(coverage=0.5), {"coverage": 0.499}, "coverage 49 %"),
        (Need(), {"coverage": 0.79}, "coverage 79 %"),
        (Need(), {"coverage": None}, "coverage 0 %"),
        (Need(), {}, ""),
        (Need(labels=80), {"coverage": 0.01}, ""),
        (Need(rows=100, labels=80, coverage=0.8), {}, ""),
    ],
)
def test_a_check_says_why_it_is_blind(need, changes, why):
    """`when` asks for rows, labels and coverage; a label check that names none for 80 %."""
    reading = rules.read(check_of(need=need), "", view_of(**changes))
    assert (reading.unknown, reading.value) == (why, None if why else 0.7)


def test_other_figures_need_no_labels():
    """A check on service figures speaks whatever the coverage is."""
    view = view_of(labels=0, coverage=None)
    assert rules.read(check_of("error_rate"), "", view).value == 0.1
    assert rules.read(check_of("error_rate", need=Need(rows=101)), "", view).value is None


def test_a_figure_that_is_unknown_says_why():
    """The figure's own reason comes through; a metric that is not there was not measured."""
    view = view_of(metrics={"recall": Figure(None, 0, unknown="no positive label")})
    assert rules.read(check_of(), "", view).unknown == "no positive label"
    assert rules.read(check_of("latency.p99"), "", view).unknown == "not measured"


@pytest.mark.parametrize(
    ("learning", "baseline", "reading"),
    [
        (False, {"recall": 0.8}, Reading(0.7, 0.8)),
        (False, {}, Reading(None, unknown="no reference")),
        (True, {}, Reading(None, unknown="learning", learning=True)),
    ],
)
def test_a_change_needs_a_reference(learning, baseline, reading):
    """While it learns the check says so; without any reference it says that."""
    check = check_of(fail=limit_of("drop", 0.05))
    assert rules.read(check, "", view_of(learning=learning, baseline=baseline)) == reading


def drift_of(psi, effect):
    """A drift with these figures."""
    return Drift(Figure(psi, 100), Figure(effect, 100), Figure(effect, 100), 0.5, numeric=True)


def test_drift_methods_read_their_own_figure():
    """PSI is PSI; KS and chi² are judged by their effect, never by a p-value."""
    view = view_of(drifts={"feature.amount": drift_of(0.3, 0.1), "score": drift_of(0.4, 0.2)})
    for method, feature, score in (("psi", 0.3, 0.4), ("ks", 0.1, 0.2), ("chisquare", 0.1, 0.2)):
        check = check_of("feature.amount", method=method)
        assert rules.read(check, "amount", view).value == feature
        assert rules.read(check_of("score", method=method), "", view).value == score
    absent = rules.read(check_of("feature.gone", method="psi"), "gone", view)
    assert absent.unknown == "not in the reference or not sent"
    learning = rules.read(check_of("score", method="psi"), "", view_of(learning=True))
    assert learning.learning


def test_the_share_of_drifted_features_has_its_own_limit():
    """`params.psi` says from where on a feature counts as drifted; 0.25 without it."""
    drifts = {"feature.a": drift_of(0.3, 0), "feature.b": drift_of(0.2, 0), "score": drift_of(9, 0)}
    view = view_of(drifts=drifts)
    assert rules.read(check_of("drift_share"), "", view).value == 0.5
    assert rules.read(check_of("drift_share", params={"psi": 0.1}), "", view).value == 1.0
    assert rules.read(check_of("drift_share"), "", view_of(learning=True)).learning


def test_the_share_of_drifted_features_counts_by_the_checks_method():
    """By KS it is the effect, above 0.2 or `params.ks`; those without a figure do not count."""
    drifts = {"feature.a": drift_of(9, 0.3), "feature.b": drift_of(9, 0.1)}
    view = view_of(drifts=drifts)
    assert rules.read(check_of("drift_share", method="ks"), "", view).value == 0.5
    assert (
        rules.read(check_of("drift_share", method="ks", params={"ks": 0.05}), "", view).value == 1
    )
    assert rules.read(check_of("drift_share", method="psi"), "", view).value == 1.0
    absent = rules.read(check_of("drift_share", method="wasserstein"), "", view)
    assert (absent.value, absent.unknown) == (None, "no feature could be judged")


@pytest.mark.parametrize("n, known", [(18, False), (19, True)])
def test_few_values_among_many_rows_are_too_few(n, known):
    """`when: {rows: 19}` asks for 19 values of the column that a figure is of, by whatever method,
    however many rows the window has.
    """
    few = Figure(0.9, n)
    drift = Drift(few, few, few, 0.5, numeric=True, distances=dict.fromkeys(WINDOW_METHODS, few))
    view = view_of(
        metrics={
            "latency.p99": few,
            "cpu": Figure(0.9, 1),
            DISTANCE: few,
            "drift_share": Figure(0.9, 7),
        },
        drifts={"feature.amount": drift, "score": drift},
        features={"amount": FeatureFigures(rows=n, missing=100 - n, mean=0.9, sd=0.9)},
        series={name: [0.8, 1.0] * 10 for name in ("latency.p99", "drift_share")},
    )

    def read(metric, method="value"):
        check = check_of(metric, method=method, need=Need(rows=19))
        return rules.read(check, "amount" * metric.startswith("feature."), view)

    readings = [
        *(read(name, method) for name in ("feature.amount", "score") for method in WINDOW_METHODS),
        read("embedding", "sliced_wasserstein"),
        read("latency.p99"),
        read("latency.p99", "zscore"),
        read("feature.amount.mean"),
    ]
    assert {one.unknown for one in readings} == {"" if known else "18 values of 19"}
    assert {one.value is not None for one in readings} == {known}
    assert read("drift_share").unknown == ("" if known else "no feature could be judged")
    assert read("feature.amount.missing").value == (100 - n) / 100  # is of all rows
    assert read("cpu").value == 0.9  # is of samples, which are no rows
    assert read("drift_share", "zscore").value is not None  # is of seven features


def test_freshness_is_the_age_of_the_newest_event():
    """The age that the view carries; a view that was closed before knows none."""
    assert rules.read(check_of("freshness"), "", view_of(behind_ms=250)).value == 250.0
    assert rules.read(check_of("freshness"), "", view_of()).unknown == "not measured"


def test_a_series_check_reads_the_size_of_its_score():
    """A z-score of −8 is as far out as one of 8; too short a past is unknown."""
    past = [float(value) for value in (9, 11) * 10]
    for value in (2.0, 18.0):
        view = view_of(metrics={"rows": Figure(value, 1)}, series={"rows": past})
        score = rules.read(check_of("rows", method="zscore"), "", view)
        assert score.value == pytest.approx(8 / 1.0259784)
    view = view_of(metrics={"rows": Figure(2.0, 1)}, series={"rows": past[:3]})
    assert rules.read(check_of("rows", method="zscore"), "", view).unknown == "3 of 12 windows"


def test_parts_of_a_feature_are_figures_with_their_reference():
    """Missing and unseen as shares, mean and sd as they are; the profile is what they had."""
    view = view_of(
        features={
            "amount": FeatureFigures(rows=6, missing=3, non_finite=1, mean=2.5, sd=1.0),
            "kind": FeatureFigures(rows=8, missing=2, unseen=2),
        }
    )

    def part(name, feature):
        reading = rules.read(check_of(f"feature.{feature}.{name}"), feature, view)
        return reading.value, reading.reference

    assert part("missing", "amount") == (0.4, 0.0)
    assert part("mean", "amount") == (2.5, 2.0)
    assert part("sd", "amount") == (1.0, pytest.approx(1.5811388))
    assert part("missing", "kind") == (0.2, 0.2)
    assert part("unseen", "kind") == (0.25, 0.0)
    assert rules.read(check_of("feature.x.mean"), "x", view).unknown == "not sent"


def test_a_star_stands_for_every_feature_each_an_alert_of_its_own():
    """Those of the reference, in the order of their names; without one, those that were sent."""
    view = view_of(features={"zip": FeatureFigures(rows=1)}, profile=None)
    assert rules.targets(check_of("feature.*", method="psi"), view_of()) == ["amount", "kind"]
    assert rules.targets(check_of("feature.*.missing"), view) == ["zip"]
    assert rules.targets(check_of("feature.a.b.missing"), view) == ["a.b"]
    assert rules.targets(check_of("recall"), view) == [""]


def test_a_star_stands_for_every_class_of_the_window():
    """Whatever their names hold, and each is read by its own figure and reference."""
    names = ("cat", "a.b", "recall", "*")
    metrics = {
        f"class.{name}.{figure}": Figure(place / 10)
        for place, name in enumerate(names)
        for figure in ("recall", "f1")
    } | {"recall": Figure(0.5), "class.dog.f1": Figure(None, unknown="coverage 3 %")}
    view = view_of(metrics=metrics, baseline={"class.a.b.recall": 0.8})
    check = check_of("class.*.recall")
    assert rules.targets(check, view) == sorted(f"class.{name}" for name in names)
    found = {one: rules.read(check, one, view).value for one in rules.targets(check, view)}
    assert found == {f"class.{name}": place / 10 for place, name in enumerate(names)}
    assert rules.read(check, "class.a.b", view).reference == 0.8
    assert "class.dog" in rules.targets(check_of("class.*.f1"), view)
    assert rules.targets(check, view_of(metrics={})) == []


@pytest.mark.parametrize(
    ("metric", "feature", "part"),
    [
        ("feature.amount", "amount", ""),
        ("feature.amount.missing", "amount", "missing"),
        ("feature.a.b", "a.b", ""),
        ("feature.a.b.mean", "a.b", "mean"),
        ("feature.missing", "missing", ""),
        ("latency.mean", "latency.mean", ""),
    ],
)
def test_names_of_features_may_hold_dots(metric, feature, part):
    """The last word is a part only where it is one and something is left before it."""
    assert rules.part_of(metric) == part
    assert rules.feature_of(metric) == feature


@given(st.floats(0.1, 100), st.floats(0.01, 0.9), st.sampled_from(["drop", "rise"]), st.booleans())
def test_the_limit_for_people_is_where_the_level_begins(reference, size, direction, relative):
    """`limit_value` is in the figure's own units: a bit past it fires, a bit before it does not."""
    limit = limit_of(direction, size, relative=relative)
    check = check_of(fail=limit)
    edge = rules.limit_value(check, "critical", Reading(0.0, reference))
    step = -1e-6 if direction == "drop" else 1e-6
    assert rules.passed(limit, Reading(edge + step * 100, reference), firing=False)
    assert not rules.passed(limit, Reading(edge - step * 100, reference), firing=False)


def test_the_limit_for_people_is_that_of_the_severity():
    """The warning's limit for a warning, the failure's for a failure, or the one there is."""
    both = check_of(warn=limit_of("above", 1.0), fail=limit_of("above", 2.0))
    reading = Reading(5.0)
    assert rules.limit_value(both, "warning", reading) == 1.0
    assert rules.limit_value(both, "critical", reading) == 2.0
    assert rules.limit_value(check_of(), "warning", reading) == 0.5
    change = check_of(fail=limit_of("drop", 0.05, relative=True))
    assert rules.limit_value(change, "critical", Reading(0.7, 0.8)) == pytest.approx(0.76)
    assert rules.limit_value(change, "critical", reading) is None


def test_coverage_that_is_waited_for():
    """A label check waits for its own coverage, for none where it counts labels, else for 80 %."""
    assert plans.coverage_needed(check_of()) == 0.8
    assert plans.coverage_needed(check_of(need=Need(coverage=0.3))) == 0.3
    assert plans.coverage_needed(check_of(need=Need(labels=10))) == 0.0
    assert plans.coverage_needed(check_of("error_rate")) == 0.0


def test_checks_are_sorted_by_what_they_read():
    """Window checks to their window, row methods and `absent` apart; no window named: the first."""
    definition = Definition(
        model=ModelFacts(task="binary"),
        windows=[Window(name="fast", size_ms=60_000), Window(name="slow", size_ms=3_600_000)],
        checks=[
            check_of("recall", alert="a", window="slow"),
            check_of("rows", alert="b", window=""),
            Check(alert="c", metric="error", method="adwin"),
            Check(alert="d", metric="traffic", method="absent", for_ms=1),
        ],
    )
    plan = plans.make(definition)
    assert [[check.alert for check in window.checks] for window in plan.windows] == [["b"], ["a"]]
    assert [check.alert for check in plan.row_checks] == ["c"]
    assert [check.alert for check in plan.absent_checks] == ["d"]
    assert [window.reads_labels for window in plan.windows] == [False, True]
    assert [window.pane_ms for window in plan.windows] == [60_000, 3_600_000]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ({"day": (86_400_000, 0), "four": (0, 4), "hour": (3_600_000, 0)}, ["day"]),
        ({"few": (0, 4), "many": (0, 400)}, ["many"]),
    ],
)
def test_labels_are_read_in_the_longest_window_where_no_check_names_one(windows, expected):
    """Of time where there is any: how long the rows of another take nobody knows."""
    definition = Definition(
        windows=[Window(name=name, size_ms=ms, rows=n) for name, (ms, n) in windows.items()]
    )
    read = [one.window.name for one in plans.make(definition).windows if one.reads_labels]
    assert read == expected
