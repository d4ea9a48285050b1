"""Row checks at their parameters alarm no more often than docs/methods.md says."""

import numpy as np
import pytest

from inferwatch.core.drift import ROW_METHODS
from inferwatch.core.drift.scale import ERRORS, Scale

ROWS, STREAMS = 100_000, 10
ERRORS_MOST = {"ddm": 5, "eddm": 40, "hddm_a": 5, "hddm_w": 10, "cusum": 5, "ewma": 10}
KINDS = {
    "normal": lambda chance, n: chance.normal(size=n),
    "uniform": lambda chance, n: chance.random(n),
    "exponential": lambda chance, n: chance.exponential(size=n),
    "t3": lambda chance, n: chance.standard_t(3, size=n),
    "lognormal": lambda chance, n: chance.lognormal(size=n),
    "pareto": lambda chance, n: 1 + chance.pareto(1.5, size=n),
}


def alarms(name, scale, make, streams=STREAMS):
    """Findings in streams of 100,000 rows, each with a fresh detector."""
    method, found = ROW_METHODS[name], 0
    for seed in range(streams):
        detector = method.make(scale, method.PARAMS)
        found += len(detector.update_many(make(np.random.default_rng(seed), ROWS)))
    return found


@pytest.mark.parametrize("rate", [0.0001, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("name", ERRORS_MOST)
def test_errors_without_a_change_alarm_as_seldom_as_documented(name, rate):
    """In 10⁶ errors of one rate."""
    found = alarms(name, ERRORS, lambda chance, n: (chance.random(n) < rate).astype(np.float64))
    assert found <= ERRORS_MOST[name]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "streams"), [("hddm_a", 10), ("cusum", 10), ("ewma", 10), ("kswin", 2)]
)
def test_values_without_a_change_alarm_as_seldom_as_documented(name, streams, kind):
    """At most 5 in 10⁶ values of any shape, scaled by a reference of the same."""
    seen = KINDS[kind](np.random.default_rng(99), 50_000)
    low, high = np.quantile(seen, [0.001, 0.999]).tolist()
    scale = Scale(low, high, float(seen.mean()), float(seen.std()))
    assert alarms(name, scale, KINDS[kind], streams) <= 5 * streams // STREAMS


@pytest.mark.parametrize(
    ("name", "before", "after", "most"),
    [
        ("hddm_w", 0.1, 0.2, 1_600),
        ("hddm_w", 0.2, 0.1, 1_600),
        ("hddm_a", 0.1, 0.2, 700),
        ("ddm", 0.1, 0.2, 1_100),
        ("ddm", 0.2, 0.1, 1_500),
        ("ddm", 0.4, 0.1, 600),
        ("eddm", 0.1, 0.2, 2_500),
        ("eddm", 0.4, 0.1, 4_500),
        ("cusum", 0.01, 0.2, 100),
        ("cusum", 0.1, 0.2, 2_700),
        ("ewma", 0.01, 0.2, 100),
        ("ewma", 0.1, 0.2, 600),
    ],
)
def test_another_rate_of_errors_is_found_as_soon_as_documented(name, before, after, most):
    """Median of fifteen streams with a change after 5,000 errors; 10,000 stands for missed."""
    method, found = ROW_METHODS[name], []
    for seed in range(15):
        chance, detector = np.random.default_rng(seed), method.make(ERRORS, method.PARAMS)
        detector.update_many((chance.random(5_000) < before).astype(np.float64))
        rows = detector.update_many((chance.random(10_000) < after).astype(np.float64))
        found.append(rows[0].row if rows else 10_000)
    assert np.median(found) <= most
