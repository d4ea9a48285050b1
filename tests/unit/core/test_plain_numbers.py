"""What a distance is the distance of stands in its alert, in plain numbers, through the fold."""

import pytest

from inferwatch.core import anomaly
from inferwatch.records.definition import Check, Definition, Limit, Reference, Window
from inferwatch.records.events import Deploy
from inferwatch.testing.folding import Log

ROWS = 300


def log_of(metric: str, method: str, limit: float, **options: float) -> Log:
    """A model that learns from its first 300 rows, with one check on windows of as many."""
    above = Limit(direction="above", value=limit, clear=limit)
    check = Check(
        alert="A", metric=metric, method=method, window="w", fail=above, params=dict(options)
    )
    return Log(
        Definition(
            reference=Reference(min_rows=ROWS),
            windows=[Window(name="w", rows=ROWS)],
            checks=[check],
        )
    )


def window(log: Log, number: int, level: float = 0.0, word: str = "web") -> None:
    """300 rows whose numbers lie around a level and whose words are one word and "app"."""
    spread = [level + row % 100 for row in range(ROWS)]
    log.rows(
        ROWS,
        number * 60_000,
        numeric={"amount": spread},
        categories={"kind": ["app", word] * (ROWS // 2)},
        score=[0.25 + level / 1_000] * ROWS,
        prediction=[1.0] * ROWS,
        latency_ms=[20.0 + level] * ROWS,
    )


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("feature.amount", "mean of amount 49.5 → 150"),
        ("feature.kind", "'shop' 0 % → 50 % of rows"),
    ],
)
def test_a_drift_of_a_feature_says_which_way(metric, said):
    """The mean of numbers, the share of the word that changed most."""
    log = log_of(metric, "psi", 0.2)
    window(log, 0)
    window(log, 1, level=100.0, word="shop")
    (alert,) = log.alerts()
    assert alert.condition == "firing" and said in alert.context


def test_a_feature_that_went_missing_is_told_as_such():
    """Before the mean of the few rows that still have it, which is no cause of anything."""
    log = log_of("feature.amount", "psi", 0.2)
    window(log, 0)
    log.rows(
        ROWS,
        60_000,
        numeric={"amount": [90.0] * 30 + [float("nan")] * 270},
        prediction=[1.0] * ROWS,
    )
    (alert,) = log.alerts()
    assert alert.context[:2] == ["amount missing 0 % → 90 % of rows", "mean of amount 49.5 → 90"]


def test_a_drift_of_the_score_says_which_way():
    """The mean of the score."""
    log = log_of("score", "psi", 0.2)
    window(log, 0)
    window(log, 1, level=500.0)
    assert "mean of score 0.25 → 0.75" in log.alerts()[0].context


def test_what_is_odd_says_what_was_usual():
    """The middle of the past windows, and this one's figure."""
    log = log_of("latency.mean", "zscore", 3.0, past_min=5.0)
    for number in range(12):
        window(log, number, level=number % 2)
    window(log, 12, level=400.0)
    assert "latency.mean usually 21 ms, now 420 ms" in log.alerts()[0].context


def test_what_is_odd_for_its_hour_says_what_that_hour_was():
    """Of five days with a few hours each: the same hour's middle, whatever hours have no figure."""
    check = Check(
        alert="A", metric="rows", method="seasonal", params={"period": 24.0, "cycles": 5.0}
    )
    hours = {day * 24 + hour: 1_000.0 + 100 * hour + day for day in range(5) for hour in (3, 4, 9)}
    past = anomaly.hourly(hours, (5 * 24 + 4) * 3_600_000, [], anomaly.kept(check))
    assert anomaly.alike(check, past) == [1_400.0, 1_401.0, 1_402.0, 1_403.0, 1_404.0]
    plain = Check(alert="A", metric="rows", method="zscore")
    assert anomaly.alike(plain, [1.0, float("nan"), 3.0]) == [1.0, 3.0]


@pytest.mark.parametrize(
    ("metric", "method", "params", "span"),
    [
        ("score", "psi", {}, "300 rows of 2023-11-14"),
        ("latency.mean", "zscore", {"past_min": 5.0}, "the windows before"),
        ("latency.mean", "seasonal", {"period": 24.0}, "the same hour before"),
    ],
)
def test_an_alert_says_what_it_was_compared_with(metric, method, params, span):
    """The reference, or windows before it where these are its measure; here one a day."""
    log = log_of(metric, method, 0.2, **params)
    for day in range(12):
        window(log, day * 1_440, level=day % 2)
    window(log, 12 * 1_440, level=400.0)
    assert log.alerts()[-1].reference_span == span


def test_a_version_that_is_worse_since_its_deploy_can_be_taken_back():
    """The alert names the version that was live before."""
    log = log_of("feature.amount", "psi", 0.2)
    window(log, 0)
    for version, at_ms in (("0", 1_000), ("1", 59_000)):
        log.event(Deploy(model=log.model, version=version, time_ms=log.start_ms + at_ms), at_ms)
    window(log, 1, level=100.0)
    (alert,) = log.alerts()
    assert alert.context[:2] == [
        "less than a minute after deploy v1",
        "v0 was live before: roll back to it if it was well",
    ]
