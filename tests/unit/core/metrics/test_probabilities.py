"""Log-loss, Brier score and calibration of a model of several classes are scikit-learn's."""

import math
from random import Random

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from inferwatch.core import columns, snapshot
from inferwatch.core.intervals import Z
from inferwatch.core.metrics import probabilities
from inferwatch.core.sketches import means
from inferwatch.records.definition import Definition, ModelFacts, Reference, Window
from inferwatch.testing.folding import Log

WORDS = ("a", "b", "c", "d")
DEFINITION = Definition(
    model=ModelFacts(task="multiclass", label_horizon_ms=10**9),
    reference=Reference(min_rows=100_000),
    windows=[Window(name="rows", rows=200)],
)


def drawn(seed, n, classes=4):
    """Probabilities float32[classes, n] that add up to 1, and true classes they tell of."""
    luck = np.random.default_rng(seed)
    p = luck.dirichlet(np.full(classes, 0.7), n).astype(np.float32)
    true = np.array([luck.choice(classes, p=row / row.sum()) for row in p.astype(np.float64)])
    return np.ascontiguousarray(p.T), true


def figures(p, true):
    """Of the rows, folded at once."""
    state = probabilities.empty()
    probabilities.add(state, p, true)
    return probabilities.figures(state)


@pytest.mark.parametrize("classes", [2, 3, 9, 40])
def test_they_equal_scikit_learn(classes):
    """On rows of any number of classes, with the interval of a mean."""
    p, true = drawn(classes, 400, classes)
    p, true = p[:, p[true, np.arange(400)] > 1e-6], true[p[true, np.arange(400)] > 1e-6]
    rows, names = p.T.astype(np.float64), np.arange(classes)
    rows /= rows.sum(axis=1, keepdims=True)
    found = figures(p, true)
    log = -np.log(rows[np.arange(len(true)), true])
    squares = ((rows - np.eye(classes)[true]) ** 2).sum(axis=1)
    expected = sklearn.log_loss(true, rows, labels=names)
    assert found["log_loss"].value == pytest.approx(expected, rel=1e-6)
    assert found["brier"].value == pytest.approx(
        sklearn.brier_score_loss(true, rows, labels=names, scale_by_half=False), rel=1e-6
    )
    for name, losses in (("log_loss", log), ("brier", squares)):
        half = Z * stats.sem(losses)
        ends = (losses.mean() - half, losses.mean() + half)
        assert (found[name].low, found[name].high) == pytest.approx(ends, rel=1e-6), name


def test_a_class_without_a_score_has_the_probability_0():
    """As true class it costs the most there is; a row without any score is none."""
    p = np.array([[0.75, 1.0, np.nan], [0.25, np.nan, np.nan]], np.float32)
    found = figures(p, np.array([0, -1, 0]))
    assert found["log_loss"].n == 2
    assert found["log_loss"].value == pytest.approx((-math.log(0.75) - math.log(1e-7)) / 2)
    assert found["brier"].value == pytest.approx((2 * 0.25**2 + 2) / 2)


def test_rows_that_are_taken_back_leave_nothing():
    """What remains is what the other rows alone give, and without rows nothing is known."""
    p, true = drawn(5, 300)
    state = probabilities.empty()
    probabilities.add(state, p, true)
    probabilities.add(state, p[:, :100], true[:100], -1)
    rest = figures(p[:, 100:], true[100:])
    for name, figure in probabilities.figures(state).items():
        assert figure.n == 200
        assert (figure.value, figure.low) == pytest.approx((rest[name].value, rest[name].low))
    probabilities.add(state, p[:, 100:], true[100:], -1)
    assert {one.unknown for one in probabilities.figures(state).values()} == {
        probabilities.NO_SCORES
    }


def test_how_rows_were_batched_does_not_show():
    """One row at a time gives the same bits, panes that are merged the same figures."""
    p, true = drawn(6, 90, classes=20)
    whole, single, merged = (probabilities.empty() for _ in range(3))
    probabilities.add(whole, p, true)
    for row in range(90):
        one = probabilities.empty()
        probabilities.add(one, p[:, row : row + 1], true[row : row + 1])
        probabilities.add(single, p[:, row : row + 1], true[row : row + 1])
        means.merge(merged, one)
    assert (whole.high == single.high).all() and (whole.low == single.low).all()
    assert probabilities.figures(merged) == probabilities.figures(whole)


