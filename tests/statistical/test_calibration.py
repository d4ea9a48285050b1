"""Calibrated limits on streams without a change: about one alarm a week, whatever the rows do."""

import numpy as np
import pytest
from scipy.special import ndtri

from inferwatch.core import calibration
from inferwatch.core.calibration import EFFECTS, Calibration
from inferwatch.core.drift.distances import jensen_shannon
from inferwatch.core.drift.psi import psi

pytestmark = pytest.mark.slow

HOUR_MS = 3_600_000
FIGURES = {"psi": psi, "jensenshannon": jensen_shannon}
FEATURES, WEEKS, MODELS, REFERENCE_ROWS = 20, 2, 8, 5_000


def alarms_a_week(rows, together, windows, limit=None, method="psi"):
    """Hourly windows of twenty features; `together` rows in a row are equal, as a user's are.

    Without a `limit` the one that was calibrated on `windows` windows.
    """
    found = 0
    for seed in range(MODELS):
        draw = np.random.default_rng(seed)
        for feature in range(FEATURES):
            reference = draw.multinomial(REFERENCE_ROWS, [0.1] * 10)
            counts = together * draw.multinomial(
                rows // together, [0.1] * 10, windows + 168 * WEEKS
            )
            figures = [FIGURES[method](reference, row).value for row in counts]
            edge = limit
            if edge is None:
                one = Calibration(past=figures[:windows])
                calibration.calibrate(
                    one, method, (windows - 1) * HOUR_MS, FEATURES, 1, seed * 100 + feature
                )
                edge = calibration.number(method, one)
            found += sum(figure > edge for figure in figures[windows:])
    return found / MODELS / WEEKS


@pytest.mark.parametrize("windows", calibration.AT_WINDOWS)
@pytest.mark.parametrize("rows", [100, 1_000])
def test_rows_that_know_nothing_of_each_other(rows, windows):
    """At most three alarms a week of twenty features by the hour, from 24 windows on."""
    assert alarms_a_week(rows, 1, windows) <= 3


def test_a_number_for_all_would_not():
    """PSI above 0.25 in windows of 100 rows: more than ten false alarms a week."""
    assert alarms_a_week(100, 1, 24, limit=0.25) > 10


@pytest.mark.parametrize(("windows", "most"), [(24, 15), (96, 8)])
def test_rows_that_come_together(windows, most):
    """Twenty equal rows each: the number would alarm hundreds of times, calibrated a few."""
    assert alarms_a_week(1_000, 20, windows) <= most
    assert alarms_a_week(1_000, 20, windows, limit=0.25) > 500


@pytest.mark.parametrize("windows", calibration.AT_WINDOWS)
def test_what_has_no_floor_keeps_to_the_budget_for_rows_that_come_together(windows):
    """At most one alarm a week of fifty users a window, by Jensen–Shannon (seeds 0 to 7)."""
    assert alarms_a_week(1_000, 20, windows, method="jensenshannon") <= 1


def test_the_excess_is_the_floor_of_psi_and_not_the_blocks():
    """From 50,000 windows that know nothing of each other, where nothing is left to estimate, the
    limit of fifty users is still passed more than twice a week (seed 0); an empty group is why.
    """
    draw = np.random.default_rng(0)
    reference = draw.multinomial(REFERENCE_ROWS, [0.1] * 10)
    counts = 20 * draw.multinomial(50, [0.1] * 10, 50_000)
    figures = np.array([psi(reference, row).value for row in counts])
    logs = np.log(figures)
    spread = calibration.MAD_TO_SD * np.median(np.abs(logs - np.median(logs)))
    chance = calibration.ALARMS_A_WEEK / 168 / FEATURES
    past = figures > np.exp(np.median(logs) - ndtri(chance) * spread)
    assert past.mean() * 168 * FEATURES > 2
    assert (counts[past] == 0).any(axis=1).all()


def test_a_change_is_found_all_the_same():
    """A shift by half a deviation in windows of 1,000 rows passes every calibrated limit."""
    draw = np.random.default_rng(1)
    edges = np.quantile(draw.normal(size=REFERENCE_ROWS), np.arange(1, 10) / 10)

    def counts(shift, rows):
        return np.bincount(np.searchsorted(edges, draw.normal(shift, 1, rows)), minlength=10)

    reference = counts(0.0, REFERENCE_ROWS)
    one = Calibration(past=[psi(reference, counts(0.0, 1_000)).value for _ in range(48)])
    calibration.calibrate(one, "psi", 47 * HOUR_MS, FEATURES, 1, 1)
    limit = calibration.number("psi", one)
    assert limit >= EFFECTS["psi"]
    assert all(psi(reference, counts(0.5, 1_000)).value > limit for _ in range(50))
