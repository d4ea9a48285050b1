"""The default check on latency: alarms a week where nothing changes, and what it finds."""

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from inferwatch.config.defaults import default_checks
from inferwatch.core import alerts, anomaly, rules
from inferwatch.core.alerts import Instance
from inferwatch.core.rules import Reading
from inferwatch.kernels import sliding_order
from inferwatch.records.definition import Limit

pytestmark = pytest.mark.slow

(CHECK,) = (check for check in default_checks() if check.alert == "LatencyAnomaly")
PARAMS = anomaly.SERIES_METHODS["auto"].PARAMS
MINUTE_MS, WEEK = 60_000, 10_080
WEEKS, MONTH_WEEKS = 12, 52 / 12
LATENCIES = {
    "gamma 2": stats.gamma(2),
    "lognormal 0.5": stats.lognorm(0.5),
    "lognormal 1": stats.lognorm(1.0),
    "lognormal 1.5": stats.lognorm(1.5),
    "Pareto 2.5": stats.pareto(2.5),
}
DAY = 1 + 0.3 * np.sin(2 * np.pi * np.arange(WEEKS * WEEK) / 1_440)


def p99(kind, rows, windows, seed):
    """The p99 of each minute, in ms: the order statistic of `rows` latencies."""
    rank = math.ceil(0.99 * rows)
    shares = np.random.default_rng(seed).beta(rank, rows - rank + 1, windows)
    return 20 * LATENCIES[kind].ppf(shares)


def near(values):
    """Where the check's score may be above 6, so that it need not be asked for each minute.

    The kernel with a ring of as many windows as the check keeps, on values and their means.
    """
    window, smooth = int(PARAMS["window"]), int(PARAMS["smooth"])
    total = np.cumsum(np.insert(values, 0, 0.0))
    first = np.maximum(np.arange(len(values)) - smooth + 1, 0)
    places = np.arange(1, len(values) + 1)
    means = (total[places] - total[first]) / (places - first)
    found = np.zeros(len(values), bool)
    for series in (values, means):
        scores, counts = np.empty(len(values)), np.zeros(2, np.int64)
        ring, ordered = np.zeros(window), np.zeros(window)
        past_min, level = int(PARAMS["past_min"]), PARAMS["level_floor"]
        sliding_order.score(series, past_min, 0.1, level, False, ring, ordered, counts, scores)
        found |= scores > 6.0
    return found


def alarms(values, check=CHECK):
    """Minutes at which the check began to fire, by its own score, limit and `times`."""
    instance, found = Instance(alert=check.alert, version="1", feature="", segment=""), []
    for at, asked in enumerate(near(values).tolist()):
        reading = Reading(0.0)
        if asked:
            past = values[max(0, at - int(PARAMS["window"])) : at]
            score = anomaly.score("auto", check.params, past, values[at])
            reading = Reading(score.value, unknown=score.unknown, peak=score.peak)
        firing = instance.firing_severity()
        level = rules.level(check, reading, firing, failing=instance.failing)
        instance.failing = level != "ok"
        counted = alerts.count(check, instance, at * MINUTE_MS, level, MINUTE_MS)
        sign = alerts.signal(check, instance, counted, at * MINUTE_MS, (at + 1) * MINUTE_MS)
        before = instance.condition
        alerts.move(instance, sign, "warning")
        if instance.condition == "firing" and before != "firing":
            found.append(at)
    return found


@pytest.mark.parametrize("rows", [100, 600, 6_000])
@pytest.mark.parametrize("kind", LATENCIES)
def test_at_most_one_alarm_a_month_without_a_change(kind, rows):
    """Latencies of any tail, from 100 rows a minute on, level or with a day's wave of 30 %."""
    values = p99(kind, rows, WEEKS * WEEK, 21)
    assert len(alarms(values)) <= WEEKS / MONTH_WEEKS
    assert len(alarms(values * DAY)) <= WEEKS / MONTH_WEEKS


def test_a_single_minute_would_not_do():
    """One window above `auto`'s usual limit: of 100 rows with a heavy tail several a week."""
    usual = Limit(direction="above", value=7.5, clear=7.5)
    alone = msgspec.structs.replace(CHECK, warn=usual, times=(1, 1))
    values = p99("lognormal 1", 100, 4 * WEEK, 22)
    assert len(alarms(values, alone)) > 4 * 2


@pytest.mark.parametrize(
    ("rows", "times", "least"), [(100, 5.0, 36), (600, 3.0, 36), (6_000, 2.0, 36)]
)
def test_what_lasts_is_found(rows, times, least):
    """Of 40 models whose latencies become so many times as long, nearly all within ten minutes."""
    found = 0
    for seed in range(40):
        values = p99("lognormal 1", rows, 610, seed)
        values[600:] *= times
        found += any(at >= 600 for at in alarms(values))
    assert found >= least
