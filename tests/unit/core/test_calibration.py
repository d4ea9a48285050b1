"""Limits that checks find by themselves: from the past, for so many alarms, and told as such."""

import msgspec
import numpy as np
import pytest
from scipy.stats import chi2

from inferwatch.core import calibration, snapshot
from inferwatch.core.calibration import AT_WINDOWS, EFFECTS, STARTS, Calibration
from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.core.fold import Partition
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.records.events import MonitorChange, ReferenceChange
from inferwatch.testing.folding import Log

MINUTE = 60_000
FOUND = Limit(direction="above", value=EFFECTS["psi"], clear=EFFECTS["psi"], calibrated=True)
CHECK = Check(alert="Drift", metric="feature.*", method="psi", window="fifty", fail=FOUND)


def definition_of(check=CHECK, windows=None):
    """Windows of fifty rows, whose PSI is far from zero without any drift."""
    return Definition(
        model=ModelFacts(task="binary"),
        reference=Reference(min_rows=500),
        windows=windows or [Window(name="fifty", rows=50)],
        checks=[check],
    )


def feed(log, windows, first=0, shift=0.0, step=50):
    """Windows of normal rows of two features, a minute each."""
    for window in range(first, first + windows):
        values = np.random.default_rng(window).normal(shift, 1.0, (2, 50)).astype(np.float32)
        for at in range(0, 50, step):
            part = values[:, at : at + step]
            numeric = {"a": part[0].tolist(), "b": part[1].tolist()}
            log.rows(part.shape[1], window * MINUTE, numeric=numeric)


def psi_of(log, first, end=None):
    """PSI of feature "a" in the windows from `first` on."""
    return [window.features["a"].psi for window in log.windows()[first:end]]


def track_of(log):
    """State of the windows."""
    return log.partition.models["team/model"].state.tracks["fifty"]["1"]


def test_a_limit_is_found_from_the_windows_so_far_and_told():
    """Until there are 24 of them only a large change is told; then the window says the limit."""
    log = Log(definition_of())
    feed(log, 15)
    assert max(psi_of(log, 10)) > WINDOW_METHODS["psi"] and not log.alerts()
    feed(log, 1, first=15, shift=3.0)
    told = {alert.feature: alert.context[-1] for alert in log.alerts()}
    assert told == dict.fromkeys("ab", "limit before calibration, 5 of 24 windows to calibrate on")
    feed(log, AT_WINDOWS[0] - 6, first=16)
    assert log.windows()[-1].limits == {}
    usual = psi_of(log, 10, 15) + psi_of(log, 16)
    feed(log, 1, first=10 + AT_WINDOWS[0])
    limits = log.windows()[-1].limits
    assert list(limits) == ["Drift a", "Drift b"]
    assert limits["Drift a"] > max(usual)
    before = len(log.alerts())
    feed(log, 3, first=100, shift=3.0)
    fired = [alert for alert in log.alerts()[before:] if alert.condition == "firing"]
    assert {alert.feature for alert in fired} == {"a", "b"}
    assert fired[0].limit == pytest.approx(limits[f"Drift {fired[0].feature}"])
    assert fired[0].context[-1] == "limit calibrated on 24 past windows"


def test_the_past_is_forgotten_when_it_has_told_enough():
    """Made again at 48 and 96 windows, the limit then stays, and no figure is kept."""
    log = Log(definition_of())
    feed(log, 10 + AT_WINDOWS[-1])
    found = track_of(log).calibrations.values()
    assert [(one.windows, one.past) for one in found] == [(AT_WINDOWS[-1], [])] * 2
    before = [one.limit for one in found]
    feed(log, 5, first=200, shift=5.0)
    assert [one.limit for one in found] == before


def test_batches_and_cuts_do_not_show():
    """The same limits from rows one by one, and from a state cut while it gathers."""
    found = []
    for step in (1, 50):
        log = Log(definition_of())
        feed(log, 20, step=step)
        cut = snapshot.cut(log.partition.models["team/model"])
        feed(log, 20, first=20, step=step)
        other = Log(definition_of())
        other.partition = Partition(0)
        other.partition.restore(cut)
        other.offset = log.offset
        feed(other, 20, first=20, step=step)
        assert snapshot.cut(other.partition.models["team/model"])["head"] is not None
        assert [window.limits for window in other.windows()] == [
            window.limits for window in log.windows()[20:]
        ]
        found.append([window.limits for window in log.windows()])
    assert found[0] == found[1] and found[0][-1]


