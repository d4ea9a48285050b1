"""How often detectors and tests speak when nothing has changed, at the parameters we ship."""

import math

import numpy as np
import pytest
from river.drift import ADWIN
from river.drift import PageHinkley as RiverPageHinkley
from scipy.signal import lfilter
from scipy.stats import t as student

from inferwatch.core import anomaly
from inferwatch.core.drift.adwin import Adwin
from inferwatch.core.drift.chi_square import chi_square
from inferwatch.core.drift.ks import ks_rows
from inferwatch.core.drift.page_hinkley import PageHinkley
from inferwatch.core.drift.scale import Scale
from inferwatch.core.metrics import ranked
from inferwatch.core.reference import numeric_profile

pytestmark = pytest.mark.slow

STREAMS = {
    "normal": lambda generator, n: generator.normal(size=n),
    "exponential": lambda generator, n: generator.exponential(size=n),
    "errors of 10 %": lambda generator, n: (generator.random(n) < 0.1).astype(float),
    "Student's t, 3": lambda generator, n: generator.standard_t(3, n),
    "lognormal, sd 1": lambda generator, n: generator.lognormal(0, 1, n),
    "lognormal, sd 2": lambda generator, n: generator.lognormal(0, 2, n),
    "Pareto 1.5": lambda generator, n: generator.pareto(1.5, n),
}
HEAVY = ("lognormal, sd 1", "lognormal, sd 2", "Pareto 1.5")


def alarms(method, kind, rows, seeds):
    """Alarms of `method` on `rows` rows of each seed, scaled by 5,000 reference rows."""
    found = 0
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        profile = numeric_profile(STREAMS[kind](generator, 5_000))
        scale = Scale(profile.low, profile.high, profile.mean, profile.sd)
        values = STREAMS[kind](generator, rows)
        found += len(method.make(scale, method.PARAMS).update_many(values))
    return found


def rivers(detector, values):
    """Alarms of one of river's detectors."""
    found = 0
    for value in values.tolist():
        detector.update(value)
        found += detector.drift_detected
    return found


@pytest.mark.parametrize("kind", STREAMS)
def test_adwin_scaled_by_its_reference_keeps_quiet(kind):
    """400,000 rows of any shape, heavy tails too: not one alarm."""
    assert alarms(Adwin, kind, 100_000, 4) == 0


@pytest.mark.parametrize("kind", HEAVY)
def test_adwin_unscaled_would_not(kind):
    """The same heavy tails as they come: several alarms in 100,000 rows, so the scale is needed."""
    assert rivers(ADWIN(), STREAMS[kind](np.random.default_rng(0), 100_000)) >= 5


@pytest.mark.parametrize("kind", [kind for kind in STREAMS if kind not in HEAVY])
def test_page_hinkley_keeps_quiet(kind):
    """400,000 rows without heavy tails: not one alarm."""
    assert alarms(PageHinkley, kind, 100_000, 4) == 0


@pytest.mark.parametrize("kind", HEAVY)
def test_page_hinkley_is_seldom_wrong_about_heavy_tails(kind):
    """At most 6 alarms in 400,000 rows, 15 in 10⁶: not none, as for ADWIN."""
    assert alarms(PageHinkley, kind, 100_000, 4) <= 6


@pytest.mark.parametrize("method", [Adwin, PageHinkley])
def test_rows_that_depend_on_each_other_alarm(method):
    """A stationary stream whose neighbours correlate by .9: dozens of alarms in 100,000 rows."""
    noise = np.random.default_rng(6).normal(0, math.sqrt(1 - 0.9**2), 100_000)
    stream = lfilter([1.0], [1.0, -0.9], noise)
    detector = method.make(Scale(-3.09, 3.09, 0.0, 1.0), method.PARAMS)
    assert len(detector.update_many(stream)) > 50


