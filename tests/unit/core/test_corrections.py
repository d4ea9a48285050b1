"""The accuracy that few labels correct, through the fold: early, restated, by ripe windows."""

import numpy as np
import pytest

from inferwatch.core import snapshot
from inferwatch.core.sketches.score_labels import MIDDLES, bin_of
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.testing.folding import Log

HOUR_MS = 3_600_000
ROWS, FEW = 400, 60
CHECK = Check(
    alert="AccuracyFalls",
    metric="corrected.accuracy",
    window="hour",
    need=Need(labels=FEW),
    warn=Limit(direction="below", value=0.75, clear=0.75),
)
DEFINITION = Definition(
    model=ModelFacts(
        task="binary",
        label_wait_ms=2 * HOUR_MS,
        label_horizon_ms=3 * HOUR_MS,
        restate_every_ms=60_000,
        segments=["country"],
    ),
    reference=Reference(min_rows=1_000_000),
    windows=[Window(name="hour", size_ms=HOUR_MS)],
    checks=[CHECK],
)


def drawn(seed):
    """Scores, answers and truths of an hour."""
    draw = np.random.default_rng(seed)
    score = draw.beta(0.7, 0.7, ROWS)
    return score, score >= 0.5, draw.random(ROWS) < 0.2 + 0.6 * score


HOURS = [drawn(seed) for seed in range(10, 16)]


def followed(size, cut=False):
    """Six hours; a seventh of the rows of each are labelled in the hour after it."""
    log = Log(DEFINITION)
    for hour, (score, answer, _) in enumerate(HOURS):
        for at in range(0, ROWS, size):
            rows = slice(at, at + size)
            n = len(score[rows])
            log.rows(
                n,
                [hour * HOUR_MS + (at + row) * 8_000 for row in range(n)],
                ids=[f"{hour}-{at + row}" for row in range(n)],
                prediction=answer[rows].astype(float).tolist(),
                score=score[rows].tolist(),
                segments={"country": ["DE" if row % 2 else "FR" for row in range(at, at + n)]},
            )
        if cut:
            pieces = snapshot.cut(log.partition.models[log.model])
            log.partition.models[log.model] = snapshot.load(pieces)
            assert snapshot.cut(log.partition.models[log.model]) == pieces
        ids, labels = labelled(hour)
        log.labels(ids, labels, (hour + 1) * HOUR_MS - 1)
    log.tick(7 * HOUR_MS)
    log.tick(9 * HOUR_MS)
    return log


def labelled(hour):
    picked = range(0, ROWS, ROWS // FEW)
    return [f"{hour}-{row}" for row in picked], [float(HOURS[hour][2][row]) for row in picked]


def expected(hour, past):
    """The definition, one row at a time, on scores in the middle of their bins."""

    def columns(one):
        score, answer, truth = HOURS[one]
        p = MIDDLES[bin_of(score)]
        return np.where(answer, p, 1 - p), answer == truth

    picked = np.arange(0, ROWS, ROWS // FEW)
    trust = 1.0
    if past:
        guess, right = (np.concatenate([columns(one)[of][picked] for one in past]) for of in (0, 1))
        trust = min(1.0, max(0.0, np.cov(right, guess, bias=True)[0, 1] / guess.var()))
    guess, right = columns(hour)
    return right[picked].mean() + trust * (guess.mean() - guess[picked].mean()), trust


def test_windows_that_take_no_label_any_more_say_what_scores_are_worth():
    """The first windows trust scores whole; later ones as far as ripe ones before allow. Labels of
    15 % of the rows are enough for it, and `accuracy` stays unknown.
    """
    log, seen = followed(ROWS), []
    for hour, ripe in enumerate([[], [], [], [0], [0, 1]]):
        start = log.start_ms + hour * HOUR_MS
        record = next(one for one in log.windows("hour") if one.window.start == start)
        assert record.unknown["accuracy"].startswith("coverage")
        value, trust = expected(hour, ripe)
        assert record.metrics["corrected.accuracy"] == pytest.approx(value, abs=1e-9)
        seen.append(trust)
        low, high = record.intervals["corrected.accuracy"]
        assert low < (HOURS[hour][1] == HOURS[hour][2]).mean() < high
    assert seen[:3] == [1.0] * 3 and 0 < seen[3] < 1 and 0 < seen[4] < 1


@pytest.mark.parametrize(("size", "cut"), [(1, False), (7, True), (400, True)])
def test_batches_and_checkpoints_do_not_show(size, cut):
    """Figures of every window, segment and revision are the same to the bit."""
    one, other = followed(150), followed(size, cut)
    found, same = (
        [
            (record.window, record.segment, record.metrics.get("corrected.accuracy"))
            for record in log.windows("hour", None)
        ]
        for log in (one, other)
    )
    assert found == same
    assert {segment for _, segment, value in found if value is None} <= {"country=DE", "country=FR"}


def test_a_check_is_judged_once_its_labels_are_there():
    """Without asking for a coverage."""
    told = followed(ROWS).alerts("AccuracyFalls")
    assert told[-1].condition == "firing" and told[-1].labelled >= FEW
    assert told[-1].value < 0.75


@pytest.mark.parametrize("minutes", [[20 * 60], range(125, 20 * 60, 5)])
def test_a_window_trusts_what_was_known_when_it_closed(minutes):
    """Also when nothing wakes the model before its own labels are past their horizon: neither what
    its check reads, when an hour before it waits for labels in vain, nor what it says once more.
    """
    log = Log(DEFINITION)
    for hour in (0, 1):
        score, answer, _ = HOURS[hour]
        log.rows(
            ROWS,
            [hour * HOUR_MS + row * 8_000 for row in range(ROWS)],
            ids=[f"{hour}-{row}" for row in range(ROWS)],
            prediction=answer.astype(float).tolist(),
            score=score.tolist(),
        )
    ids, labels = labelled(1)
    log.labels(ids[1:], labels[1:], 2 * HOUR_MS - 1)
    log.tick(2 * HOUR_MS + 60_000)
    log.labels(ids[:1], labels[:1], 2 * HOUR_MS + 61_000)
    for minute in minutes:
        log.tick(minute * 60_000)
    value, _ = expected(1, [])
    (told,), last = log.alerts("AccuracyFalls"), log.windows("hour")[-1]
    assert (last.window.start, last.revision) == (log.start_ms + HOUR_MS, 1)
    assert [told.value, last.metrics["corrected.accuracy"]] == pytest.approx([value] * 2, abs=1e-9)
