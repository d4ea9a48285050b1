"""No column, however odd, makes a window's figures fail or gives one that is not finite."""

import math
import warnings

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import cell as cells
from inferwatch.core import figures
from inferwatch.core.columns import Columns
from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.core.drift.distances import hellinger, jensen_shannon, l_infinity, total_variation
from inferwatch.core.parts import PARTS
from inferwatch.core.reference import bind, category_profile, numeric_profile
from inferwatch.core.sketches import binned, moments
from inferwatch.records.definition import Profile
from inferwatch.records.outputs import canonical

NAN, INF, MOST = math.nan, math.inf, float(np.finfo(np.float32).max)
DENORMAL = 1e-45
ODD = {
    "nothing": [],
    "one row": [1.0],
    "only NaN": [NAN] * 5,
    "only infinite": [INF, -INF, INF],
    "NaN and infinite": [NAN, INF, -INF, 1.0, 2.0],
    "all equal": [3.0] * 60,
    "all zero": [0.0] * 60,
    "both zeros": [0.0, -0.0] * 30,
    "two values": [0.0, 1.0] * 30,
    "1e9 with a spread of one": list(1e9 + np.arange(100.0)),
    "denormal": [DENORMAL, 2 * DENORMAL, 0.0, -DENORMAL],
    "the ends of float32": [-MOST, MOST, 0.0, MOST],
    "one wild": [*np.arange(50.0), 1e30],
    "plain": list(np.linspace(-2, 2, 100)),
}
WORDS = {
    "nothing": {},
    "one word": {"a": 50},
    "two words": {"a": 50, "b": 30},
    "unseen only": {"zz": 7},
    "blank": {"": 3, "  ": 4},
    "a thousand": {f"w{number}": 1 for number in range(1_000)},
}


def described(reference, current, reference_words, words, *, exact=False):
    """Drift and figures of one window with one numeric and one categorical feature and a score."""
    columns = Columns(numeric=["x"], categories=["k"], classes=["0", "1"], task="binary")
    finite = np.array(reference)[np.isfinite(reference)] if len(reference) else np.empty(0)
    numeric = {"x": numeric_profile(np.array(reference))} if len(finite) else {}
    profile = Profile(
        name="p",
        rows=max(len(reference), 1),
        from_ms=0,
        to_ms=1,
        numeric=numeric,
        categories={"k": category_profile(reference_words, 2)},
        score=numeric.get("x"),
        prediction=category_profile({"0": 1}, 0),
    )
    values = {"x": np.sort(finite), "score": np.sort(finite)} if exact else {}
    bound = bind(profile, values, columns)
    cell = cells.empty(bound, features=1, exact=exact)
    rows = np.array(current, np.float32).reshape(1, -1)
    cell.rows = rows.shape[1]
    moments.update(cell.numeric, rows)
    moments.update(cell.answers, np.repeat(rows, 3, axis=0).astype(np.float64))
    if cell.bins is not None:
        binned.update(cell.bins, bound.grid, rows, bound.columns())
        binned.update(cell.score_bins, bound.score_grid, rows.astype(np.float64))
    if exact:
        cell.kept.numeric.append(rows)
        cell.kept.score.append(rows[0].astype(np.float64))
    cell.words, cell.wordless = {"k": words}, {"k": 1}
    drifts = figures.drifts(cell, columns, bound)
    return profile, drifts, figures.features(cell, columns, bound, drifts)


def check(profile, drifts, features):
    """Every figure is a finite number, or unknown with a reason, and the record can be written."""
    for drift in drifts.values():
        for method in WINDOW_METHODS:
            found = drift.by(method)
            assert (found.value is None) == bool(found.unknown)
            assert found.value is None or 0 <= found.value < INF
        assert drift.p_value is None or 0 <= drift.p_value <= 1
        assert (drift.p_value is None) == (drift.statistic.value is None)
    for name, seen in features.items():
        column = profile.numeric.get(name) or profile.categories.get(name)
        for known in (column, None):
            for part in PARTS.values():
                found, before = part.read(seen, known)
                assert (found.value is None) == bool(found.unknown)
                assert found.value is None or math.isfinite(found.value)
                assert before is None or math.isfinite(before)
        canonical(seen)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("current", ODD)
@pytest.mark.parametrize("reference", ODD)
def test_odd_numbers_give_figures_or_reasons(reference, current, exact):
    """Every odd column against every other: no exception, no warning, no NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(*described(ODD[reference], ODD[current], {"a": 1}, {"a": 1}, exact=exact))


@pytest.mark.parametrize("current", WORDS)
@pytest.mark.parametrize("reference", WORDS)
def test_odd_words_give_figures_or_reasons(reference, current):
    """Every odd column of words against every other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(*described([1.0, 2.0], [1.0], WORDS[reference], WORDS[current]))


@settings(deadline=None)
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=40),
    st.lists(st.floats(width=32), max_size=40),
    st.booleans(),
)
def test_any_numbers_give_figures_or_reasons(reference, current, exact):
    """Whatever float32 can hold, on either side."""
    check(*described(reference, current, {"a": 1}, {}, exact=exact))


@pytest.mark.parametrize("each", [jensen_shannon, hellinger, total_variation, l_infinity])
@pytest.mark.parametrize("scale", [1, 10**15])
def test_definitions_hold_for_any_counts(each, scale):
    """Few rows against very many: a number in [0, 1]."""
    found = each(np.array([1, 0, 0]), np.array([scale, scale - 1, 1]))
    assert 0 <= found.value <= 1


def test_a_column_that_leaves_its_only_value_is_seen():
    """A constant reference: PSI's one group holds everything below, but KS tells both sides."""
    for value in (2.0, 4.0):
        _, drifts, features = described([3.0] * 60, [value] * 60, {"a": 1}, {"a": 1})
        assert drifts["feature.x"].by("ks").value == 1.0
        assert msgspec.to_builtins(features["x"])["out_of_range"] == 60
