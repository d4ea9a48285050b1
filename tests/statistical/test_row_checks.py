"""Row checks at their parameters alarm no more often than docs/methods.md says."""

import numpy as np
import pytest

from inferwatch.core.drift import ROW_METHODS
from inferwatch.core.drift.scale import ERRORS, Scale

ROWS, STREAMS = 100_000, 10
ERRORS_MOST = {"ddm": 5, "eddm": 40, "hddm_a": 5, "hddm_w": 10, "cusum": 5, "ewma": 10}
KINDS = {
    "normal": lambda chance, n: chance.normal(size=n),
    "exponential": lambda chance, n: chance.exponential(size=n),
    "lognormal": lambda chance, n: chance.lognormal(size=n),
}


def alarms(name, scale, make, streams=STREAMS):
    """Findings in streams of 100,000 rows, each with a fresh detector."""
    method, found = ROW_METHODS[name], 0
    for seed in range(streams):
        detector = method.make(scale, method.PARAMS)
        found += len(detector.update_many(make(np.random.default_rng(seed), ROWS)))
    return found


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
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
