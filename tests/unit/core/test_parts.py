"""What a feature was like in a window: each part is pandas' figure of the same rows, or says why
not.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import cell as cells
from inferwatch.core import figures
from inferwatch.core.columns import OTHER, Columns
from inferwatch.core.parts import PARTS, STUCK_ROWS_MIN, rows_to_tell
from inferwatch.core.reference import bind, category_profile, numeric_profile
from inferwatch.core.sketches import binned, moments
from inferwatch.records.definition import NumericProfile, Profile
from inferwatch.records.outputs import FeatureFigures

values = st.one_of(
    st.floats(-50, 50, width=32), st.sampled_from([float("nan"), float("inf"), float("-inf"), 3.0])
)
words = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "", "  "]))


def read(part, seen, column):
    """A part's value, or why it is unknown."""
    figure, _ = PARTS[part].read(seen, column)
    return figure.unknown if figure.value is None else figure.value


def window(reference, rows, reference_words=None, column=()):
    """Figures of a window of these rows and words, with the reference's columns."""
    state = Columns(numeric=["x"], categories=["k"])
    profile = Profile(
        name="p",
        rows=len(reference),
        from_ms=0,
        to_ms=1,
        numeric={"x": numeric_profile(np.array(reference))},
        categories={"k": category_profile(reference_words or {"a": 1}, 0)},
    )
    bound = bind(profile, {}, state)
    cell = cells.empty(bound, features=1, exact=False)
    block = np.array(rows, np.float32).reshape(1, -1)
    moments.update(cell.numeric, block)
    binned.update(cell.bins, bound.grid, block, bound.columns())
    known = pd.Series(list(column), dtype=object)
    cell.words = {"k": known.value_counts().to_dict()}
    cell.wordless = {"k": int(known.isna().sum())}
    cell.rows = block.shape[1]
    found = figures.features(cell, state, bound, figures.drifts(cell, state, bound))
    return found["x"], profile.numeric["x"], found["k"], profile.categories["k"]


@settings(deadline=None)
@given(
    st.lists(st.floats(-40, 40, width=32), min_size=2, max_size=50),
    st.lists(values, min_size=1, max_size=60),
)
def test_parts_of_numbers_are_pandas(reference, rows):
    """NaN and ±Inf apart, what lies outside the reference's range, mean and spread."""
    seen, column, _, _ = window(reference, rows)
    series = pd.Series(rows, dtype=np.float64)
    finite = series[np.isfinite(series)]
    assert read("missing", seen, column) == (~np.isfinite(series)).mean()
    assert read("non_finite", seen, column) == np.isinf(series).mean()
    if finite.empty:
        assert {read(part, seen, column) for part in ("out_of_range", "mean", "sd")} == {"no rows"}
        return
    outside = ~finite.between(min(reference), max(reference))
    assert read("out_of_range", seen, column) == outside.mean()
    assert read("mean", seen, column) == pytest.approx(finite.mean(), abs=1e-9)
    if len(finite) > 1:
        assert read("sd", seen, column) == pytest.approx(finite.std(), abs=1e-6)
    else:
        assert read("sd", seen, column) == "one value"


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=40))
def test_parts_of_words_are_pandas(column):
    """Missing, blank and unseen words; how many different ones there are."""
    _, _, seen, profile = window([0.0, 1.0], [0.0] * len(column), {"a": 5, "b": 4, "": 1}, column)
    series = pd.Series(column, dtype=object)
    present = series.dropna()
    assert read("missing", seen, profile) == series.isna().mean()
    assert read("empty", seen, profile) == pytest.approx(
        present.isin(["", "  "]).sum() / len(series)
    )
    assert seen.distinct == present.nunique()
    if present.empty:
        assert read("unseen", seen, profile) == "no rows"
    else:
        assert read("unseen", seen, profile) == (~present.isin(["a", "b", ""])).mean()


