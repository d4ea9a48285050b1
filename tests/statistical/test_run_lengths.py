"""How long detectors of single values run before a false alarm, and how soon they find a change.

The figures are those that their docstrings and docs/methods.md name. A few seconds in all.
"""

import numpy as np
import pytest
from river.drift import KSWIN
from scipy import stats

from inferwatch.detectors import make
from inferwatch.testing.error_streams import rivers


def run_length(name, shift, rows, **params):
    """Mean number of values up to an alarm, of normal ones `shift` deviations off the target."""
    detector, generator = make(name, target=0.0, sd=1.0, **params), np.random.default_rng(17)
    found = [-1]
    for _ in range(rows // 500_000):
        found += detector.update_many(generator.normal(shift, 1, 500_000))
    return np.diff(found).mean()


def brook_evans(h, k, shift, states=300):
    """Run length of both sums together, each as a Markov chain (Brook and Evans 1972)."""
    both = 0.0
    for way in (shift, -shift):
        width = 2 * h / (2 * states - 1)
        middle = np.arange(states) * width
        step = middle[None, :] - middle[:, None] + k - way
        chances = stats.norm.cdf(step + width / 2) - stats.norm.cdf(step - width / 2)
        chances[:, 0] = stats.norm.cdf(step[:, 0] + width / 2)
        both += 1 / np.linalg.solve(np.eye(states) - chances, np.ones(states))[0]
    return 1 / both


@pytest.mark.parametrize(
    ("h", "shift", "rows", "published"),
    [
        (4.0, 0.0, 4_000_000, 168),
        (5.0, 0.0, 10_000_000, 465),
        (5.0, 0.5, 1_000_000, 38.0),
        (5.0, 1.0, 1_000_000, 10.4),
        (5.0, 2.0, 1_000_000, 4.01),
        (8.0, 1.0, 1_000_000, 16.4),
        (10.0, 1.0, 1_000_000, 20.4),
    ],
)
def test_cusum_runs_as_long_as_published(h, shift, rows, published):
    """Within 3 % of Montgomery's table and of a Markov chain's solution."""
    found = run_length("cusum", shift, rows, h=h)
    assert found == pytest.approx(published, rel=0.03)
    assert found == pytest.approx(brook_evans(h, 0.5, shift), rel=0.03)


def test_cusum_is_calm_on_long_streams_with_a_wide_limit():
    """h 8: 9,500 values, h 10: 70,000; some 20 alarms in 1.5 million values of the latter."""
    assert run_length("cusum", 0.0, 20_000_000, h=8.0) == pytest.approx(9_500, rel=0.1)
    detector, generator = make("cusum", target=0, sd=1, h=10), np.random.default_rng(3)
    assert 8 <= len(detector.update_many(generator.normal(size=1_500_000))) <= 40


@pytest.mark.parametrize(
    ("weight", "limit", "shift", "rows", "expected"),
    [
        (0.2, 2.962, 0.0, 8_000_000, 500),
        (0.1, 2.814, 0.0, 8_000_000, 500),
        (0.2, 2.962, 1.0, 1_000_000, 9.6),
        (0.1, 2.814, 1.0, 1_000_000, 8.1),
        (0.1, 4.5, 1.0, 1_000_000, 24.8),
        (0.2, 4.5, 1.0, 1_000_000, 46.0),
    ],
)
def test_ewma_runs_as_long_as_documented(weight, limit, shift, rows, expected):
    """500 in control as Lucas and Saccucci publish it, 5 % less for limits narrow at first."""
    found = run_length("ewma", shift, rows, lambda_val=weight, limit=limit)
    assert found == pytest.approx(expected, rel=0.05)


def test_ewma_is_calm_on_long_streams_with_wide_limits():
    """λ 0.1, L 4.5: about one alarm in 300,000 values."""
    detector = make("ewma", target=0, sd=1, lambda_val=0.1, limit=4.5)
    generator = np.random.default_rng(3)
    found = [detector.update_many(generator.normal(size=500_000)) for _ in range(12)]
    assert 8 <= sum(map(len, found)) <= 40


def test_a_learnt_level_alarms_sooner():
    """After 100 values to learn from, half of the runs end within 300 values, a tenth within 60."""
    for name in ("cusum", "ewma"):
        runs = []
        for seed in range(800):
            found = make(name).update_many(np.random.default_rng(seed).normal(size=4_000))
            runs.append(found[0] - 100 if found else 4_000)
        assert 180 < np.median(runs) < 310
        assert 20 < np.quantile(runs, 0.1) < 60


def test_kswin_alarms_as_often_as_rivers():
    """Without a change 1.3 times in 1,000 values; river's count is one that this rate gives."""
    generator = np.random.default_rng(4)
    rate = len(make("kswin").update_many(generator.normal(size=300_000))) / 300_000
    assert 0.001 < rate < 0.0016
    theirs = len(rivers(KSWIN(seed=1), generator.normal(size=4_000)))
    assert stats.poisson.ppf(1e-3, rate * 4_000) <= theirs <= stats.poisson.ppf(0.999, rate * 4_000)


def test_a_clock_and_a_small_alpha_calm_kswin():
    """A look at each tenth value: a fifth of the alarms; alpha 10⁻⁴ too: a fiftieth."""
    values = np.random.default_rng(5).normal(size=300_000)
    assert 30 < len(make("kswin", clock=10).update_many(values)) < 110
    assert len(make("kswin", clock=10, alpha=1e-4).update_many(values)) < 25


def test_kswin_finds_as_soon_as_rivers():
    """1.5 deviations after 110 values are found within some 18 values by both."""
    ours, theirs = [], []
    for seed in range(300):
        generator = np.random.default_rng(seed)
        values = np.concatenate([generator.normal(size=110), generator.normal(1.5, 1, 90)])
        found = [row for row in make("kswin", seed=seed).update_many(values) if row >= 110]
        ours.append(found[0] - 110 if found else 90)
        if seed < 12:
            found = [row for row in rivers(KSWIN(seed=seed), values[:160]) if row >= 110]
            theirs.append(found[0] - 110 if found else 50)
    assert 14 < np.median(ours) < 20
    assert abs(np.median(theirs) - np.median(ours)) < 5


def errors(generator, rate, n):
    """Zeros and ones."""
    return (generator.random(n) < rate).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "rate", "least", "most"),
    [
        ("ddm", 0.1, 5, 25),
        ("ddm", 0.3, 0, 12),
        ("eddm", 0.1, 300, 600),
        ("eddm", 0.3, 150, 350),
        ("hddm_a", 0.1, 0, 4),
        ("hddm_a", 0.3, 1, 20),
        ("hddm_w", 0.1, 0, 4),
        ("hddm_w", 0.3, 250, 600),
        ("adwin", 0.1, 0, 1),
        ("adwin", 0.3, 0, 1),
    ],
)
def test_detectors_of_errors_alarm_as_often_as_documented(name, rate, least, most):
    """Alarms in 10⁶ errors without a change, ten streams, of the size that the page names."""
    streams = [errors(np.random.default_rng(seed), rate, 100_000) for seed in range(10)]
    assert least <= sum(len(make(name).update_many(stream)) for stream in streams) <= most


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("ddm", 0.2, 0.4, 640),
        ("ddm", 0.1, 0.15, 1_600),
        ("hddm_a", 0.2, 0.4, 155),
        ("hddm_a", 0.1, 0.15, 1_800),
        ("hddm_w", 0.2, 0.4, 47),
        ("hddm_w", 0.1, 0.15, 10_000),
        ("adwin", 0.2, 0.4, 143),
        ("adwin", 0.1, 0.15, 1_000),
    ],
)
def test_detectors_of_errors_find_as_soon_as_documented(name, before, after, expected):
    """Median of thirty streams with a rise after 10,000 errors; 10,000 stands for missed."""
    found = []
    for seed in range(30):
        generator, detector = np.random.default_rng(seed), make(name)
        detector.update_many(errors(generator, before, 10_000))
        rows = detector.update_many(errors(generator, after, 10_000))
        found.append(rows[0] - 10_000 if rows else 10_000)
    assert expected / 1.3 <= np.median(found) <= expected * 1.3
