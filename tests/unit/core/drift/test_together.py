"""All columns in one pass are what the definitions say of each of them alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core.drift import chi_square, distances, ks, psi, together, wasserstein
from inferwatch.core.drift.columns import SHARE_METHODS, of_numbers, of_words
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.core.sketches import binned
from inferwatch.kernels import distances as kernel

EQUAL = {"rel": 1e-12, "abs": 1e-15}
DEFINED = {
    "jensenshannon": distances.jensen_shannon,
    "hellinger": distances.hellinger,
    "total_variation": distances.total_variation,
    "l_infinity": distances.l_infinity,
}
columns = st.lists(
    st.tuples(
        st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=60),
        st.lists(
            st.one_of(st.floats(-200, 200, width=32), st.just(float("nan")), st.just(np.inf)),
            min_size=8,
            max_size=8,
        ),
    ),
    min_size=1,
    max_size=4,
)
word_columns = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 400), min_size=1),
        st.integers(0, 50),
        st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 400)),
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=5,
)


def same(found, expected):
    """Equal figures, or unknown for the same reason."""
    assert (found.unknown, found.n) == (expected.unknown, expected.n)
    if expected.value is None:
        assert found.value is None
    else:
        assert found.value == pytest.approx(expected.value, **EQUAL)


def groups(profile, counts):
    """Fine counts as PSI's ten groups and missing, edge after edge."""
    sums = np.zeros(len(profile.psi_edges) + 2, np.int64)
    for at, count in enumerate(counts[:-1].tolist()):
        inside = at < len(profile.edges)
        place = sum(edge < profile.edges[at] for edge in profile.psi_edges) if inside else -2
        sums[place] += count
    sums[-1] = counts[-1]
    return sums


@settings(deadline=None)
@given(columns)
def test_numbers_in_one_pass_are_numbers_one_by_one(drawn):
    """Any columns with gaps: each figure is its definition's, to 1e-12, D and counts exactly."""
    profiles = [numeric_profile(np.array(reference)) for reference, _ in drawn]
    rows = np.array([current for _, current in drawn], np.float32)
    grid = binned.make_grid([np.array(profile.edges, np.float32) for profile in profiles])
    counts = binned.empty(grid)
    binned.update(counts, grid, rows)
    finite = [row[np.isfinite(row)].astype(np.float64) for row in rows]
    facts = np.array(
        [(row.min(), row.max(), row.mean()) if len(row) else (np.nan,) * 3 for row in finite]
    )
    compared = together.compare_numbers(together.numbers(profiles), counts, facts)
    for at, (profile, drift) in enumerate(zip(profiles, of_numbers(compared), strict=True)):
        before, now = np.array(profile.counts), binned.feature_counts(counts, grid, at)
        sides = groups(profile, before), groups(profile, now)
        same(drift.psi, psi.psi(*sides))
        for name, definition in DEFINED.items():
            same(drift.by(name), definition(*sides))
        statistic, p_value = ks.ks_bins(before[:-1], now[:-1])
        assert (drift.statistic, drift.effect, drift.p_value) == (statistic, statistic, p_value)
        away = wasserstein.wasserstein_bins(
            before[:-1],
            now[:-1],
            np.array(profile.edges),
            wasserstein.Facts(profile.least, profile.most, profile.mean),
            wasserstein.Facts(*facts[at].tolist()),
            together.population_sd(profile),
        )
        same(drift.by("wasserstein"), away)


@settings(deadline=None)
@given(word_columns)
def test_words_in_one_pass_are_words_one_by_one(drawn):
    """Any counts, unseen words and missing rows among them: each figure is its definition's."""
    profiles = [category_profile(words, missing) for words, missing, _, _ in drawn]
    found = [(words, missing) for _, _, words, missing in drawn]
    compared = together.compare_words(together.words(profiles), found)
    for profile, (words, missing), drift in zip(profiles, found, of_words(compared), strict=True):
        seen = [words.get(word, 0) for word in profile.words]
        before = np.array([*profile.counts, 0, profile.missing])
        now = np.array([*seen, sum(words.values()) - sum(seen), missing])
        same(drift.psi, psi.psi(before, now))
        for name, definition in DEFINED.items():
            same(drift.by(name), definition(before, now))
        statistic, p_value, effect = chi_square.chi_square(before, now)
        same(drift.statistic, statistic)
        same(drift.effect, effect)
        assert drift.p_value == (None if p_value is None else pytest.approx(p_value, rel=1e-9))
        assert drift.by("wasserstein").unknown == "words have no order"


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=30),
    st.floats(0, 20),
)
def test_rare_bins_are_pooled_as_defined(pairs, least):
    """Degrees of freedom are those of the table that the definition pools, at any floor."""
    reference, current = np.array(pairs, np.int64).T
    if not reference.any() or not current.any():
        return
    before = chi_square.EXPECTED_MIN
    try:
        chi_square.EXPECTED_MIN = least
        statistic, p_value, _ = chi_square.chi_square(reference, current)
    finally:
        chi_square.EXPECTED_MIN = before
    starts = np.array([0, len(pairs)])
    value, freedom = kernel.chi_square(reference.copy(), current.copy(), starts, least)[0]
    assert value == pytest.approx(statistic.value, rel=1e-10, abs=1e-12)
    assert p_value == (1.0 if freedom == 0 else pytest.approx(together.chdtrc(freedom, value)))


def test_every_distance_has_its_definition():
    """What the pass computes under a method's name is what the tests above hold it to."""
    assert set(DEFINED) == set(SHARE_METHODS)


def test_nothing_to_compare_is_nothing():
    """A reference without a column: no figure, no error."""
    none = np.empty(0, np.int64)
    compared = together.compare_numbers(together.numbers([]), none, np.empty((0, 3)))
    assert list(of_numbers(compared)) == []
    assert list(of_words(together.compare_words(together.words([]), []))) == []
