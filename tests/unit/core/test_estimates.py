"""Performance without labels through the fold: what is kept, calibrated, compared and published."""

import msgspec
import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from inferwatch.core import snapshot
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.sketches.score_labels import MIDDLES, bin_of
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.testing.folding import Log

HOUR_MS = 3_600_000
LEARNT, WINDOW = 1_200, 900
DROP = Check(
    alert="AccuracyFalls",
    metric="estimated.accuracy",
    window="hour",
    warn=Limit(direction="drop", value=0.04, clear=0.04),
)
BELOW = Check(
    alert="RecallLow",
    metric="estimated.recall",
    window="hour",
    fail=Limit(direction="below", value=0.01, clear=0.01),
)


def watched(*checks, task="binary", segments=()):
    return Definition(
        model=ModelFacts(task=task, segments=list(segments)),
        reference=Reference(min_rows=LEARNT),
        windows=[Window(name="hour", size_ms=HOUR_MS, step_ms=HOUR_MS // 2)],
        checks=list(checks),
    )


def drawn(seed, n, shift=0.0, spread=1.5):
    """Scores that are too sure, answers and truths of a binary model."""
    draw = np.random.default_rng(seed)
    x = draw.normal(shift, spread, n)
    score = 1 / (1 + np.exp(-2 * x))
    return score, score >= 0.5, draw.random(n) < 1 / (1 + np.exp(-x - 0.5))


def send(log, rows, first_ms, size=10_000):
    """The rows over an hour, in batches of a size; gives their ids."""
    score, answer, _ = rows
    times = (first_ms + np.arange(len(score)) * HOUR_MS // len(score)).tolist()
    known = log.partition.models.get(log.model)
    ids = [str(row + (known.state.rows.get("1", 0) if known else 0)) for row in range(len(score))]
    for at in range(0, len(score), size):
        part = slice(at, at + size)
        log.rows(
            len(times[part]),
            times[part],
            ids=ids[part],
            prediction=answer[part].astype(float).tolist(),
            score=score[part].tolist(),
            segments={"country": ["DE" if int(one) % 3 else "FR" for one in ids[part]]},
        )
    return ids


def label(log, ids, truth, at_ms):
    log.labels(ids, truth.astype(float).tolist(), at_ms)


def followed(definition, *, labelled=True, size=10_000, cut=False):
    """An hour that is learnt, labelled or not, then one whose inputs moved."""
    log = Log(definition)
    ids = send(log, REFERENCE, 0, size)
    if labelled:
        label(log, ids, REFERENCE[2], HOUR_MS)
    if cut:
        pieces = snapshot.cut(log.partition.models[log.model])
        log.partition.models[log.model] = snapshot.load(pieces)
        assert snapshot.cut(log.partition.models[log.model]) == pieces
    send(log, MOVED, HOUR_MS, size)
    log.tick(10 * HOUR_MS)
    return log


REFERENCE, MOVED = drawn(1, LEARNT), drawn(2, WINDOW, shift=-0.3, spread=0.6)


def middles(scores):
    return MIDDLES[bin_of(scores)]


def expected_accuracy(rows, p):
    return 1 - np.abs(rows[1] - p).mean()


def hour(log, at=1):
    """The record of the hour that begins `at` hours after the start, as it was closed."""
    return next(
        one
        for one in log.windows("hour")
        if one.window.start == log.start_ms + at * HOUR_MS and not one.revision
    )


def test_labels_of_the_reference_calibrate_the_scores():
    """Estimates are those of scikit-learn's isotonic regression on the labelled reference."""
    found = hour(followed(watched(DROP)))
    fitted = IsotonicRegression(out_of_bounds="clip").fit(middles(REFERENCE[0]), REFERENCE[2])
    p = fitted.predict(middles(MOVED[0]))
    assert found.calibrated is True
    assert found.metrics["estimated.accuracy"] == pytest.approx(expected_accuracy(MOVED, p))
    assert found.metrics["estimated.recall"] == pytest.approx(p[MOVED[1]].sum() / p.sum())
    low, high = found.intervals["estimated.accuracy"]
    assert low < (MOVED[1] == MOVED[2]).mean() < high


def test_without_labels_scores_are_taken_as_given():
    """And the record says so, as does an alert that stands on them."""
    sure = msgspec.structs.replace(
        DROP, warn=Limit(direction="above", value=0.5, clear=0.5), fail=None
    )
    log = followed(watched(sure), labelled=False)
    found = hour(log)
    assert found.calibrated is False
    value = expected_accuracy(MOVED, middles(MOVED[0]))
    assert found.metrics["estimated.accuracy"] == pytest.approx(value)
    [*_, alert] = log.alerts("AccuracyFalls")
    assert "estimated from scores as given: the reference lacks labels" in alert.context


def test_a_drop_is_told_from_what_the_labels_of_the_reference_said():
    """`drop` compares with the realised accuracy; without labels there is nothing to compare."""
    log = followed(watched(DROP))
    firing = next(one for one in log.alerts("AccuracyFalls") if one.condition == "firing")
    assert firing.reference == pytest.approx((REFERENCE[1] == REFERENCE[2]).mean())
    assert firing.context.count("estimated from scores as given: the reference lacks labels") == 0
    unlabelled = followed(watched(DROP), labelled=False)
    assert not any(one.condition == "firing" for one in unlabelled.alerts())


@pytest.mark.parametrize(("size", "cut"), [(1, True), (7, False), (500, True)])
def test_batches_and_checkpoints_do_not_show(size, cut):
    """Figures of every window are the same, to the bit, whatever the batches were."""
    whole = followed(watched(DROP, BELOW, segments=["country"]))
    parts = followed(watched(DROP, BELOW, segments=["country"]), size=size, cut=cut)
    found, same = whole.windows("hour", None), parts.windows("hour", None)
    named = [(one.window, one.segment) for one in found]
    assert named == [(one.window, one.segment) for one in same]
    assert "country=DE" in {segment for _, segment in named}
    for one, other in zip(found, same, strict=True):
        for name in ESTIMATES:
            assert one.metrics.get(name) == other.metrics.get(name)
            assert one.intervals.get(name) == other.intervals.get(name)


def test_restatements_leave_the_estimate_as_it_was():
    """Labels of the window change its figures on labels, and no estimate of it."""
    log = followed(watched(DROP))
    before = hour(log)
    ids = [str(LEARNT + row) for row in range(WINDOW)]
    label(log, ids, MOVED[2], 10 * HOUR_MS)
    log.tick(11 * HOUR_MS)
    after = [one for one in log.windows("hour") if one.window == before.window][-1]
    assert after.revision > 0 and after.metrics["accuracy"] > 0
    for name in ESTIMATES:
        assert after.metrics[name] == before.metrics[name]
        assert after.intervals[name] == before.intervals[name]
    assert after.calibrated is True


def test_models_that_do_not_ask_keep_and_publish_nothing():
    """No table in any cell, no figure, no word on calibration."""
    plain = Check(
        alert="Rows", metric="rows", window="hour", warn=Limit(direction="below", value=1, clear=1)
    )
    log = Log(watched(plain))
    send(log, REFERENCE, 0)
    tracks = log.partition.models[log.model].state.tracks["hour"]["1"]
    assert all(
        cell.decided is None for pane in tracks.panes.values() for cell in pane.cells.values()
    )
    log.tick(10 * HOUR_MS)
    for record in log.windows("hour"):
        assert not {*record.metrics, *record.unknown} & {*ESTIMATES} and record.calibrated is None


def test_of_several_classes_the_accuracy_is_that_of_the_answers_own_scores():
    """Calibrated by how often answers of a score were right; no other estimate is made."""
    log, draw, kept = Log(watched(DROP, task="multiclass")), np.random.default_rng(4), []
    for at, n in enumerate((LEARNT, WINDOW)):
        scores = draw.dirichlet([1.0, 0.7, 0.5], n)
        scores = scores**2 / (scores**2).sum(axis=1, keepdims=True)  # too sure
        named = scores.argmax(axis=1)
        named[::9] = 0  # the answer need not have the highest score
        right = draw.random(n) < scores[np.arange(n), named] ** 0.5
        truth = np.where(right, named, (named + 1) % 3)
        ids = [f"{at}-{row}" for row in range(n)]
        log.rows(
            n,
            at * HOUR_MS,
            ids=ids,
            prediction=["abc"[one] for one in named],
            score={name: scores[:, place].tolist() for place, name in enumerate("abc")},
        )
        if not at:
            log.labels(ids, ["abc"[one] for one in truth], HOUR_MS - 1)
        kept.append((scores[np.arange(n), named].astype(np.float32), right))
    log.tick(10 * HOUR_MS)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(middles(kept[0][0]), kept[0][1])
    found = hour(log)
    assert found.calibrated is True
    value = fitted.predict(middles(kept[1][0])).mean()
    assert found.metrics["estimated.accuracy"] == pytest.approx(value)
    low, high = found.intervals["estimated.accuracy"]
    assert low < kept[1][1].mean() < high
    assert [name for name in (*found.metrics, *found.unknown) if name in ESTIMATES] == [
        "estimated.accuracy"
    ]


def test_what_cannot_be_estimated_is_unknown():
    """Another task; scores that are no probabilities; rows that have no answer."""
    margins = (REFERENCE[0] * 8 - 4, *REFERENCE[1:])
    for definition, rows, why in (
        (watched(DROP), margins, "scores beyond 0…1 are no probabilities"),
        (watched(DROP, task="regression"), REFERENCE, "only for classes"),
    ):
        log = Log(definition)
        send(log, rows, 0)
        log.tick(10 * HOUR_MS)
        assert {hour(log, 0).unknown[name] for name in ESTIMATES} == {why}
    log = Log(watched(DROP))
    log.rows(3, 0, score=[0.5, 0.6, 0.7], prediction=None)
    log.tick(10 * HOUR_MS)
    unknown = hour(log, 0).unknown
    assert unknown["estimated.accuracy"] == "no row with a score and an answer"
