"""Estimates are those of CBPE's definition, row by row; their intervals hold what labels say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from inferwatch.core.metrics import estimated, isotonic
from inferwatch.core.metrics.isotonic import AS_GIVEN
from inferwatch.core.sketches import score_labels
from inferwatch.core.sketches.score_labels import BINS, MIDDLES

rows = st.lists(st.tuples(st.integers(0, BINS - 1), st.booleans()), max_size=40)


def counted(scores, flags):
    """The table of scores by a flag of each row, as cells keep it."""
    state = score_labels.empty()
    score_labels.add(state, np.asarray(scores, np.float64), np.asarray(flags, np.bool_))
    return state.counts


def by_rows(p, answer):
    """Accuracy, precision, recall, F1 and AUC as the definition has them, one row at a time."""
    tp = sum(one for one, yes in zip(p, answer, strict=True) if yes)
    fp = sum(1 - one for one, yes in zip(p, answer, strict=True) if yes)
    fn = sum(one for one, yes in zip(p, answer, strict=True) if not yes)
    wrong = sum(abs(yes - one) for one, yes in zip(p, answer, strict=True))
    points = [(1.0, 1.0)]
    for threshold in sorted(set(p)):  # each is passed: what lies above it is answered positive
        above = [one for one in p if one > threshold]
        false, true = sum(1 - one for one in above), sum(above)
        points.append((false / (len(p) - sum(p)), true / sum(p)))
    points.sort()
    area = sum(
        (right[0] - left[0]) * (right[1] + left[1]) / 2
        for left, right in itertools.pairwise(points)
    )
    return {
        "estimated.accuracy": 1 - wrong / len(p),
        "estimated.precision": tp / (tp + fp) if tp + fp else None,
        "estimated.recall": tp / (tp + fn),
        "estimated.f1": 2 * tp / (2 * tp + fp + fn),
        "estimated.auc": area,
    }


@settings(max_examples=200)
@given(rows)
def test_equals_the_definition_row_by_row(drawn):
    """Scores in the middle of their bins, any answers: every estimate that is known."""
    p, answer = [float(MIDDLES[at]) for at, _ in drawn], [yes for _, yes in drawn]
    found = estimated.figures(counted(p, answer), AS_GIVEN)
    assert tuple(found) == estimated.ESTIMATES
    for name, value in (by_rows(p, answer) if drawn else {}).items():
        if found[name].value is not None:
            assert found[name].value == pytest.approx(value, abs=1e-9)


def test_what_has_no_denominator_is_unknown():
    """No row; no positive answer; hardly a positive row to be expected."""
    none = estimated.figures(counted([], []), AS_GIVEN)
    assert {one.unknown for one in none.values()} == {estimated.NO_ROWS}
    rare = estimated.figures(counted([0.001] * 20, [False] * 20), AS_GIVEN)
    assert [name for name, one in rare.items() if one.unknown] == [
        f"estimated.{name}" for name in ("precision", "recall", "f1", "auc")
    ]
    assert all(one.unknown == estimated.WHY[name] for name, one in rare.items() if one.unknown)
    assert rare["estimated.accuracy"].value == pytest.approx(0.999, abs=1e-4)


def world(draw, n, shift, slope=1.0):
    """Scores of a model that is too sure of itself, its answers and the truths."""
    x = draw.normal(shift, 1.5, n)
    truth = draw.random(n) < 1 / (1 + np.exp(-slope * x - 0.5))
    score = 1 / (1 + np.exp(-2.0 * x))
    return score, score >= 0.5, truth


def realised(score, answer, truth):
    """What labels say of the rows, by scikit-learn."""
    return {
        "estimated.accuracy": sklearn.accuracy_score(truth, answer),
        "estimated.precision": sklearn.precision_score(truth, answer),
        "estimated.recall": sklearn.recall_score(truth, answer),
        "estimated.f1": sklearn.f1_score(truth, answer),
        "estimated.auc": sklearn.roc_auc_score(truth, score),
    }


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.0])
def test_intervals_hold_what_labels_say_under_covariate_shift(shift):
    """200 references and windows whose inputs moved: 95 % hold the realised figure, 90 at least.

    Scores as given miss most of them: calibration is what makes the difference.
    """
    draw, held = np.random.default_rng(7), dict.fromkeys(estimated.ESTIMATES, 0)
    as_given = 0
    for _ in range(200):
        score, _, truth = world(draw, 4_000, 0.0)
        curve = isotonic.fit(counted(score, truth))
        score, answer, truth = world(draw, 2_000, shift)
        real = realised(score, answer, truth)
        table = counted(score, answer)
        for name, figure in estimated.figures(table, curve).items():
            held[name] += figure.low <= real[name] <= figure.high
        raw = estimated.figures(table, AS_GIVEN)["estimated.accuracy"]
        as_given += raw.low <= real["estimated.accuracy"] <= raw.high
    assert min(held.values()) >= 180
    assert as_given < 20


def test_a_changed_relation_is_not_seen():
    """Concept shift: truths no longer follow the scores, and no estimate moves; labels show it."""
    draw = np.random.default_rng(3)
    score, _, truth = world(draw, 4_000, 0.0)
    curve = isotonic.fit(counted(score, truth))
    before, after = world(draw, 20_000, 0.0), world(draw, 20_000, 0.0, slope=0.2)
    seen = [estimated.figures(counted(one[0], one[1]), curve) for one in (before, after)]
    real = [realised(*one)["estimated.accuracy"] for one in (before, after)]
    assert real[0] - real[1] > 0.1
    for name in estimated.ESTIMATES:
        assert seen[0][name].value == pytest.approx(seen[1][name].value, abs=0.02)
    assert not seen[1]["estimated.accuracy"].low <= real[1] <= seen[1]["estimated.accuracy"].high
