"""What the alerts topic says of the alerts themselves: how often, how long, right or wrong."""

from inferwatch.cli.tally import lines, tally
from inferwatch.testing.alerts import alert_record

HOUR = 3_600_000


def story(fingerprint, *steps, **fields):
    """Transitions of one alert: (condition, reason, hour)."""
    return [
        alert_record(
            seq,
            condition,
            reason=reason,
            at_ms=hour * HOUR,
            fingerprint=fingerprint,
            **fields,
        )
        for seq, (condition, reason, hour) in enumerate(steps, 1)
    ]


def test_beginnings_lengths_and_verdicts_are_counted():
    """A rising severity, a gap in data and a word begin nothing; segments are put together."""
    records = [
        *story(
            "a",
            ("pending", "limit_passed", 0),
            ("firing", "limit_passed", 1),
            ("firing", "severity_raised", 2),
            ("no_data", "data_gone", 3),
            ("firing", "data_back", 4),
            ("firing", "noise", 4),
            ("ok", "recovered", 5),
            ("firing", "limit_passed", 49),
        ),
        *story("b", ("firing", "limit_passed", 1), ("ok", "recovered", 3), ("ok", "useful", 9)),
    ]
    (found,) = tally(records)
    assert (found.fired, found.firing, found.useful, found.noise) == (3, 1, 1, 1)
    assert found.firing_ms == (4 + 2) * HOUR
    assert (found.first_ms, found.last_ms) == (0, 49 * HOUR)
    assert lines([found]).splitlines()[1].split()[2:] == ["3", "1", "1", "1", "3.0", "2.0"]


def test_the_noisiest_comes_first():
    """Then what fires most; each model for itself."""
    records = [
        *story("a", ("firing", "limit_passed", 0), alert="Often"),
        *story("b", ("firing", "limit_passed", 0), alert="Often", segment="x=1"),
        *story("c", ("firing", "limit_passed", 0), ("firing", "noise", 0), alert="Noisy"),
        *story("d", ("firing", "limit_passed", 0), alert="Often", model="team/other"),
    ]
    assert [(one.alert, one.model, one.fired) for one in tally(records)] == [
        ("Noisy", "risk/fraud-scorer", 1),
        ("Often", "risk/fraud-scorer", 2),
        ("Often", "team/other", 1),
    ]
    assert tally([]) == []


def test_what_is_told_twice_ends_once():
    """An end without a beginning, as where the topic's head is gone, counts nothing."""
    (found,) = tally(story("a", ("ok", "recovered", 5), ("ok", "ended", 6)))
    assert (found.fired, found.firing, found.firing_ms) == (0, 0, 0)
    assert lines([found]).splitlines()[1].split()[2:] == ["0", "0", "0", "0", "0.0"]
