"""Inspectors of rows: scikit-learn's scores, limits that mean something, odd rows answered for."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from inferwatch import inspect
from inferwatch.errors import UsageError
from inferwatch.inspect import beyond, scaling

MIX = np.array([[1.0, 0.8, 0.3], [0.0, 0.6, 0.5], [0.0, 0.0, 0.8]])


def normal(n, seed, shift=0.0):
    """n rows of three columns that depend on each other, each of standard deviation about 1."""
    return np.random.default_rng(seed).normal(size=(n, 3)) @ MIX + shift


def halves(reference, found, seed=0):
    """The fitted half, the held half and the rows, all in the fitted half's spreads."""
    order = np.random.default_rng(seed).permutation(len(reference))
    fitted, held = np.array_split(reference[order], [len(order) // 2])
    scale = scaling.learn(fitted)
    return scale.apply(fitted), scale.apply(held), scale.apply(found)


ORACLES = {
    "isolation_forest": lambda rows: IsolationForest(random_state=0).fit(rows).score_samples,
    "lof": lambda rows: (
        LocalOutlierFactor(20, algorithm="brute", novelty=True).fit(rows).score_samples
    ),
    "one_class_svm": lambda rows: OneClassSVM(nu=0.1).fit(rows).score_samples,
}


@pytest.mark.parametrize("method", ORACLES)
def test_the_share_is_that_of_scikit_learns_scores(method):
    """Rows beyond the 99th percentile of the held half, counted by hand from the same estimator."""
    reference, found = normal(401, 1), normal(150, 2, shift=1.5)
    fitted, held, rows = halves(reference, found)
    score = ORACLES[method](fitted)
    limit = np.sort(-score(held))[int(np.ceil(0.99 * (len(held) + 1))) - 1]
    wanted = float((-score(rows) > limit).mean())
    answer = inspect.rows(method, reference, found)
    assert answer.value == wanted > 0.02
    assert (answer.n, answer.reference_n) == (150, 401)


def test_the_forest_tells_rows_from_shuffled_ones():
    """`random_forest` scores by scikit-learn's own probability of being a shuffled row."""
    reference = normal(400, 1)
    found = np.random.default_rng(0).permuted(normal(150, 2), axis=0)
    fitted, held, rows = halves(reference, found)
    shuffled = np.random.default_rng(0).permuted(fitted, axis=0)
    forest = RandomForestClassifier(min_samples_leaf=5, random_state=0)
    forest.fit(np.concatenate([fitted, shuffled]), [0] * 200 + [1] * 200)
    limit = np.sort(forest.predict_proba(held)[:, 1])[int(np.ceil(0.99 * 201)) - 1]
    wanted = float((forest.predict_proba(rows)[:, 1] > limit).mean())
    assert inspect.rows("random_forest", reference, found).value == wanted > 0.02


def test_the_domain_classifier_is_a_cross_validated_auc():
    """The same mean AUC as scikit-learn's `cross_val_score` over the same folds."""
    reference, found = normal(300, 1), normal(200, 2, shift=0.5)
    rows = scaling.learn(reference).apply(np.concatenate([reference, found]))
    side = np.repeat([0, 1], [300, 200])
    forest = RandomForestClassifier(min_samples_leaf=5, class_weight="balanced", random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    wanted = cross_val_score(forest, rows, side, cv=folds, scoring="roc_auc").mean()
    answer = inspect.rows("domain_classifier", reference, found)
    assert answer.value == pytest.approx(wanted, abs=1e-12)
    assert answer.low < answer.value < answer.high and answer.p_value < 0.05


@pytest.mark.parametrize("position", [1, 4, 5])
@pytest.mark.parametrize("count", range(5))
def test_the_p_value_is_the_share_of_all_orders(count, position):
    """Of all orders of five held and four new scores, those with as many beyond the limit."""
    held, n = 5, 4
    orders = list(itertools.combinations(range(held + n), held))
    hits = 0
    for places in orders:
        limit = places[position - 1]
        new = [place for place in range(held + n) if place not in places]
        hits += sum(place > limit for place in new) >= count
    assert beyond._chance(count, n, held, position) == pytest.approx(hits / len(orders))


def test_without_a_change_one_row_in_a_hundred_is_beyond():
    """Over 200 pairs of like samples the mean share is 0.01, and p ≤ 0.05 in at most 5 % of them.

    Bounds are four standard errors wide.
    """
    answers = [
        inspect.rows("one_class_svm", normal(400, 2 * pair), normal(100, 2 * pair + 1), pair)
        for pair in range(200)
    ]
    shares = np.array([answer.value for answer in answers])
    assert abs(shares.mean() - 0.01) < 4 * shares.std() / np.sqrt(200)
    false = np.mean([answer.p_value <= 0.05 for answer in answers])
    assert false <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


APART = [method for method in inspect.ROWS if method != "correlation"]  # it sees no row by itself


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", APART)
def test_every_method_sees_rows_that_are_elsewhere(method):
    """Where columns keep their ranges and lose what ties them, or move, the answer says so."""
    found = normal(200, 2) * [1, -1, 1] if method == "random_forest" else normal(200, 2, shift=6)
    before = inspect.rows(method, normal(400, 1), normal(200, 3))
    after = inspect.rows(method, normal(400, 1), found)
    assert before.p_value > 0.001 > after.p_value
    assert after.value > before.value + 0.1 and after.low > before.value


@pytest.mark.usefixtures("few_trees")
def test_auc_without_a_change_is_a_half():
    """Over 8 pairs of like samples the mean AUC is one half, within four standard errors."""
    areas = [
        inspect.rows("domain_classifier", normal(200, 2 * pair), normal(60, 2 * pair + 1)).value
        for pair in range(8)
    ]
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas) / np.sqrt(8)


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", inspect.ROWS)
def test_the_same_seed_gives_the_same_answer(method):
    """Twice, and with any number of threads around it."""
    reference, found = normal(300, 1), normal(100, 2, shift=0.5)
    first = inspect.rows(method, reference, found, seed=7)
    for threads in (1, 4):
        with threadpool_limits(threads):
            assert inspect.rows(method, reference, found, seed=7) == first


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", inspect.ROWS)
def test_units_do_not_show(method):
    """Columns times 2³⁰, so of the size of 10⁹, give the same answer to the last bit."""
    reference, found = normal(300, 1), normal(100, 2, shift=0.5)
    assert inspect.rows(method, reference * 2**30, found * 2**30) == inspect.rows(
        method, reference, found
    )


def with_column(values):
    """Like rows of which the last column is `values`."""
    reference, found = normal(300, 1), normal(100, 2)
    reference[:, 2] = found[:, 2] = values
    return reference, found


ODD = {
    "all missing": with_column(np.nan),
    "all infinite": with_column(np.inf),
    "a constant": with_column(5.0),
    "the largest": with_column(1.7e308),
    "one value in all columns": (np.full((300, 3), 2.0), np.full((100, 3), 2.0)),
    "no columns": (np.empty((300, 0)), np.empty((100, 0))),
    "an empty reference": (np.empty((0, 3)), normal(100, 2)),
    "an empty window": (normal(300, 1), np.empty((0, 3))),
    "one row each": (normal(1, 1), normal(1, 2)),
}
BLIND = ("no columns", "an empty reference", "an empty window", "one row each")


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("method", APART)
def test_odd_rows_have_an_answer(method, odd):
    """A share or an AUC near that of no change, or unknown with a reason; never NaN or an error."""
    reference, found = ODD[odd]
    before = reference.copy(), found.copy()
    answer = inspect.rows(method, reference, found)
    if odd in BLIND:
        assert answer.value is None and answer.unknown
    else:
        assert not answer.unknown and answer.p_value > 0.001
        assert 0 <= answer.low <= answer.value <= answer.high <= 1
    np.testing.assert_array_equal(before[0], reference)
    np.testing.assert_array_equal(before[1], found)


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9])
@pytest.mark.parametrize("method", ["lof", "one_class_svm", "domain_classifier"])
def test_a_column_that_breaks_is_seen(method, value):
    """A column that is whole in the reference and missing, infinite or 10⁹ in the window."""
    found = normal(100, 2)
    found[:, 2] = value
    assert inspect.rows(method, normal(300, 1), found).value > 0.9


@pytest.mark.usefixtures("few_trees")
def test_gaps_that_the_reference_has_too_are_usual():
    """A third of a column missing on both sides gives no more than chance does."""
    reference, found = normal(600, 1), normal(200, 2)
    reference[::3, 1] = found[::3, 1] = np.nan
    for method in APART:
        assert inspect.rows(method, reference, found).p_value > 0.001


def test_what_cannot_be_asked_is_said():
    """A method that is none, and columns that differ, are the caller's errors."""
    with pytest.raises(UsageError, match="lof"):
        inspect.rows("lofty", normal(300, 1), normal(100, 2))
    with pytest.raises(UsageError, match="columns differ"):
        inspect.rows("lof", normal(300, 1), normal(100, 2)[:, :2])
    with pytest.raises(UsageError, match="domain_classifier"):
        inspect.window("domain_classifier", normal(60, 1), normal(1, 2)[0])
    with pytest.raises(UsageError, match="columns differ"):
        inspect.window("lof", normal(60, 1), normal(2, 2))


def test_scikit_learn_waits_until_it_is_needed():
    """Importing the inspectors imports none of it."""
    code = "import sys, inferwatch.inspect; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
