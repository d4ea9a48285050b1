"""What a query is worth equals scikit-learn's NDCG, and means over every order of equal scores."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from inferwatch.core.intervals import Z, logit
from inferwatch.core.metrics import LABEL_METRICS, ranking
from inferwatch.core.metrics.ranking import CUTS, NAMES

items = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0, 0, 1, 3])),
    min_size=1,
    max_size=6,
)


def worth(score, relevance):
    """By name; `relevant` is whether there is any."""
    found = ranking.worth(np.array(score, np.float64), np.array(relevance, np.float64))
    return dict(zip(("relevant", *NAMES), found.tolist(), strict=True))


def plain(score, relevance):
    """Reciprocal rank and hits by the definition, over all orders of the items by score."""
    sums = dict.fromkeys(("mrr", *(f"hit_rate@{k}" for k in CUTS)), 0.0)
    orders = list(permutations(range(len(score))))
    for order in orders:  # a stable sort: each order of equal scores comes equally often
        ranked = sorted(order, key=lambda at: -score[at])
        first = 1 + next(place for place, at in enumerate(ranked) if relevance[at] > 0)
        sums["mrr"] += 1 / first
        for k in CUTS:
            sums[f"hit_rate@{k}"] += first <= k
    assert len(orders) == factorial(len(score))
    return {name: value / len(orders) for name, value in sums.items()}


@settings(deadline=None, max_examples=60)
@given(items)
def test_reciprocal_rank_and_hits_are_means_over_the_orders_of_equal_scores(drawn):
    """Up to six items of three scores, against every order of them."""
    score, relevance = zip(*drawn, strict=True)
    found = worth(score, relevance)
    assert found["relevant"] == float(any(relevance))
    if any(relevance):
        for name, value in plain(score, relevance).items():
            assert found[name] == pytest.approx(value, abs=1e-12), name


@given(
    st.lists(
        st.tuples(st.floats(0, 1, width=16), st.floats(0, 1e6)), min_size=2, max_size=40
    ).filter(lambda drawn: any(relevance for _, relevance in drawn))
)
def test_ndcg_is_scikit_learns(drawn):
    """Graded relevance, equal scores, cuts within and beyond the items."""
    score, relevance = zip(*drawn, strict=True)
    found = worth(score, relevance)
    for k in CUTS:
        expected = ndcg_score([relevance], [score], k=k)
        assert found[f"ndcg@{k}"] == pytest.approx(expected, abs=1e-9), k


def test_what_is_no_query_counts_nowhere():
    """Without a score, a label or an item, with a relevance below 0; without a relevant item 0."""
    for score, relevance in (
        ([], []),
        ([0.1, np.nan], [1, 0]),
        ([0.1, 0.2], [1, np.nan]),
        ([0.1, 0.2], [1, -1]),
    ):
        assert np.isnan(list(worth(score, relevance).values())).all()
    assert set(worth([0.1, 0.2], [0, 0]).values()) == {0.0}
    assert worth([0.1, 0.2], [1e300, 1e308])["ndcg@1"] == 1.0


def drawn_queries(seed, n):
    """float64[WORTH, n]: queries of one to twelve items, of equal scores too, some irrelevant."""
    luck = np.random.default_rng(seed)
    found = []
    for size in luck.integers(1, 13, n):
        score = luck.integers(0, 6, size) / 5
        found.append(ranking.worth(score, luck.poisson(0.4, size).astype(np.float64)))
    return np.stack(found, axis=1)


def test_figures_are_means_over_queries_with_their_intervals():
    """On the log odds, from the variance of a mean; queries without a relevant item are counted."""
    queries = drawn_queries(1, 300)
    state = ranking.empty()
    ranking.add(state, queries)
    found = ranking.figures(state)
    assert {name for name, one in LABEL_METRICS.items() if one.tasks == ("ranking",)} == set(found)
    relevant = queries[0] > 0
    assert found["irrelevant_rate"].value == pytest.approx(1 - relevant.mean())
    for name, values in zip(NAMES, queries[1:, relevant], strict=True):
        figure = found[name]
        assert (figure.value, figure.n) == (pytest.approx(values.mean()), relevant.sum())
        ends = logit(values.mean(), stats.sem(values) ** 2)
        assert (figure.low, figure.high) == pytest.approx(ends), name
    assert found["mrr"].high - found["mrr"].value == pytest.approx(
        Z * stats.sem(queries[1, relevant]), rel=0.1
    )


def test_queries_that_are_taken_back_leave_nothing():
    """The others alone remain, merged panes are the whole; without queries it says why."""
    queries = drawn_queries(2, 80)
    state, rest, merged = ranking.empty(), ranking.empty(), ranking.empty()
    ranking.add(state, queries)
    ranking.add(state, queries[:, :30], -1)
    for part in (queries[:, 30:50], queries[:, 50:]):
        one = ranking.empty()
        ranking.add(rest, part)
        ranking.add(one, part)
        ranking.merge(merged, one)
    expected = {name: figure.value for name, figure in ranking.figures(rest).items()}
    for other in (state, merged):
        values = {name: figure.value for name, figure in ranking.figures(other).items()}
        assert values == pytest.approx(expected)
    ranking.add(state, queries[:, 30:], -1)
    assert {one.unknown for one in ranking.figures(state).values()} == {ranking.NO_QUERY}
    ranking.add(state, np.zeros((ranking.WORTH, 3)))
    assert ranking.figures(state)["mrr"].unknown == "no relevant item"
    assert ranking.figures(state)["irrelevant_rate"].value == 1.0
