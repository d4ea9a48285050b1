"""Calibrated limits on streams without a change: about one alarm a week, whatever the rows do."""

import numpy as np
import pytest

from inferwatch.core import calibration
from inferwatch.core.calibration import EFFECTS, Calibration
from inferwatch.core.drift.psi import psi

pytestmark = pytest.mark.slow

HOUR_MS = 3_600_000
FEATURES, WEEKS, MODELS, REFERENCE_ROWS = 20, 2, 8, 5_000


def alarms_a_week(rows, together, windows, limit=None):
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
            figures = [psi(reference, row).value for row in counts]
            edge = limit
            if edge is None:
                one = Calibration(past=figures[:windows])
                calibration.calibrate(
                    one, (windows - 1) * HOUR_MS, FEATURES, 1, seed * 100 + feature
                )
                edge = calibration.number("psi", one)
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


def test_a_change_is_found_all_the_same():
    """A shift by half a deviation in windows of 1,000 rows passes every calibrated limit."""
    draw = np.random.default_rng(1)
    edges = np.quantile(draw.normal(size=REFERENCE_ROWS), np.arange(1, 10) / 10)

    def counts(shift, rows):
        return np.bincount(np.searchsorted(edges, draw.normal(shift, 1, rows)), minlength=10)

    reference = counts(0.0, REFERENCE_ROWS)
    one = Calibration(past=[psi(reference, counts(0.0, 1_000)).value for _ in range(48)])
    calibration.calibrate(one, 47 * HOUR_MS, FEATURES, 1, 1)
    limit = calibration.number("psi", one)
    assert limit >= EFFECTS["psi"]
    assert all(psi(reference, counts(0.5, 1_000)).value > limit for _ in range(50))
