"""95 % intervals of figures: of shares by Wilson, of the rest by the delta method.

References: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
J. Am. Stat. Assoc. 22 (1927); A. W. van der Vaart, Asymptotic Statistics (1998), chapter 3.
"""

import math

from inferwatch.core.figure import Figure

Z = 1.959963984540054
Ends = tuple[float, float] | tuple[None, None]
NONE: Ends = (None, None)


def wilson(successes: int, n: int, z: float = Z) -> tuple[float, float]:
    """Score interval of a proportion; `z` 1.96 for 95 %. The whole range without rows."""
    if not n:
        return 0.0, 1.0
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return low, 1.0 if successes == n else min(1.0, centre + half)


def rate(part: int, whole: int, why: str) -> Figure:
    """A share with its Wilson interval; unknown where there is nothing to divide by."""
    if not whole:
        return Figure(None, unknown=why)
    low, high = wilson(part, whole)
    return Figure(part / whole, whole, low, high)


def normal(value: float, variance: float, least: float = -math.inf, most: float = math.inf) -> Ends:
    """`value` ± 1.96 √`variance`, cut to what the figure can be.

    None where the variance is 0 or no number: rows that are all alike do not tell how far the next
    ones may be.
    """
    if not 0 < variance < math.inf:
        return NONE
    half = Z * math.sqrt(variance)
    return max(least, value - half), min(most, value + half)


def logit(value: float, variance: float, least: float = 0.0, most: float = 1.0) -> Ends:
    """The normal interval of the figure's log odds within (`least`, `most`), mapped back.

    It stays inside the range and is wider towards its middle. None at the ends of the range, and
    where `normal` gives none.
    """
    if not (least < value < most and 0 < variance < math.inf):
        return NONE
    below, above = value - least, most - value
    half = Z * math.sqrt(variance) * (most - least) / (below * above)
    low, high = (_inverse(math.log(below / above) + side) for side in (-half, half))
    return least + (most - least) * low, least + (most - least) * high


def _inverse(odds: float) -> float:
    """Share of log odds; no float overflows."""
    small = math.exp(-abs(odds))
    return (1.0 if odds > 0 else small) / (1.0 + small)
