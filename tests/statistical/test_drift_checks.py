"""The default drift checks by window, in the fold: false alarms a week, and what they find."""

import csv
import gzip
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inferwatch.config.defaults import default_definition
from inferwatch.core.calibration import EFFECTS
from inferwatch.records.definition import Limit
from inferwatch.testing.folding import Log

pytestmark = pytest.mark.slow

LOANS = Path(__file__).parents[2] / "examples" / "car-loan" / "analysis.csv.gz"
QUARTER_MS = 900_000
HOUR, DAY, WEEK = 4, 96, 672
DRIFT = {"FeatureDrift", "ScoreDrift", "PredictionDrift"}
NUMBERS, WORDS = 16, np.array(["a", "b", "c", "d", "e"])
SHARES = [0.4, 0.25, 0.15, 0.1, 0.1]
MODELS = 3


def definition(method=None):
    """The default set's drift checks, by another method where one is given."""
    found = default_definition()
    checks = [check for check in found.checks if check.alert in DRIFT]
    if method is not None:
        effect = EFFECTS[method]
        limit = Limit(direction="above", value=effect, clear=effect, calibrated=True)
        checks = [msgspec.structs.replace(one, method=method, warn=limit) for one in checks]
    windows = [window for window in found.windows if window.name == "hour"]
    return msgspec.structs.replace(found, windows=windows, checks=checks)


def facts(draw, n):
    """Numbers of several shapes, words, and a score, of n users or rows."""
    numbers = draw.normal(size=(NUMBERS, n))
    numbers[8:12] = np.exp(1.5 * numbers[8:12])
    numbers[12:14] = draw.exponential(size=(2, n))
    numbers[14:] = draw.poisson(2, (2, n))
    return numbers, draw.choice(len(WORDS), n, p=SHARES), 1 / (1 + np.exp(-numbers[0]))


def rows_alone(draw):
    """Quarters of an hour of 350 rows that know nothing of each other."""
    while True:
        yield facts(draw, draw.poisson(350))


def rows_of_users(draw):
    """As many of thirty new users an hour: all rows of one are alike, some send many times more."""
    while True:
        found = facts(draw, 1 + draw.poisson(30 / HOUR - 1))
        times = draw.poisson(47 * draw.lognormal(-0.125, 0.5, len(found[-1])))
        yield [np.repeat(column, times, axis=-1) for column in found]


def watch(traffic, seed, quarters, method=None, change=None):
    """Alerts that begin to fire in so many quarters of an hour, a day more with a `change`: the
    feature of each and the hour after the last quarter, below 0 where nothing has changed yet.
    """
    log, draw = Log(definition(method)), np.random.default_rng(seed)
    rows = traffic(draw)
    for at in range(quarters + (DAY if change else 0)):
        numbers, words, score = next(rows)
        if change and at >= quarters:
            change(numbers)
        n = len(score)
        log.rows(
            n,
            (at * QUARTER_MS + np.arange(n) * QUARTER_MS // max(n, 1)).tolist(),
            numeric={f"n{row}": numbers[row].tolist() for row in range(NUMBERS)},
            categories={"word": WORDS[words].tolist()},
            prediction=(score > 0.5).astype(int).tolist(),
            score=score.tolist(),
        )
    fired = [alert for alert in log.alerts() if alert.condition == "firing"]
    changed_ms = log.start_ms + quarters * QUARTER_MS
    return [(one.feature, (one.window.end - changed_ms) / QUARTER_MS / HOUR) for one in fired]


def alarms_a_week(traffic, method=None):
    """Alerts of a model that begin in its first week, the hours of calibration among them."""
    return sum(len(watch(traffic, seed, WEEK, method)) for seed in range(MODELS)) / MODELS


def test_few_users_alarm_four_times_a_week_at_most():
    """Thirty users an hour whose rows are alike, nothing changes: 19 alerts, from the first."""
    assert alarms_a_week(rows_of_users) <= 4


def test_the_same_by_psi_alarms_more_than_twenty_times():
    """What shipped before: a group without a user is at PSI's floor, and counts as a change."""
    assert alarms_a_week(rows_of_users, "psi") > 20


def test_rows_that_know_nothing_of_each_other_raise_nothing():
    """1,400 rows an hour for a week: not one alarm."""
    assert alarms_a_week(rows_alone) == 0


def change(numbers):
    """Half a deviation, one, twice the variance, nothing but one value, and three in ten gone."""
    numbers[1] += 0.5
    numbers[2] += 1.0
    numbers[3] *= 2**0.5
    numbers[4] = 0.3
    numbers[5, ::3] = np.nan


def test_a_change_in_rows_of_their_own_is_found_within_the_hour():
    """Two days calm, then five features change: those five alerts and no other."""
    for seed in range(MODELS):
        found = dict(watch(rows_alone, seed, 2 * DAY, change=change))
        assert found.keys() == {"n1", "n2", "n3", "n4", "n5"}
        assert all(0 < hours <= 1 for hours in found.values())


def test_a_feature_that_sticks_is_found_among_few_users():
    """However wide the limit that thirty users need, within two hours."""
    for seed in range(MODELS):
        found = watch(rows_of_users, seed, 2 * DAY, change=change)
        assert any(feature == "n4" and 0 < hours <= 2 for feature, hours in found)


def test_the_drift_of_the_car_loans_is_found_within_1500_rows():
    """50,000 real rows, 2,000 an hour: from row 25,000 on two features move, and the scores with
    them. Those three alerts and no other.
    """
    log, step_ms = Log(definition()), 4 * QUARTER_MS // 2_000
    with gzip.open(LOANS, "rt", encoding="utf-8") as file:
        loans = list(csv.DictReader(file))
    names = ["car_value", "debt_to_income_ratio", "loan_length", "driver_tenure"]
    for first in range(0, len(loans), 500):
        rows = loans[first : first + 500]
        log.rows(
            len(rows),
            [(first + at) * step_ms for at in range(len(rows))],
            numeric={name: [float(row[name] or "nan") for row in rows] for name in names},
            score=[float(row["y_pred_proba"]) for row in rows],
        )
    found = {
        one.feature: (one.window.end - log.start_ms) // step_ms
        for one in log.alerts()
        if one.condition == "firing"
    }
    assert found.keys() == {"car_value", "loan_length", ""}
    assert all(25_000 < row <= 26_500 for row in found.values())
