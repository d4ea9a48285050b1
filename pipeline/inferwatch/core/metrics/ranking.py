"""How well the items of a query are ranked: reciprocal rank, hit rate and NDCG at fixed cuts.

A query's items are ranked by score, the highest first; relevance is a number of at least 0, and
what is above 0 is relevant. Gain is the relevance itself, the discount 1 / log₂(rank + 1). Items of
equal score have every order alike: each figure is its mean over those orders, so the order in which
rows came does not show. Figures are means over the queries that have a relevant item; the others
are counted. State: 0.4 KB.

References: K. Järvelin, J. Kekäläinen, ACM Trans. Inf. Syst. 20 (2002); ties F. McSherry,
M. Najork, ECIR 2008; E. M. Voorhees, TREC-8 (1999) for the reciprocal rank.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure
from inferwatch.core.intervals import logit, rate
from inferwatch.core.sketches import means
from inferwatch.core.sketches.means import Means

CUTS = (1, 3, 5, 10, 20)
NAMES = ("mrr", *(f"hit_rate@{k}" for k in CUTS), *(f"ndcg@{k}" for k in CUTS))
WORTH = 1 + len(NAMES)
_DISCOUNTS = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, CUTS[-1] + 2)))])
"""Sum of the discounts of the first k ranks."""
NO_QUERY = "no query whose rows all have a label and a score"
Floats = NDArray[np.float64]


class Ranked(msgspec.Struct):
    """Sums over the queries that have a relevant item, and how many have none."""

    means: Means
    irrelevant: int = 0


def empty() -> Ranked:
    """No query."""
    return Ranked(means.empty(len(NAMES)))


def worth(score: Floats, relevance: Floats) -> Floats:
    """What one query says, float64[WORTH]: whether it has a relevant item, then `NAMES`.

    NaN where an item has no score, no label or one below 0; 0 where no item is relevant.
    """
    if not (np.isfinite(score).all() and (relevance >= 0).all() and len(score)):
        return np.full(WORTH, np.nan)
    if not relevance.any():
        return np.zeros(WORTH)
    _, group, sizes = np.unique(-score, return_inverse=True, return_counts=True)
    relevant = np.bincount(group, relevance > 0).astype(np.int64)
    at = int(np.argmax(relevant > 0))
    tied, before = int(sizes[at]), int(sizes[:at].sum())
    chances = _first(tied, int(relevant[at]))
    ranks = before + np.arange(1, len(chances) + 1)
    hits = [min(float(chances[ranks <= k].sum()), 1.0) for k in CUTS]
    gain = relevance / relevance.max()
    best = _dcg(np.sort(gain)[::-1], np.ones(len(gain), np.int64))
    ndcg = np.minimum(_dcg(np.bincount(group, gain) / sizes, sizes) / best, 1.0)
    return np.array([1.0, (chances / ranks).sum(), *hits, *ndcg])


def _first(tied: int, relevant: int) -> Floats:
    """Chance that the first relevant one of `tied` items in any order is the 1st, 2nd, …"""
    drawn = np.arange(tied - relevant)
    later = np.cumprod((tied - relevant - drawn) / (tied - drawn))
    left = np.concatenate([[1.0], later, [0.0]])
    return np.asarray(left[:-1] - left[1:])


def _dcg(gains: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Discounted gain at each cut, of groups of `sizes` items of equal mean gain."""
    ends = np.concatenate([[0], np.cumsum(sizes)])
    reached = _DISCOUNTS[np.minimum(ends, np.array(CUTS)[:, np.newaxis])]
    return np.asarray((gains * (reached[:, 1:] - reached[:, :-1])).sum(axis=1))


def add(state: Ranked, queries: Floats, sign: int = 1) -> None:
    """Add queries, float64[WORTH, n] as `worth` has them, or take them back with `sign` -1."""
    told = queries[:, np.isfinite(queries[0])]
    relevant = told[0] > 0
    means.add(state.means, told[1:, relevant], sign)
    state.irrelevant += sign * int(np.count_nonzero(~relevant))


def merge(into: Ranked, other: Ranked) -> None:
    """Add the queries of `other`."""
    means.merge(into.means, other.means)
    into.irrelevant += other.irrelevant


def figures(state: Ranked) -> dict[str, Figure]:
    """Every figure of a ranking; their `n` are queries."""
    n = state.means.n
    nothing = rate(state.irrelevant, n + state.irrelevant, NO_QUERY)
    if not n:
        why = "no relevant item" if state.irrelevant else NO_QUERY
        return {name: Figure(None, unknown=why) for name in NAMES} | {"irrelevant_rate": nothing}
    found = zip(NAMES, *(part.tolist() for part in means.means(state.means)), strict=True)
    return {name: _figure(value, variance, n) for name, value, variance in found} | {
        "irrelevant_rate": nothing
    }


def _figure(mean: float, variance: float, n: int) -> Figure:
    value = min(max(mean, 0.0), 1.0)
    return Figure(value, n, *logit(value, variance))