def test_the_reference_has_its_own_parts():
    """What a drop or rise is measured from: the profile's share of blanks, missing, its moments."""
    seen, column, word, profile = window([1.0, 3.0, float("nan"), 5.0], [2.0], {"a": 3, "": 1})
    assert PARTS["missing"].read(seen, column)[1] == 0.25
    assert PARTS["mean"].read(seen, column)[1] == 3.0
    assert PARTS["sd"].read(seen, column)[1] == 2.0
    assert PARTS["empty"].read(word, profile)[1] == 0.25


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([4.0] * 60, 1.0),
        ([4.0] * 59 + [4.5], 0.0),
        ([4.0, 4.5], 0.0),
        ([4.0] * 60 + [float("nan")], 1.0),
        ([4.0] * 49, "49 values of 50"),
        ([], "0 values of 50"),
    ],
)
def test_a_number_that_sticks_is_told(rows, found):
    """One value over 50 rows where the reference varied; two values are never stuck."""
    seen, column, _, _ = window(np.linspace(0, 9, 500), rows)
    assert read("constant", seen, column) == found


@pytest.mark.parametrize(
    ("reference", "column", "found"),
    [
        ({"a": 50, "b": 50}, ["a"] * 60, 1.0),
        ({"a": 50, "b": 50}, ["a"] * 59 + ["b"], 0.0),
        ({"a": 99, "b": 1}, ["a"] * 600, "600 values of 688"),
        ({"a": 99, "b": 1}, ["a"] * 688, 1.0),
        ({"a": 99}, ["a"] * 688, "constant in the reference"),
    ],
)
def test_a_word_that_sticks_is_told(reference, column, found):
    """The rarer the other words were, the more rows it takes; a constant reference says nothing."""
    _, _, seen, profile = window([0.0, 1.0], [0.0], reference, column)
    assert read("constant", seen, profile) == found


@given(st.floats(0.01, 0.9999))
def test_rows_to_tell_keep_the_chance(largest):
    """So many rows are all alike with a chance of at most 0.001; one fewer would not do."""
    rows = rows_to_tell(largest)
    assert largest**rows <= 1e-3 * (1 + 1e-9)
    assert rows == STUCK_ROWS_MIN or largest ** (rows - 1) > 1e-3 * (1 - 1e-9)


def test_what_means_nothing_says_why():
    """Ranges of words, blanks of numbers, columns outside the reference, profiles of old."""
    seen, column, word, profile = window([1.0, 2.0], [1.0, 2.0], {"a": 1}, ["a"])
    for part in ("non_finite", "out_of_range", "mean", "sd"):
        assert read(part, word, profile) == "only numbers have it"
    assert read("empty", seen, column) == "only words have it"
    for part in ("out_of_range", "constant"):
        assert read(part, seen, None) == "not in the reference"
    old = FeatureFigures(rows=2, least=1.0, most=2.0)
    assert read("out_of_range", old, column) == "the reference has no bins beyond its range"


def test_a_profile_without_rows_of_its_own_is_no_division_by_zero():
    """A profile from the log may count only missing rows: stuck or not is then unknown."""
    hollow = NumericProfile(
        edges=[1.0],
        counts=[0, 0, 9],
        psi_edges=[1.0],
        mean=1.0,
        sd=1.0,
        least=0.0,
        most=2.0,
        low=0.0,
        high=2.0,
    )
    seen = FeatureFigures(rows=60, least=1.0, most=1.0)
    assert read("constant", seen, hollow) == "constant in the reference"


def test_distinct_words_are_held_against_those_of_the_reference():
    """With the number of the reference's, unless that had too many; numbers have none."""
    _, numbers, seen, column = window([1.0, 2.0], [1.0], {"a": 1, "b": 2, "c": 1}, ["a", "b", None])
    figure, before = PARTS["distinct"].read(seen, column)
    assert (figure.value, figure.n, before) == (2.0, 2, 3.0)
    assert PARTS["distinct"].read(seen, category_profile({"a": 1, OTHER: 1}, 0))[1] is None
    assert PARTS["distinct"].read(seen, None)[1] is None
    assert read("distinct", FeatureFigures(rows=1), numbers) == "only words have it"