def folded(p, true, size, seed=1, score=None):
    """Rows in batches of a size, each with the likeliest class; labels shuffled, some corrected,
    some early; the state saved and read back between batches.
    """
    log, luck, n = Log(DEFINITION), Random(seed), len(true)
    owed = list(range(n)) + luck.sample(range(n), n // 4)
    luck.shuffle(owed)
    told = []
    for row in owed:
        wrong = owed.count(row) == 2 and row not in told
        told.append(row)
        word = "a" if wrong else WORDS[true[row]]
        log.labels([str(row)], [word], 1_000 + len(told), time_ms=[1_000 + len(told)])
        if len(told) == n // 4:
            break
    named = p.argmax(axis=0)
    for at in range(0, n, size):
        cut = slice(at, at + size)
        by_class = {word: p[place, cut].tolist() for place, word in enumerate(WORDS)}
        log.rows(
            len(true[cut]),
            2_000,
            ids=[str(row) for row in range(n)[cut]],
            prediction=[WORDS[place] for place in named[cut]],
            score=by_class if score is None else score[cut].tolist(),
        )
        pieces = snapshot.cut(log.partition.models[log.model])
        log.partition.models[log.model] = snapshot.load(pieces)
    for row in owed[len(told) :]:
        wrong = owed.count(row) == 2 and row not in told
        told.append(row)
        word = "a" if wrong else WORDS[true[row]]
        log.labels([str(row)], [word], 3_000 + len(told), time_ms=[3_000 + len(told)])
    log.tick(10**7)
    return log.windows()[-1]


@pytest.mark.parametrize("size", [1, 7, 200])
def test_through_the_fold_they_are_those_of_all_rows(size):
    """Labels early, late, shuffled and corrected, any batches, a restart between any two."""
    p, true = drawn(7, 200)
    found, expected = folded(p, true, size), figures(p, true)
    assert found.labels == 200
    for name, figure in expected.items():
        assert found.metrics[name] == pytest.approx(figure.value, rel=1e-9), name
        assert found.intervals[name] == pytest.approx((figure.low, figure.high), rel=1e-9), name
    sure = p.max(axis=0)
    bias = sure.mean() - (p.argmax(axis=0) == true).mean()
    assert found.metrics["calibration_bias"] == pytest.approx(bias, abs=0.02)


def test_the_score_of_the_answer_alone_gives_calibration_and_no_loss():
    """What the true class had is not known then, and is said to be unknown."""
    p, true = drawn(8, 200)
    by_class, one = folded(p, true, 50), folded(p, true, 50, score=p.max(axis=0))
    for name in ("calibration_bias", "calibration_error"):
        assert one.metrics[name] == by_class.metrics[name]
    assert one.unknown["log_loss"] == one.unknown["brier"] == probabilities.NO_SCORES


def test_more_classes_than_are_kept_are_counted_and_not_judged():
    """Beyond the cap a row would be larger than its features: the figures are unknown."""
    log = Log(DEFINITION)
    wide = {str(place): [0.5] for place in range(columns.SCORES_MAX + 1)}
    log.rows(1, 1_000, ids=["a"], prediction=["0"], score=wide)
    log.labels(["a"], ["0"], 1_001)
    model = log.partition.models[log.model]
    assert model.state.columns.capped == {"scores": 1}
    (cell,) = model.state.tracks["rows"]["1"].labels[0].values()
    assert cell.losses is None and cell.labelled == 1


def test_what_a_row_is_given_does_not_follow_from_the_rows_beside_it():
    """One score of several classes: the row has none by class, alone in a batch or not, and its
    score is that one.
    """
    nan, hour_ms, found = float("nan"), 3_600_000, []
    for batches in (
        [(["b"], {"a": [0.9]}), (["b"], {"a": [0.2], "b": [0.8]})],
        [(["b", "b"], {"a": [0.9, 0.2], "b": [nan, 0.8]})],
    ):
        log = Log(
            Definition(
                model=ModelFacts(task="multiclass"),
                windows=[Window(name="hour", size_ms=hour_ms)],
            )
        )
        for prediction, score in batches:
            log.rows(len(prediction), 1_000, prediction=prediction, score=score)
        log.labels(["0", "1"], ["b", "a"], 2_000)
        log.rows(1, 2 * hour_ms, prediction=["a"], score={"a": [0.5], "b": [0.5]})
        (window, *_) = log.windows("hour")
        found.append({**window.metrics, **window.unknown})
    assert found[0] == found[1]
    assert found[0]["brier"] == pytest.approx(2 * 0.8**2) and found[0]["score.mean"] == 0.85