def test_another_statistic_and_another_reference_begin_anew():
    """A changed `for` keeps the limit; a changed method, or a reset, forgets it."""
    log = Log(definition_of())
    feed(log, 40)
    changed = definition_of(msgspec.structs.replace(CHECK, for_ms=MINUTE))
    log.event(MonitorChange(model="team/model", definition=changed), 41 * MINUTE)
    assert len(track_of(log).calibrations) == 2
    other = definition_of(msgspec.structs.replace(CHECK, method="ks"))
    log.event(MonitorChange(model="team/model", definition=other), 42 * MINUTE)
    assert track_of(log).calibrations == {}
    feed(log, 30, first=43)
    assert track_of(log).calibrations
    reset = ReferenceChange(model="team/model", action="reset", time_ms=log.start_ms)
    log.event(reset, 80 * MINUTE)
    assert track_of(log).calibrations == {}


@pytest.mark.parametrize("method", WINDOW_METHODS)
def test_a_small_effect_is_never_told(method):
    """Whatever the past says, the limit is at least the method's effect, below its usual number;
    without a past it is above that.
    """
    assert 0 < EFFECTS[method] < WINDOW_METHODS[method] < STARTS[method]
    assert calibration.number(method, None) == STARTS[method]
    assert calibration.number(method, Calibration(limit=1e-9)) == EFFECTS[method]
    assert calibration.number(method, Calibration(limit=9.0)) == 9.0


@pytest.mark.parametrize("method", ["psi", "jensenshannon"])
def test_a_past_with_a_drift_in_it_tells_the_usual(method):
    """A tenth of the windows ten times as far off: the limit is at most doubled."""
    past = np.random.default_rng(3).chisquare(9, 96) * 0.01
    clean = calibration.unusual(past.tolist(), method, 1e-3, 1, 1)
    past[40:50] *= 10
    assert clean < calibration.unusual(past.tolist(), method, 1e-3, 1, 1) < 2 * clean


def test_figures_whose_squares_are_chi_squares_pass_the_limit_as_often_as_asked():
    """10,000 figures of ten groups: a limit for 1 in 1,000 is that quantile of χ²(9), to 3 %."""
    past = np.sqrt(np.random.default_rng(4).chisquare(9, 10_000))
    found = calibration.unusual(past.tolist(), "jensenshannon", 1e-3, 1, 1)
    assert found == pytest.approx(chi2.isf(1e-3, 9) ** 0.5, rel=0.03)


@pytest.mark.parametrize("hours", [24, 96])
def test_a_limit_of_a_distance_that_follows_the_hour_can_be_passed(hours):
    """A distance that goes from 0 to 0.3 and back each day: its limit is under 0.9, which a feature
    that sticks has.
    """
    past = 0.15 - 0.15 * np.cos(2 * np.pi * np.arange(96) / hours)
    assert 0.3 < calibration.unusual(past.tolist(), "jensenshannon", 1e-4, 4, 1) < 0.9


@pytest.mark.parametrize("method", ["psi", "jensenshannon"])
@pytest.mark.parametrize("past", [[0.0] * 24, [0.0] * 23 + [1.0], [1e-300] * 24, [0.3] * 24])
def test_a_past_that_hardly_varies_has_a_limit(past, method):
    """Zeros and constants give a finite limit, not below what is usual."""
    limit = calibration.unusual(past, method, 1e-3, 4, 1)
    assert np.isfinite(limit) and limit >= 0.999 * np.median(past)


def test_fewer_alarms_for_more_alerts_and_seldom_windows():
    """The budget is of the model: more alerts share it, fewer windows a week leave more to each."""
    past = np.random.default_rng(3).chisquare(9, 24).tolist()

    def limit(apart_ms, alerts):
        found = Calibration(past=past)
        calibration.calibrate(found, "psi", 23 * apart_ms, alerts, 1, 7)
        return found.limit

    assert limit(3_600_000, 1) < limit(3_600_000, 50) < limit(60_000, 50)
    assert limit(3_600_000, 1) == limit(3_600_000, 1)
