"""Where the errors are: a rule in words for where errors rose, and none where they did not."""

import re

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from inferwatch.inspect import boxes, error_slice, error_slices

NAMES = ["age", "amount", "days", "limit"]


def usual(n, seed):
    """n rows of four normal columns, one in ten of them wrong."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(n, len(NAMES))).astype(np.float32).astype(np.float64)
    return rows, (draw.random(n) < 0.1).astype(np.float64)


def planted(n, seed):
    """Such rows, of which those with amounts above 0.8 are wrong in six of ten."""
    rows, wrong = usual(n, seed)
    there = rows[:, 1] > 0.8
    wrong[there] = np.random.default_rng(seed).random(there.sum()) < 0.6
    return rows, wrong


@pytest.mark.parametrize("seed", range(10))
def test_the_rule_names_the_column_and_where_errors_begin(seed):
    """The rates are those of the rows inside and outside, as close as half of the rows can say."""
    found = error_slice(NAMES, usual(1_000, seed), planted(1_000, seed + 100), seed)
    there = found.errors
    assert abs(float(re.match(r"amount > ([-\d.]+)", there.rule)[1]) - 0.8) < 0.4
    assert there.error_rate > 0.35 and there.before < 0.25 and found.p_value <= 0.001
    assert abs(there.elsewhere - 0.1) < 0.08 and abs(there.elsewhere_before - 0.1) < 0.06
    assert 20 <= there.rows == pytest.approx(500 * there.share)
    assert there.above is None


@pytest.mark.parametrize("seed", range(5))
def test_a_corner_is_named_by_both_columns(seed):
    """Rows of great age with small amounts: neither column alone says where."""
    rows, wrong = usual(1_000, seed + 100)
    corner = (rows[:, 0] > 0.2) & (rows[:, 1] < 0)
    wrong[corner] = np.random.default_rng(seed).random(corner.sum()) < 0.8
    rule = error_slice(NAMES, usual(1_000, seed), (rows, wrong), seed).errors.rule
    age, amount = re.fullmatch(r"age > (.+) and amount ≤ (.+)", rule.replace("−", "-")).groups()
    assert abs(float(age) - 0.2) < 0.4 and abs(float(amount)) < 0.4


def test_a_size_of_errors_is_held_against_those_before():
    """Of numbers an error is one larger than nine tenths of those before; the rule says which."""
    draw = np.random.default_rng(1)
    before, found = usual(1_000, 1)[0], usual(1_000, 2)[0]
    sizes, now = np.abs(draw.normal(size=(2, 1_000)))
    now[found[:, 2] < -0.5] *= 3
    there = error_slice(NAMES, (before, sizes), (found, now), 0, numbers=True).errors
    assert re.match(r"days ≤ ", there.rule)
    assert (sizes > there.above).mean() <= 0.1 < (sizes >= there.above - 0.01).mean()
    assert abs(there.elsewhere_before - 0.1) < 0.06 and there.error_rate > 0.3


def test_a_place_that_was_always_weak_is_none():
    """Of 100 windows where errors rise everywhere alike, or nowhere, none is told of it."""
    told = 0
    for seed in range(100):
        sides = []
        for more in (0.0, 0.2 * (seed % 2)):
            rows, _ = usual(600, 1_000 * seed + len(sides))
            rate = np.where(rows[:, 0] > 0.5, 0.4, 0.05) + more
            sides.append((rows, np.random.default_rng(seed).random(600) < rate))
        told += error_slice(NAMES, *sides, seed).errors is not None
    assert not told


@pytest.mark.parametrize("seed", range(20))
def test_the_chance_is_fishers(seed):
    """The exact one that scipy gives for the table of inside."""
    draw = np.random.default_rng(seed)
    before, now = draw.integers(1, 40, (2, 2))
    (rows_before, wrong_before), (rows, wrong) = (sorted(one)[::-1] for one in (before, now))
    counts = [
        np.array([[n], [k], [0], [0]], float)
        for n, k in ((rows_before, wrong_before), (rows, wrong))
    ]
    table = [[wrong, rows - wrong], [wrong_before, rows_before - wrong_before]]
    wanted = stats.fisher_exact(table, alternative="greater").pvalue
    assert error_slices._exact_chance(*counts) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_the_best_of_all_pairs_of_cuts(seed):
    """As many standard errors as the best of every two cuts that a plain loop tries."""
    sides = [
        np.column_stack([rows[:, :2], wrong])
        for rows, wrong in (usual(300, seed), planted(300, seed + 100))
    ]

    def score(rule):
        counts = []
        for rows in sides:
            inside = boxes.within(rows, rule)
            wrong = rows[:, -1] > 0
            counts.append(
                [inside.sum(), wrong[inside].sum(), (~inside).sum(), wrong[~inside].sum()]
            )
        before, now = np.array(counts, float)
        if min(*before[::2], *now[::2]) < 20:
            return 0.0
        p = [(now[1] + 1) / (now[0] + 2), (before[1] + 1) / (before[0] + 2)]
        q = [(now[3] + 1) / (now[2] + 2), (before[3] + 1) / (before[2] + 2)]
        spread = sum(
            r * (1 - r) / (n + 2)
            for r, n in ((p[0], now[0]), (p[1], before[0]), (q[0], now[2]), (q[1], before[2]))
        )
        return (p[0] - p[1] - max(q[0] - q[1], 0)) / np.sqrt(spread)

    cuts = [*error_slices._cuts(np.concatenate(sides)[:, :-1])]
    single = max(map(score, cuts))
    pairs = max(score(error_slices._within_both(one, other)) for one in cuts for other in cuts)
    found = score(error_slices._search(*sides))
    assert found == pytest.approx(pairs if pairs > 1.3 * single else single)


def test_codes_are_cut_between_any_two():
    """A rare code among few is a place, however many rows have the others."""
    before, found = usual(2_000, 1), usual(2_000, 2)
    for side in (before, found):
        side[0][:, 3] = np.random.default_rng(3).choice(
            [0, 1, 2, 7], 2_000, p=[0.6, 0.3, 0.05, 0.05]
        )
    code = found[0][:, 3] >= 2
    found[1][code] = np.random.default_rng(4).random(code.sum()) < 0.7
    assert error_slice(NAMES, before, found, 0).errors.rule == "limit > 1.5"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 5.0, 1.7e308], ids=str)
def test_odd_columns_are_no_obstacle(value, recwarn):
    """One that is odd on both sides hides no other; rows that lack it may be the place."""
    before, found = usual(600, 1), planted(600, 2)
    for side in (before, found):
        side[0][:, 2] = value
    assert error_slice(NAMES, before, found, 0).errors.rule.startswith("amount > ")
    assert not recwarn.list


def test_rows_that_lack_a_value_may_be_the_place():
    """In words."""
    before, found = usual(1_000, 1), usual(1_000, 2)
    for rows, _ in (before, found):
        rows[::5, 2] = np.nan
    found[1][::5] = 1.0
    assert error_slice(NAMES, before, found, 0).errors.rule == "days is missing"


@pytest.mark.parametrize(("m", "n", "width"), [(199, 300, 4), (300, 199, 4), (300, 300, 0)])
def test_too_few_rows_say_so(m, n, width):
    """Of either side, and of columns: a reason in the place of a value."""
    (before, errors), (rows, wrong) = usual(m, 1), usual(n, 2)
    found = error_slice(NAMES[:width], (before[:, :width], errors), (rows[:, :width], wrong), 0)
    assert found.value is None and found.unknown and (found.n, found.reference_n) == (n, m)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_all_alike_is_no_place(rate):
    """No error at all, or nothing but errors, before and now."""
    sides = [(usual(300, seed)[0], np.full(300, rate)) for seed in (1, 2)]
    found = error_slice(NAMES, *sides, 0)
    assert (found.value, found.errors) == (0.0, None)


def test_columns_of_one_value_have_no_place():
    """There is nothing to cut, whatever the errors."""
    sides = [(np.ones((300, 4)), np.full(300, rate)) for rate in (0.0, 1.0)]
    assert error_slice(NAMES, *sides, 0).value == 0.0


def test_the_same_seed_gives_the_same_rule():
    """Twice, and with any number of threads around it."""
    before, found = usual(1_000, 1), planted(1_000, 2)
    first = error_slice(NAMES, before, found, 7)
    for threads in (1, 4):
        with threadpool_limits(threads):
            assert error_slice(NAMES, before, found, 7) == first
