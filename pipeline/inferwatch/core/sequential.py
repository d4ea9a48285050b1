"""The difference of two means, with an interval that holds at every look.

Whoever looks at a 95 % interval again and again sees it miss sooner or later. A confidence sequence
misses once in all looks, however many and whenever one stops, with a chance of at most `ALPHA`.

Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences" (Ann. Statist. 2024, arXiv 2103.06476), proposition 2.5:
the running mean of differences whose own means may change, by Robbins' mixture of normals. Rows of
both versions in one window are a stratum of N. Mantel and W. Haenszel (1959): weight h = ab/(a + b)
for a and b rows, so that neither hours nor a changing share of the traffic count as a difference.
Where two were never served together the hours of the day are the strata, of one version that stands
and one that grows. The score of the difference of two samples is a Brownian motion in the time
1/variance too (C. Jennison, B. Turnbull, "Group Sequential Methods", 2000, section 3.1), so the
same boundary holds.

It is asymptotic. Two guards make it hold on few and on rare rows, as `tests/statistical` has it:
the variance is the larger of that within the versions and of that of all rows as if there were no
difference, and nothing is said before `EVENTS_MIN` events are to be expected of either.
"""

import math
from collections.abc import Mapping

import msgspec

ALPHA = 0.025
"""Each of two sequences that one reading picks from misses so often: together 5 %."""
EVENTS_MIN = 20
TUNED_ROWS = 2_000.0
"""Weight at which the interval is narrowest: some 4,000 rows of each, more where one has few."""
ROUNDING = 1e-14
"""Share of a sum of squares that its variance may lose to rounding, and is then not below."""
_LOG = -2 * math.log(ALPHA)
_RHO_SQUARED = (_LOG + math.log(_LOG) + 1) / TUNED_ROWS


class Sample(msgspec.Struct, array_like=True):
    """`n` rows by the sums of their values and of the squares; both alike for counted events."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, other: "Sample") -> None:
        """Take in the rows of `other`."""
        self.n += other.n
        self.total += other.total
        self.squares += other.squares

    def variance(self) -> float:
        """Of a row; 0 under two rows."""
        if self.n < 2:
            return 0.0
        spread = self.squares - self.total * (self.total / self.n)
        return max(spread, ROUNDING * self.squares) / (self.n - 1)


class Strata(msgspec.Struct, array_like=True):
    """Windows that both served, as sums: of weights, of weighted means and variances, of rows."""

    windows: int = 0
    weight: float = 0.0
    mine: float = 0.0
    theirs: float = 0.0
    within: float = 0.0
    pooled: float = 0.0
    my_rows: Sample = msgspec.field(default_factory=Sample)
    their_rows: Sample = msgspec.field(default_factory=Sample)

    def add(self, mine: Sample, theirs: Sample) -> None:
        """Take in a window of two rows at least of either."""
        weight = mine.n * theirs.n / (mine.n + theirs.n)
        within, pooled = _variances(mine, theirs)
        self.windows += 1
        self.weight += weight
        self.mine += weight * (mine.total / mine.n)
        self.theirs += weight * (theirs.total / theirs.n)
        self.within += weight * weight * within
        self.pooled += weight * weight * pooled
        self.my_rows.add(mine)
        self.their_rows.add(theirs)


class Difference(msgspec.Struct, frozen=True):
    """Two means, and half the width of the interval about their difference.

    `weight` is what the rows of both tell together; `unknown` says why there is no interval yet.
    """

    mine: float = 0.0
    theirs: float = 0.0
    half: float = 0.0
    weight: float = 0.0
    rows: int = 0
    windows: int = 0
    unknown: str = ""


def together(strata: Strata) -> Difference:
    """By the windows that both served."""
    if not strata.windows:
        return Difference(unknown="no window of both versions")
    weight = strata.weight
    mine, theirs = strata.mine / weight, strata.theirs / weight
    half = _half_width(max(strata.within, strata.pooled) / (weight * weight), weight)
    if not all(math.isfinite(one) for one in (mine, theirs, half)):
        return Difference(unknown="overflow")
    expected = _expected(strata.my_rows, strata.their_rows)
    unknown = "" if expected >= EVENTS_MIN else f"{int(expected)} of {EVENTS_MIN} events"
    return Difference(mine, theirs, half, weight, strata.my_rows.n, strata.windows, unknown)


def apart(mine: Mapping[int, Sample], theirs: Mapping[int, Sample]) -> Difference:
    """By rows that were never served together, hour of the day by hour of the day."""
    strata = Strata()
    for hour, sample in mine.items():
        other = theirs.get(hour, Sample())
        if min(sample.n, other.n) > 1:
            strata.add(sample, other)
    if not strata.windows:
        return Difference(unknown="no rows of the other version at these hours")
    return msgspec.structs.replace(together(strata), windows=0)


def _variances(mine: Sample, theirs: Sample) -> tuple[float, float]:
    """Variance of the difference of means: within either, and as if all rows were of one."""
    both = Sample()
    both.add(mine)
    both.add(theirs)
    within = mine.variance() / mine.n + theirs.variance() / theirs.n
    return within, both.variance() * (1 / mine.n + 1 / theirs.n)


def _expected(mine: Sample, theirs: Sample) -> float:
    """Events that the version with fewer rows should have, were there no difference.

    What is counted or its absence, whichever is rarer; of amounts (Σy)²/Σy², which is the number of
    rows where all are alike, and 1 where one row is all of it.
    """
    n, total = mine.n + theirs.n, mine.total + theirs.total
    squares = mine.squares + theirs.squares
    told = total * (total / squares) if squares > 0 else 0.0
    if squares == total:
        told = min(total, n - total)
    return told * min(mine.n, theirs.n) / n


def _half_width(variance: float, weight: float) -> float:
    """Of the interval about a difference with this variance."""
    time = weight * _RHO_SQUARED
    return math.sqrt(variance * (1 + 1 / time) * (math.log1p(time) + _LOG))
