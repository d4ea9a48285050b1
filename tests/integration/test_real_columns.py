"""What windows say of real columns, of data sets that river and scikit-learn bring along, is what
scipy, numpy and scikit-learn say of the same rows.
"""

from functools import cache

import numpy as np
import pytest
from river import datasets as of_river
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance
from sklearn import datasets as of_sklearn
from sklearn import metrics as sklearn
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.testing.folding import Log

RIVER = ("Bananas", "ImageSegments", "Phishing", "SolarFlare", "TrumpApproval", "ChickWeights")
SKLEARN = ("iris", "wine", "breast_cancer", "diabetes", "digits")
FLOOR, EPSILON = 1e-4, 1e-7
NEVER = Limit(direction="above", value=1e9, clear=1e9)


@cache
def columns_of(name):
    """Columns of numbers, as float32 has them, and of words."""
    if name in SKLEARN:
        rows = getattr(of_sklearn, f"load_{name}")().data
        return {f"c{at}": rows[:, at].astype(np.float32) for at in range(rows.shape[1])}, {}
    found = [features for features, _ in getattr(of_river, name)()]
    numbers, words = {}, {}
    for key, value in found[0].items():
        column = [row[key] for row in found]
        if isinstance(value, str):
            words[key] = column
        else:
            numbers[key] = np.array(column, np.float32)
    return numbers, words


def halves(name, order):
    """The rows of each half: the file's, or of rows in a seeded order."""
    numbers, _ = columns_of(name)
    n = len(next(iter(numbers.values())))
    places = np.arange(n) if order == "filed" else np.random.default_rng(7).permutation(n)
    return places[: n // 2], places[n // 2 : n // 2 * 2]


def compared(name, order, *, exact):
    """The features of the window of the second half, held against the first."""
    (before, now), (numbers, words) = halves(name, order), columns_of(name)
    rows = len(before)
    log = Log(
        Definition(
            model=ModelFacts(task="binary"),
            reference=Reference(min_rows=rows),
            windows=[Window(name="half", rows=rows, exact=exact)],
        )
    )
    for places in (before, now):
        for part in np.array_split(places, 3):
            log.rows(
                len(part),
                0,
                numeric={key: column[part].tolist() for key, column in numbers.items()},
                categories={key: [column[at] for at in part] for key, column in words.items()},
            )
    return log.windows()[-1].features


def in_tenths(before, now):
    """Shares of both between the inner deciles of the first."""
    edges = np.unique(np.quantile(before.astype(np.float64), np.arange(1, 10) / 10))
    found = []
    for column in (before, now):
        places = np.digitize(column, edges.astype(np.float32), right=True)
        found.append(np.bincount(places, minlength=len(edges) + 1) / len(column))
    return found


@pytest.mark.parametrize("order", ["filed", "shuffled"])
@pytest.mark.parametrize("name", [*RIVER, *SKLEARN])
def test_numbers_drift_as_their_definitions_say(name, order):
    """From rows KS and Wasserstein are scipy's, from bins KS loses at most the fullest of them; PSI
    and its kin follow from the deciles in both, as mean, deviation and range do from the rows.
    """
    (before, now), (numbers, _) = halves(name, order), columns_of(name)
    exact, sketched = (compared(name, order, exact=way) for way in (True, False))
    for key, column in numbers.items():
        old, new = column[before].astype(np.float64), column[now].astype(np.float64)
        d = ks_2samp(old, new, method="asymp").statistic
        assert exact[key].ks == pytest.approx(d, abs=1e-9)
        p, q = in_tenths(column[before], column[now])
        fullest = max(1 / 128, max(np.unique(old, return_counts=True)[1]) / len(old))
        assert -1e-9 <= d - sketched[key].ks <= fullest + 1 / len(old) + 1e-9
        if old.std() > 0:
            distance = wasserstein_distance(old, new) / old.std()
            assert exact[key].wasserstein == pytest.approx(distance, rel=1e-9, abs=1e-9)
        low, high = np.maximum(p, FLOOR), np.maximum(q, FLOOR)
        for found in (exact[key], sketched[key]):
            assert found.psi == pytest.approx(float(((high - low) * np.log(high / low)).sum()))
            assert found.jensenshannon == pytest.approx(jensenshannon(p, q, 2), abs=1e-9)
            hellinger = np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2)
            assert found.hellinger == pytest.approx(hellinger, abs=1e-9)
            assert found.total_variation == pytest.approx(abs(p - q).sum() / 2, abs=1e-9)
            assert found.l_infinity == pytest.approx(abs(p - q).max(), abs=1e-9)
            described = [found.mean, found.sd, found.least, found.most]
            assert described == pytest.approx([new.mean(), new.std(ddof=1), new.min(), new.max()])


