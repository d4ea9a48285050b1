"""The interval of a difference at every look: against the mixture that it is the boundary of."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from inferwatch.core import sequential
from inferwatch.core.sequential import ALPHA, EVENTS_MIN, Difference, Sample, Strata

windows = st.lists(
    st.tuples(st.integers(2, 900), st.integers(2, 900), st.floats(0, 1), st.floats(0, 1)).map(
        lambda one: (
            counted(one[0], round(one[0] * one[2])),
            counted(one[1], round(one[1] * one[3])),
        )
    ),
    min_size=1,
    max_size=8,
)


def counted(n, events):
    """n rows of which so many are events."""
    return Sample(n, float(events), float(events))


def apart(mine, theirs):
    """Two samples of the same hour."""
    return sequential.apart({9: mine}, {9: theirs})


def measured(values):
    """Rows with these values."""
    return Sample(len(values), float(np.sum(values)), float(np.sum(values**2)))


def strata_of(pairs):
    """Windows of both versions."""
    found = Strata()
    for mine, theirs in pairs:
        found.add(mine, theirs)
    return found


@pytest.mark.parametrize("n", [50, 2_000, 100_000])
def test_the_boundary_is_where_the_mixture_of_normals_reaches_one_in_alpha(n):
    """At a distance of half the interval the mean likelihood ratio of all shifts, which under no
    difference passes 1/α with probability α ever (Ville), is 1/α: by numerical integration.
    """
    mine, theirs = counted(n, n // 5), counted(3 * n, 3 * n // 5)
    found = apart(mine, theirs)
    variance = max(sequential._variances(mine, theirs))
    spread = math.sqrt(variance * found.weight * sequential._RHO_SQUARED)

    def ratio(shift):
        prior = math.exp(-(shift**2) / (2 * spread**2)) / (spread * math.sqrt(2 * math.pi))
        return math.exp((shift * found.half - shift**2 / 2) / variance) * prior

    peak = found.half * spread**2 / (spread**2 + variance)
    wide = 12 * math.sqrt(variance)
    whole, _ = integrate.quad(ratio, peak - wide, peak + wide, points=[peak], limit=200)
    assert whole == pytest.approx(1 / ALPHA, rel=1e-6)


@given(windows)
def test_windows_add_up_as_mantel_and_haenszel_have_it(pairs):
    """The weighted difference is Σ(events − expected), its pooled variance the hypergeometric one,
    in exact fractions.
    """
    score = variance = weight = Fraction(0)
    for mine, theirs in pairs:
        n, events = mine.n + theirs.n, Fraction(mine.total + theirs.total)
        weight += Fraction(mine.n * theirs.n, n)
        score += Fraction(mine.total) - mine.n * events / n
        variance += mine.n * theirs.n * events * (n - events) / Fraction(n * n * (n - 1))
    strata = strata_of(pairs)
    found = sequential.together(strata)
    assert found.mine - found.theirs == pytest.approx(float(score / weight), abs=1e-9)
    assert strata.pooled == pytest.approx(float(variance), rel=1e-9, abs=1e-9)
    assert (found.windows, found.rows) == (len(pairs), sum(mine.n for mine, _ in pairs))


def test_hours_and_a_growing_share_are_no_difference():
    """A canary that is given more traffic in worse hours is as good as the other in each of them;
    all rows together would call it worse (Simpson).
    """
    hours = [(counted(10, 1), counted(990, 99)), (counted(500, 200), counted(500, 200))]
    found = sequential.together(strata_of(hours))
    assert found.mine == pytest.approx(found.theirs)
    mine, theirs = Sample(), Sample()
    for one, other in hours:
        mine.add(one)
        theirs.add(other)
    both = apart(mine, theirs)
    assert both.mine - both.theirs > both.half


def test_hours_of_the_day_are_compared_each_with_itself():
    """A version that began in the worst hours is no worse for that; hours that the other never had
    tell nothing.
    """
    theirs = {hour: counted(700, 280 if hour < 12 else 70) for hour in range(20)}
    mine = {hour: counted(100, 40) for hour in range(5)} | {22: counted(100, 90)}
    found = sequential.apart(mine, theirs)
    assert found.mine == pytest.approx(found.theirs) == pytest.approx(0.4)
    assert (found.rows, found.windows, found.unknown) == (500, 0, "")


def test_amounts_have_the_variance_of_their_rows():
    """As numpy has it, in one window and between two samples that never met."""
    chance = np.random.default_rng(1)
    mine, theirs = chance.gamma(2, 30, 400), chance.gamma(2, 33, 700)
    found = apart(measured(mine), measured(theirs))
    assert (found.mine, found.theirs) == pytest.approx((mine.mean(), theirs.mean()))
    both = np.concatenate([mine, theirs])
    within = mine.var(ddof=1) / 400 + theirs.var(ddof=1) / 700
    pooled = both.var(ddof=1) * (1 / 400 + 1 / 700)
    assert sequential._variances(measured(mine), measured(theirs)) == pytest.approx(
        (within, pooled)
    )
    live = sequential.together(strata_of([(measured(mine), measured(theirs))]))
    assert (live.half, live.weight) == pytest.approx((found.half, found.weight))


def test_rare_rows_are_waited_for():
    """Of events, or of their absence, the version of fewer rows should have had twenty."""
    for events in (lambda n, rare: rare, lambda n, rare: n - rare):
        early = apart(counted(100, events(100, 9)), counted(9_900, events(9_900, 1_941)))
        assert early.unknown == f"19 of {EVENTS_MIN} events"
        late = apart(counted(100, events(100, 9)), counted(9_900, events(9_900, 1_991)))
        assert late.unknown == ""


def test_one_large_amount_is_one_row():
    """A mean that a single row makes is not told, however many rows there are."""
    values = np.full(5_000, 1e-3)
    values[0] = 1e9
    found = apart(measured(values), measured(np.full(5_000, 1e-3)))
    assert found.unknown == f"0 of {EVENTS_MIN} events"


def test_nothing_to_compare_has_a_reason():
    """No rows, one row, sums that are no numbers: unknown, never NaN."""
    assert sequential.together(Strata()) == Difference(unknown="no window of both versions")
    for mine, theirs in [(Sample(), counted(9, 1)), (counted(9, 1), counted(1, 1))]:
        assert apart(mine, theirs).unknown == "no rows of the other version at these hours"
    huge = Sample(9, 1e300, math.inf)
    for sums in (huge, Sample(9, math.inf, math.inf)):
        for found in (apart(sums, sums), sequential.together(strata_of([(sums, sums)]))):
            assert found.unknown and not math.isnan(found.mine)


def test_rows_that_are_all_alike_differ_for_sure_only_where_they_differ():
    """No variance within either version is no proof: that of both together rules."""
    same = apart(measured(np.full(500, 7.0)), measured(np.full(500, 7.0)))
    assert (same.half, same.unknown) == (pytest.approx(0.0, abs=1e-6), "")
    assert same.mine == same.theirs
    other = apart(measured(np.full(500, 7.0)), measured(np.full(500, 8.0)))
    assert 0 < other.half < 1


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("level", [0.1, 1773.2655980950535, 1e9, 1e15])
def test_rounding_is_no_difference(level, spread):
    """Amounts all alike, and large beside their spread: the sums' last digits alone differ."""
    chance = np.random.default_rng(5)
    for _ in range(50):
        sizes = chance.integers(20, 500, (20, 2))
        pairs = [[measured(level + spread * chance.normal(size=n)) for n in both] for both in sizes]
        found = sequential.together(strata_of(pairs))
        assert not found.unknown
        assert abs(found.mine - found.theirs) < found.half
