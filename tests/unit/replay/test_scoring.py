"""Scores by incidents: worked by hand, and what holds for any alerts and incidents."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.config.incidents import Incident
from inferwatch.replay.recorded import Recorded, firings
from inferwatch.replay.scoring import WEEK_MS, Found, score, unknown_segments
from inferwatch.testing.alerts import alert_record

HOUR = 3_600_000
MODEL = "risk/fraud-scorer"


def story(*steps, told_after=0, **fields):
    """Transitions of one alert and when they were told: (condition, began, at), in hours."""
    records, previous = [], "ok"
    for seq, (condition, began, at) in enumerate(steps, 1):
        records.append(
            alert_record(seq, condition, previous, at_ms=at * HOUR, began_ms=began * HOUR, **fields)
        )
        previous = condition
    return records, {one.id: one.at_ms + told_after * HOUR for one in records}


def run(*stories, watched=(0, 1_000), **more):
    """A replay of one model that told these stories."""
    records = [record for told, _ in stories for record in told]
    times = {id_: time_ms for _, told in stories for id_, time_ms in told.items()}
    rules = {MODEL: sorted({"RecallDrop", *(record.alert for record in records)})}
    span = (watched[0] * HOUR, watched[1] * HOUR)
    versions = {MODEL: ["11", "12"]}
    segments = {MODEL: ["", "country=DE", "country=FR"]}
    fired = firings(records, times)
    return Recorded("report", fired, {MODEL: span}, rules, more, versions, segments)


def incident(start, end=None, **fields):
    """From hour to hour."""
    end_ms = None if end is None else end * HOUR
    return Incident(
        **{"place": "i.csv:2", "model": MODEL, "from_ms": start * HOUR, "to_ms": end_ms} | fields
    )


def only(report):
    """The score of the one rule."""
    [found] = report.rules
    return found


def test_two_incidents_worked_by_hand():
    """One found 3 h after it began (2 h to the window's end, 1 h until it was told), one missed,
    and a false alarm in 1,000 h less 30 of incidents.
    """
    told = story(
        ("pending", 99, 100),
        ("firing", 100, 102),
        ("ok", 100, 120),
        ("firing", 300, 301),
        ("ok", 300, 302),
        told_after=1,
    )
    report = score(run(told), [incident(100, 110), incident(500, 520, place="i.csv:3")])
    found = only(report)
    assert (found.incidents, found.found, found.already, found.missed) == (2, 1, 0, 1)
    assert (found.firings, found.right, found.early, found.false) == (2, 1, 0, 1)
    assert (found.recall, found.precision) == (0.5, 0.5)
    assert found.delay_median_ms == found.delay_worst_ms == 3 * HOUR
    assert found.quiet_ms == 970 * HOUR
    assert found.false_per_week == pytest.approx(168 / 970)
    first, second = report.incidents
    assert first.found == [Found("RecallDrop", 3 * HOUR)] and second.found == []


def test_the_first_that_is_told_is_the_delay():
    """Of two features, whichever fires first by event time: labels may make it the last told."""
    slow = story(("firing", 10, 11), told_after=9, feature="amount")
    fast = story(("firing", 12, 13), told_after=1, feature="age")
    found = only(score(run(slow, fast), [incident(10, 20)]))
    assert (found.right, found.found, found.delay_worst_ms) == (2, 1, 4 * HOUR)


def test_quiet_time_lies_outside_all_incidents():
    """Those that overlap, lie in each other or reach beyond what was watched are taken out once."""
    times = [(-50, 10), (100, 200), (120, 130), (190, 220), (990, None)]
    found = only(score(run(), [incident(*one) for one in times]))
    assert found.quiet_ms == (1_000 - 10 - 120 - 10) * HOUR


@pytest.mark.parametrize(
    ("began", "at", "expected"),
    [
        (8, 9, "false"),
        (9, 10, "false"),  # the stretch ends where the incident begins
        (9, 11, "right"),
        (19, 21, "right"),  # its last hour was in the window
        (20, 21, "false"),  # the incident was over
        (10, 10, "right"),  # a detector of rows: one moment
        (20, 20, "false"),
    ],
)
def test_what_was_judged_must_overlap_the_incident(began, at, expected):
    """Of [10, 20): half-open as windows are."""
    found = only(score(run(story(("firing", began, at), ("ok", began, at))), [incident(10, 20)]))
    assert getattr(found, expected) == found.firings == 1
    assert found.found == (expected == "right")


def test_grace_takes_in_what_begins_behind():
    """A detector that sees the return to normal: false without grace, of the incident with it."""
    told = story(("firing", 21, 21), ("ok", 21, 22))
    assert only(score(run(told), [incident(10, 20)])).false == 1
    graced = only(score(run(told), [incident(10, 20)], grace_ms=2 * HOUR))
    assert (graced.right, graced.found, graced.delay_worst_ms) == (1, 1, 11 * HOUR)
    assert graced.quiet_ms == (1_000 - 12) * HOUR


def test_a_rule_that_always_fires_finds_nothing():
    """It told once, before anything was wrong: both incidents began while it fired."""
    found = only(score(run(story(("firing", 0, 1))), [incident(100, 110), incident(500, 520)]))
    assert (found.found, found.already, found.missed) == (0, 2, 0)
    assert (found.firings, found.right, found.early, found.false) == (1, 0, 1, 0)
    assert (found.recall, found.precision) == (0.0, 0.0)


def test_a_gap_in_data_and_another_severity_begin_nothing():
    """One firing until `ok`, and none where a rule was pending only."""
    gap = story(
        ("firing", 10, 11),
        ("no_data", 10, 12),
        ("firing", 10, 13),
        ("firing", 10, 14),
        ("ok", 10, 15),
    )
    pending = story(("pending", 10, 11), ("ok", 10, 12), segment="country=DE")
    found = only(score(run(gap, pending), [incident(10, 20)]))
    assert (found.firings, found.right, found.found) == (1, 1, 1)


def test_versions_and_segments_narrow_an_incident():
    """An alert of all rows counts for a segment's incident, one of another segment does not."""
    whole, german, french, old = (
        story(("firing", 10, 11), **fields)
        for fields in (
            {},
            {"segment": "country=DE"},
            {"segment": "country=FR"},
            {"version": "11"},
        )
    )
    narrow = incident(10, 20, segment="country=DE", version="12")
    found = only(score(run(whole, german, french, old), [narrow]))
    assert (found.firings, found.right, found.false) == (4, 2, 2)
    assert found.quiet_ms == 1_000 * HOUR  # for the others it was


def test_a_rule_is_asked_for_what_its_name_matches_and_blamed_for_no_other():
    """A drift that `alert: Drift*` should find: recall may say so too, and misses nothing."""
    drift = story(("firing", 10, 11), alert="DriftOfAmount")
    recall = story(("firing", 12, 13))
    report = score(run(drift, recall), [incident(10, 20, alert="Drift*")])
    by_name = {one.alert: one for one in report.rules}
    assert (by_name["DriftOfAmount"].found, by_name["DriftOfAmount"].incidents) == (1, 1)
    told = by_name["RecallDrop"]
    assert (told.incidents, told.right, told.false, told.recall) == (0, 1, 0, None)


def test_what_is_only_observed_is_scored_and_not_told():
    """Its own line has it, the line of all that tell does not."""
    report = score(run(story(("firing", 10, 11), mode="observe")), [incident(10, 20)])
    assert only(report).observed and only(report).found == 1
    assert (report.together.found, report.together.firings) == (0, 0)


def test_what_cannot_be_scored_is_left_out_with_the_reason():
    """A model that is not there, and a time that was not watched; the rest is scored."""
    report = score(
        run(story(("firing", 10, 11)), watched=(5, 50)),
        [
            incident(10, 20),
            incident(10, 20, model="risk/frod*", place="i.csv:3"),
            incident(60, 70, place="i.csv:4"),
            incident(1, 5, place="i.csv:5"),
            incident(10, 20, version="canary", place="i.csv:6"),
        ],
    )
    assert only(report).incidents == 1
    outside = "lies outside of what report watched"
    assert report.left_out == {
        "i.csv:3": "'risk/frod*' is no model of report",
        "i.csv:4": outside,
        "i.csv:5": outside,
        "i.csv:6": "no window of report is of version 'canary'",
    }


def test_a_segment_that_no_window_has_is_told():
    """Alerts on all rows may still find the incident, so it is scored."""
    known = [
        incident(10, 20, segment="country=DE"),
        incident(10, 20, segment="country=DEE", place="i.csv:3"),
    ]
    replayed = run(story(("firing", 10, 11)))
    why = "no window of report is of segment 'country=DEE' (did you mean 'country=DE'?)"
    assert unknown_segments(replayed, known) == {"i.csv:3": why}
    assert only(score(replayed, known)).found == 2


def test_an_incident_before_what_was_watched_is_not_scored_for_its_grace():
    """No rule could have found it: it would be missed by all."""
    report = score(run(watched=(21, 50)), [incident(10, 20)], grace_ms=5 * HOUR)
    assert report.incidents == [] and list(report.left_out) == ["i.csv:2"]


def test_without_incidents_all_is_false_and_nothing_is_missed():
    """A quiet month: false alarms a week of all that was watched; no share of nothing."""
    found = only(score(run(story(("firing", 10, 11)), watched=(0, 336)), []))
    assert (found.false, found.false_per_week) == (1, 0.5)
    assert (found.incidents, found.recall, found.delay_worst_ms) == (0, None, None)
    nothing = only(score(run(watched=(0, 336)), []))
    assert (nothing.firings, nothing.precision, nothing.false_per_week) == (0, None, 0.0)


def test_a_check_that_was_never_judged_says_so():
    """Its silence proves nothing."""
    found = only(score(run(**{MODEL: {"RecallDrop": "40 labels of 200"}}), [incident(10, 20)]))
    assert (found.missed, found.unjudged) == (1, "40 labels of 200")


CONDITIONS = st.sampled_from(["pending", "firing", "no_data", "ok"])
STORIES = st.lists(
    st.tuples(
        st.lists(st.tuples(CONDITIONS, st.integers(0, 3), st.integers(0, 9)), max_size=8),
        st.sampled_from(["RecallDrop", "Drift"]),
        st.sampled_from(["", "country=DE", "country=FR"]),
        st.sampled_from(["11", "12"]),
    ),
    max_size=6,
    unique_by=lambda one: one[1:],
)
INCIDENTS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.none() | st.integers(1, 20),
        st.sampled_from(["*", "Drift", "Recall*"]),
        st.sampled_from(["", "country=DE"]),
        st.sampled_from(["", "12"]),
    ),
    max_size=5,
)