@pytest.mark.parametrize(
    ("detector", "least", "most"),
    [
        (RiverPageHinkley(), 60, 180),
        (RiverPageHinkley(delta=0.2, threshold=40.0), 3, 20),
    ],
    ids=["river's defaults", "ours with river's fading"],
)
def test_page_hinkley_as_others_set_it_cries_wolf(detector, least, most):
    """200,000 normal rows: 600 alarms a million at river's defaults, 45 with ours and fading."""
    found = rivers(detector, np.random.default_rng(1).normal(size=200_000))
    assert least <= found <= most


@pytest.mark.parametrize("threshold", [8.0, 12.0])
def test_page_hinkleys_run_length_follows_the_formula(threshold):
    """Two sides, each once in e^{2δλ}/(2δ²) rows: found are 0.4 to 1.1 of that many alarms."""
    delta, rows = 0.2, 500_000
    values = np.random.default_rng(2).normal(size=rows)
    found = len(PageHinkley(Scale(-9, 9, 0, 1), delta, threshold).update_many(values))
    expected = 2 * rows / (math.exp(2 * delta * threshold) / (2 * delta**2))
    assert 0.4 * expected < found < 1.1 * expected


@pytest.mark.parametrize(("n", "m"), [(2_000, 300), (500, 500)])
def test_p_values_of_ks_are_uniform_without_drift(n, m):
    """1,000 pairs of samples: 5 % are below .05, to two points, whatever the sizes."""
    generator, below = np.random.default_rng(3), 0
    for _ in range(1_000):
        reference = np.sort(generator.normal(size=n))
        below += ks_rows(reference, generator.normal(size=m))[1] < 0.05
    assert 30 <= below <= 70


def test_p_values_of_chi_square_are_uniform_without_drift():
    """2,000 pairs of counts, rare words pooled: 5 % are below .05, to one and a half points."""
    generator, below = np.random.default_rng(4), 0
    shares = [0.5, 0.3, 0.15, 0.04, 0.006, 0.004]
    for _ in range(2_000):
        counts = (generator.multinomial(size, shares) for size in (3_000, 400))
        below += chi_square(*counts)[1] < 0.05
    assert 70 <= below <= 130


@pytest.mark.parametrize(("past", "limit"), [(12, 3.0), (60, 3.0), (12, 6.0)])
def test_z_scores_have_students_tails(past, limit):
    """Normal figures: |z| passes a limit as often as Student's t of n − 1 says, not as a normal."""
    generator, trials = np.random.default_rng(5), 10_000
    figures = generator.normal(50, 1, (trials, past + 1))
    scores = [anomaly.score("zscore", {}, row[:-1], row[-1]).value for row in figures]
    expected = 2 * student.sf(limit / math.sqrt(1 + 1 / past), past - 1) * trials
    found = int((np.abs(scores) > limit).sum())
    assert abs(found - expected) <= 4 * math.sqrt(expected) + 1


@pytest.mark.parametrize(("past", "expected"), [(12, 0.06), (200, 0.01)])
def test_tukeys_fence_is_passed_by_normal_figures(past, expected):
    """1.5 interquartile ranges: 6 % after twelve windows, 1 % after two hundred."""
    figures = np.random.default_rng(9).normal(50, 1, (4_000, past + 1))
    scores = np.array([anomaly.score("iqr", {}, row[:-1], row[-1]).value for row in figures])
    assert (np.abs(scores) > 1.5).mean() == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize(("n", "expected"), [(200, 0.087), (1_000, 0.039), (10_000, 0.012)])
def test_calibration_error_of_a_perfect_model_is_not_zero(n, expected):
    """Scores about one half that keep their promise exactly: the error that chance alone makes."""
    generator, found = np.random.default_rng(8), []
    for _ in range(100):
        score = generator.uniform(0.3, 0.7, n)
        found.append(ranked.calibration_error(score, generator.random(n) < score).value)
    assert np.mean(found) == pytest.approx(expected, rel=0.1)
