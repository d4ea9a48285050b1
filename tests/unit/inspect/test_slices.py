"""The worst slice: a rule in words for what is new in a window, and none where nothing is."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from inferwatch.inspect import boxes, slices, worst_slice

NAMES = ["age", "amount", "days", "limit"]


def usual(n, seed):
    """n rows of four normal columns, as float32 would hold them."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, len(NAMES))).astype(np.float32).astype(np.float64)


def planted(n, seed):
    """Like rows, of which a third has amounts between 6 and 9; no usual one is above 5."""
    rows = usual(n, seed)
    rows[: n // 3, 1] = np.random.default_rng(seed).uniform(6, 9, n // 3)
    return rows


@pytest.mark.parametrize("seed", range(10))
def test_the_rule_names_the_planted_column_and_where_it_begins(seed):
    """The cut is above 99 in 100 usual rows and at or below the planted ones; the shares are
    theirs, as close as half of the rows can say.
    """
    reference, found = usual(1_000, seed), planted(900, seed + 100)
    worst = worst_slice(NAMES, reference, found, seed)
    (edge,) = re.fullmatch(r"amount > ([\d.]+)", worst.rule).groups()
    assert np.quantile(reference[:, 1], 0.99) <= float(edge) <= found[:300, 1].min()
    assert worst.reference_share <= 0.01
    assert abs(worst.share - 1 / 3) < 4 * np.sqrt(1 / 3 * 2 / 3 / 450)


@pytest.mark.parametrize("seed", range(10))
def test_a_corner_is_named_by_both_columns(seed):
    """Rows of which too many are old and have small amounts: their places are usual, their number
    is not.
    """
    pool = usual(5_000, seed)
    corner = pool[(pool[:, 0] > 0.5) & (pool[:, 1] < 0)]
    found = np.concatenate([usual(700, seed + 100), corner[:300]])
    worst = worst_slice(NAMES, usual(1_000, seed + 200), found, seed)
    age, amount = re.fullmatch(r"age > (.+) and amount ≤ (.+)", worst.rule).groups()
    assert abs(float(age) - 0.5) < 0.4 and abs(float(amount)) < 0.4
    assert worst.share > worst.reference_share + 0.1


def test_without_a_change_there_is_no_rule():
    """Over 300 pairs of like samples, where one in a thousand is expected, two at most have one."""
    rules = [
        worst_slice(NAMES, usual(300, 2 * pair), usual(200, 2 * pair + 1), pair)
        for pair in range(300)
    ]
    assert sum(rule is not None for rule in rules) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_rules_pick_the_rows_of_the_nodes_of_scikit_learns_tree(seed):
    """Row by row, however edges are rounded, with rows that have no value."""
    reference, found = usual(300, seed), planted(300, seed + 100) * 1_000
    found[::4, 2] = np.nan
    known = [np.where(np.isnan(rows), boxes.MISSING, rows) for rows in (reference, found)]
    rows = np.concatenate(known)
    tree = DecisionTreeClassifier(
        max_depth=2, min_samples_leaf=10, class_weight="balanced", random_state=seed
    ).fit(rows, np.repeat([0, 1], 300))
    nodes = tree.decision_path(rows).toarray().astype(bool)[:, 1:]
    picked = [boxes.within(rows, rule) for rule in slices._rules(*known, seed)]
    assert len(picked) >= 4
    assert {tuple(one) for one in np.array(picked).tolist()} == {
        tuple(one) for one in nodes.T.tolist()
    }


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2))
def test_a_rounded_edge_cuts_where_the_exact_one_does(numbers):
    """Between any two neighbours, with no more digits than that takes."""
    values = np.unique(np.clip(numbers, -boxes.LARGEST, boxes.LARGEST))
    for at, (low, high) in enumerate(zip(values[:-1].tolist(), values[1:].tolist(), strict=True)):
        edge = boxes.roundest(values, at)
        assert low <= edge < high


@pytest.mark.parametrize(
    ("low", "high", "gaps", "words"),
    [
        (512.25, np.inf, False, "amount > 512.25"),
        (-np.inf, 1e6, False, "amount ≤ 1,000,000"),
        (-np.inf, 3.0, True, "amount ≤ 3 or missing"),
        (boxes.NO_VALUE, 3.0, True, "amount ≤ 3"),
        (0.5, 3.0, True, "0.5 < amount ≤ 3"),
        (-np.inf, boxes.NO_VALUE, True, "amount is missing"),
        (boxes.NO_VALUE, np.inf, True, "amount is there"),
    ],
)
def test_every_kind_of_interval_has_words(low, high, gaps, words):
    """Also those that end where values are missing."""
    assert boxes.said("amount", low, high, gaps=gaps) == words


def test_a_column_that_is_missing_more_often_is_said_so():
    """A tenth of the window's rows lack what no row of the reference lacks."""
    found = usual(1_000, 2)
    found[::10, 2] = np.nan
    worst = worst_slice(NAMES, usual(1_000, 1), found, 0)
    assert worst.rule == "days is missing" and worst.reference_share == 0.0


def test_a_rule_has_a_length():
    """Of each name no more than 60 characters."""
    names = ["x" * 5_000] * len(NAMES)
    worst = worst_slice(names, usual(1_000, 1), planted(900, 2), 0)
    assert worst.rule.startswith("x" * 59 + "… > ") and len(worst.rule) < 90


def test_the_same_seed_gives_the_same_rule():
    """Twice, and with any number of threads around it."""
    reference, found = usual(1_000, 1), usual(1_000, 2) + 0.5
    first = worst_slice(NAMES, reference, found, 7)
    for threads in (1, 4):
        with threadpool_limits(threads):
            assert worst_slice(NAMES, reference, found, 7) == first is not None


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 5.0, 1.7e308, -1e-310], ids=lambda value: f"{value:g}"
)
def test_odd_columns_are_no_obstacle(value):
    """One that is odd on both sides hides no other; odd in the window alone it is the rule."""
    reference, found = usual(300, 1), planted(300, 2)
    found[:, 2] = reference[:, 2] = value
    assert worst_slice(NAMES, reference, found, 0).rule.startswith("amount > ")
    reference[:, 2] = usual(300, 3)[:, 2]
    assert "days" in worst_slice(NAMES, reference, found, 0).rule


@pytest.mark.parametrize("size", [1e-30, 1e-9, 1e9, 1e30])
def test_the_size_of_values_does_not_matter(size):
    """Shares of a billionth are told apart as amounts are."""
    reference, found = usual(300, 1), planted(300, 2)
    sized, plain = (worst_slice(NAMES, reference * by, found * by, 0) for by in (size, 1.0))
    assert sized.rule.startswith("amount > ") and sized.share == plain.share


def test_values_that_are_missing_or_infinite_give_no_warning(recwarn):
    """The sum of what stands for them is beyond float32, which told operators of it."""
    found = planted(300, 2)
    found[:100, 2], found[100:200, 2] = np.inf, np.nan
    assert worst_slice(NAMES, usual(300, 1), found, 0) is not None
    assert not recwarn.list


@pytest.mark.parametrize(("m", "n", "width"), [(199, 100, 4), (300, 49, 4), (300, 100, 0)])
def test_too_few_rows_have_no_rule(m, n, width):
    """As little as inspectors have a value then."""
    reference, found = usual(m, 1)[:, :width], planted(n, 2)[:, :width]
    assert worst_slice(NAMES[:width], reference, found, 0) is None