def told(drawn):
    """Stories whose times go up."""
    stories = []
    for steps, alert, segment, version in drawn:
        at, placed = 0, []
        for condition, before, later in steps:
            at += later
            placed.append((condition, at - before, at))
        fields = {"alert": alert, "segment": segment, "version": version}
        stories.append(story(*placed, told_after=1, **fields))
    return stories


def known(drawn):
    """Incidents, each at its place."""
    return [
        incident(
            start,
            None if lasts is None else start + lasts,
            place=f"i.csv:{line}",
            alert=alert,
            segment=segment,
            version=version,
        )
        for line, (start, lasts, alert, segment, version) in enumerate(drawn, 2)
    ]


@given(STORIES, INCIDENTS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_each_firing_and_each_incident_is_counted_once(drawn, times, grace, draw):
    """firings = right + early + false = beginnings; incidents = found + already + missed; rates are
    counts over time; delays of what was found are those of the incidents' own lines. The order of
    records and of incidents does not show.
    """
    stories, incidents = told(drawn), known(times)
    recorded = run(*stories, watched=(0, 100))
    report = score(recorded, incidents, grace * HOUR)
    assert sum(one.firings for one in report.rules) == len(recorded.firings)
    for one in [*report.rules, report.together]:
        assert one.right + one.early + one.false == one.firings
        assert one.found + one.already + one.missed == one.incidents
        assert min(one.found, one.already, one.missed, one.right, one.early, one.false) >= 0
        assert one.right >= (one.found > 0)
        assert 0 <= one.quiet_ms <= 100 * HOUR
        if one.quiet_ms:
            assert one.false_per_week == one.false * WEEK_MS / one.quiet_ms
    assert [one.firing for one in report.firings] == recorded.firings
    kinds = [one.outcome for one in report.firings]
    for kind in ("right", "early", "false"):
        assert kinds.count(kind) == sum(getattr(one, kind) for one in report.rules)
    assert report.together.found == sum(bool(one.found) for one in report.incidents)
    assert len(report.incidents) + len(report.left_out) == len(incidents)
    draw.shuffle(stories)
    shuffled = [(draw.sample(records, len(records)), times) for records, times in stories]
    again = score(run(*shuffled, watched=(0, 100)), incidents, grace * HOUR)
    assert msgspec.json.encode(again) == msgspec.json.encode(report)
    mixed = score(recorded, draw.sample(incidents, len(incidents)), grace * HOUR)
    assert (mixed.rules, mixed.together) == (report.rules, report.together)


def brute(firing, case, grace):
    """Whether some millisecond-wide hour of what was judged lies in the incident: hour by hour."""
    hours = range(firing.began_ms // HOUR, max(firing.at_ms // HOUR, firing.began_ms // HOUR + 1))
    end = 10**6 if case.to_ms is None else case.to_ms // HOUR + grace
    return any(case.from_ms // HOUR <= hour < end for hour in hours)


@pytest.mark.parametrize("seed", range(20))
def test_right_is_what_an_hour_by_hour_comparison_says(seed):
    """An independent oracle: the hours that were judged against those of each incident."""
    draw = random.Random(seed)
    steps, at = [], 0
    for _ in range(12):
        at += draw.randrange(1, 9)
        steps += [("firing", at - draw.randrange(3), at), ("ok", at, at)]
    times = [(draw.randrange(80), draw.randrange(1, 12), "*", "", "") for _ in range(3)]
    recorded, incidents, grace = run(story(*steps), watched=(0, 100)), known(times), seed % 3
    found = only(score(recorded, incidents, grace * HOUR))
    right = [any(brute(firing, case, grace) for case in incidents) for firing in recorded.firings]
    assert found.right == sum(right)
    assert found.found == sum(
        any(brute(firing, case, grace) for firing in recorded.firings) for case in incidents
    )
