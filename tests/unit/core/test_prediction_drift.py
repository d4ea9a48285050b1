"""Predictions of a regression are compared and watched as any column of numbers is."""

import msgspec
import numpy as np
import pytest
from scipy.stats import ks_2samp, wasserstein_distance

from inferwatch.core import snapshot
from inferwatch.core.drift import STREAMS, WINDOW_METHODS
from inferwatch.core.fold import Partition
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.testing.folding import Log

DAY = 86_400_000
ABOVE = Limit(direction="above", value=0.2, clear=0.2)
BY_ROW = sorted(name for name, streams in STREAMS.items() if "prediction" in streams)
ROWS = 300


def log_of(*checks, exact=False, min_rows=ROWS, **reference):
    """Windows of 300 rows, compared with the first 300."""
    return Log(
        Definition(
            model=ModelFacts(task="regression"),
            reference=Reference(min_rows=min_rows, **reference),
            windows=[Window(name="batch", rows=ROWS, exact=exact)],
            checks=list(checks),
        )
    )


def check(metric, method, **fields):
    """Of a distance, by windows."""
    return Check(alert=f"{metric} {method}", metric=metric, method=method, window="batch", **fields)


def drawn(seed=3, shift=1.0, parts=2):
    """Levels that shift from one window to the next, with gaps; values as float32 has them."""
    draw = np.random.default_rng(seed)
    values = draw.gamma(2.0, 1.0, (parts, ROWS)) + shift * np.arange(parts)[:, np.newaxis]
    values[:, ::30] = np.nan
    return values.astype(np.float32).astype(np.float64)


def feed(log, values, step=100, at_ms=1_000):
    """One value a second as prediction, and the same as a feature."""
    for first in range(0, len(values), step):
        part = values[first : first + step].tolist()
        times = [at_ms * (first + row) for row in range(len(part))]
        log.rows(len(part), times, numeric={"a": part}, prediction=part)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("step", [7, 100, 600])
def test_they_are_compared_as_a_feature_of_the_same_values(exact, step):
    """By every method the figure that fires for the prediction is that of the feature, at any
    batches, from bins and from rows.
    """
    checks = [
        check(metric, method, warn=msgspec.structs.replace(ABOVE, value=0.01, clear=0.01))
        for method in WINDOW_METHODS
        for metric in ("feature.a", "prediction")
        if method != "chisquare" or metric == "prediction"
    ]
    log = log_of(*checks, exact=exact)
    feed(log, drawn().ravel(), step)
    for method in WINDOW_METHODS:
        [found] = log.alerts(f"prediction {method}")
        [feature] = log.alerts(f"feature.a {'ks' if method == 'chisquare' else method}")
        assert found.value == pytest.approx(feature.value, rel=1e-9)
        assert found.context and "prediction" in " ".join(found.context)


def test_exact_windows_compare_the_values_themselves():
    """KS and Wasserstein of an exact window are scipy's on the rows."""
    checks = [check("prediction", method, warn=ABOVE) for method in ("ks", "wasserstein")]
    log, values = log_of(*checks, exact=True), drawn()
    feed(log, values.ravel())
    before, now = (part[np.isfinite(part)] for part in values)
    assert log.alerts("prediction ks")[0].value == pytest.approx(ks_2samp(before, now).statistic)
    distance = wasserstein_distance(before, now) / before.std()
    assert log.alerts("prediction wasserstein")[0].value == pytest.approx(distance, rel=1e-9)


def test_rows_that_are_alike_are_no_drift():
    """Of 10 windows without a shift none fires."""
    log = log_of(check("prediction", "psi", warn=ABOVE))
    feed(log, drawn(shift=0.0, parts=11).ravel())
    assert len(log.windows()) == 11 and not log.alerts()


def test_a_window_from_before_they_were_counted_has_no_figure():
    """A state in which an open window has no bins of predictions goes on; the next one has them."""
    log, values = log_of(check("prediction", "psi", warn=ABOVE)), drawn(parts=3)
    flat = values.ravel()
    feed(log, flat[: ROWS + 100])
    model = log.partition.models["team/model"]
    for tracks in model.state.tracks.values():
        for track in tracks.values():
            for pane in track.panes.values():
                for cell in pane.cells.values():
                    assert cell.value_bins is not None
                    cell.value_bins = None
    restored = Partition(0)
    restored.restore(snapshot.cut(model))
    log.partition = restored
    log.rows(200, 500_000, numeric={"a": flat[400:600].tolist()}, prediction=flat[400:600].tolist())
    assert len(log.windows()) == 2 and not log.alerts()
    log.rows(300, 700_000, numeric={"a": flat[600:].tolist()}, prediction=flat[600:].tolist())
    assert len(log.windows()) == 3 and log.alerts("prediction psi")


def test_a_reference_that_moves_along_takes_them_with_it():
    """After a week at a new level that level is the reference: what fired has ended."""
    log = Log(
        Definition(
            model=ModelFacts(task="regression"),
            reference=Reference(min_rows=100, last_ms=7 * DAY),
            windows=[Window(name="batch", size_ms=DAY // 4, grace_ms=0)],
            checks=[check("prediction", "psi", warn=ABOVE)],
        )
    )
    draw = np.random.default_rng(4)
    for day in range(20):
        level = 0.0 if day < 3 else 2.0
        for hour in range(0, 24, 6):
            told = draw.normal(level, 1.0, 200).tolist()
            log.rows(200, day * DAY + hour * 3_600_000, prediction=told)
    assert [one.condition for one in log.alerts()] == ["firing", "ok"]
    profile = log.partition.models["team/model"].reference("1").profile
    assert profile.prediction.mean == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("method", BY_ROW)
def test_a_change_of_level_is_found_row_by_row(method):
    """Each method that reads columns finds a shift of the predictions, in the rows behind it, as it
    finds one of a feature.
    """
    checks = [
        Check(alert=metric, metric=metric, method=method) for metric in ("prediction", "feature.a")
    ]
    log, draw = log_of(*checks), np.random.default_rng(5)
    values = np.concatenate([draw.normal(size=2_300), draw.normal(2.0, 1.0, 1_500)])
    feed(log, values.astype(np.float32).astype(np.float64))
    found, feature = (log.alerts(metric)[0] for metric in ("prediction", "feature.a"))
    assert found.condition == feature.condition == "firing"
    assert found.first_bad == feature.first_bad
    assert (found.value, found.reference) == (feature.value, feature.reference)
    assert found.began_ms - log.start_ms >= 2_300_000