@pytest.mark.parametrize("order", ["filed", "shuffled"])
def test_words_drift_as_scipy_says(order):
    """χ² of homogeneity, columns that expect under five rows added together."""
    (before, now), (_, words) = halves("SolarFlare", order), columns_of("SolarFlare")
    found, judged = compared("SolarFlare", order, exact=False), 0
    for key, column in words.items():
        known = sorted(set(column))
        counts = np.array(
            [[sum(column[at] == word for at in side) for word in known] for side in (before, now)]
        )
        small = (counts.sum(axis=0) / 2) < 5
        pooled = np.column_stack([counts[:, ~small], counts[:, small].sum(axis=1)])
        pooled = pooled[:, pooled.any(axis=0)]
        if len({column[at] for at in before}) < len(known) or pooled.sum(axis=0).min() < 10:
            continue
        judged += 1
        expected = chi2_contingency(pooled, correction=False)
        assert found[key].chi_square == pytest.approx(expected.statistic)
        assert found[key].p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert judged


def judged_by(task, metric, positive, truths, **columns):
    """The label figures of one exact window of such answers, all of them labelled."""
    n = len(truths)
    check = Check(alert="A", metric=metric, window="all", fail=NEVER)
    log = Log(
        Definition(
            model=ModelFacts(task=task, positive=positive),
            windows=[Window(name="all", rows=n, exact=True)],
            checks=[check],
        )
    )
    log.rows(n, 0, **columns)
    log.labels([str(row) for row in range(n)], truths, 1_000)
    log.tick(3_600_000)
    return log.windows()[-1].metrics


def scaled(name):
    """Columns on one scale, and the truths."""
    loaded = getattr(of_sklearn, f"load_{name}")()
    return StandardScaler().fit_transform(loaded.data), loaded.target


def test_a_binary_model_is_judged_as_scikit_learn_judges_it():
    """Scores of a logistic regression of tumours, learnt from every second row."""
    rows, truth = scaled("breast_cancer")
    score = LogisticRegression().fit(rows[::2], truth[::2]).predict_proba(rows)[:, 1]
    answer = (score > 0.5).astype(int)
    found = judged_by(
        "binary",
        "accuracy",
        "1",
        truth.astype(str).tolist(),
        prediction=answer.astype(str).tolist(),
        score=score.tolist(),
    )
    expected = {
        "accuracy": sklearn.accuracy_score(truth, answer),
        "recall": sklearn.recall_score(truth, answer),
        "f1": sklearn.f1_score(truth, answer),
        "mcc": sklearn.matthews_corrcoef(truth, answer),
        "auc": sklearn.roc_auc_score(truth, score),
        "average_precision": sklearn.average_precision_score(truth, score),
        "log_loss": sklearn.log_loss(truth, score.clip(EPSILON, 1 - EPSILON)),
        "brier": sklearn.brier_score_loss(truth, score),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["iris", "wine", "digits"])
def test_a_model_of_classes_is_judged_as_scikit_learn_judges_it(name):
    """Answers of a model that knows two of the columns."""
    rows, truth = scaled(name)
    rows = rows[:, 1:3]
    answer = LogisticRegression().fit(rows[::2], truth[::2]).predict(rows)
    found = judged_by(
        "multiclass",
        "accuracy",
        "1",
        truth.astype(str).tolist(),
        prediction=answer.astype(str).tolist(),
    )
    mean = {"average": "macro", "zero_division": 0.0}
    expected = {
        "accuracy": sklearn.accuracy_score(truth, answer),
        "balanced_accuracy": sklearn.balanced_accuracy_score(truth, answer),
        "mcc": sklearn.matthews_corrcoef(truth, answer),
        "macro_precision": sklearn.precision_score(truth, answer, **mean),
        "macro_recall": sklearn.recall_score(truth, answer, **mean),
        "macro_f1": sklearn.f1_score(truth, answer, **mean),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)


def test_a_regression_is_judged_as_scikit_learn_judges_it():
    """Answers of a linear model of a disease, learnt from every second row."""
    rows, truth = scaled("diabetes")
    answer = LinearRegression().fit(rows[::2], truth[::2]).predict(rows)
    found = judged_by("regression", "mae", "1", truth.tolist(), prediction=answer.tolist())
    expected = {
        "mae": sklearn.mean_absolute_error(truth, answer),
        "rmse": sklearn.root_mean_squared_error(truth, answer),
        "mape": sklearn.mean_absolute_percentage_error(truth, answer),
        "r2": sklearn.r2_score(truth, answer),
        "bias": float(np.mean(answer - truth)),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-9)
