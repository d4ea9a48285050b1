"""Few labels correct what scores promise: the definition by rows, and intervals that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core.intervals import wilson
from inferwatch.core.metrics import corrected
from inferwatch.core.metrics.corrected import Judged
from inferwatch.core.metrics.isotonic import AS_GIVEN
from inferwatch.core.sketches.score_labels import BINS, MIDDLES, add, bin_of

row = st.tuples(st.integers(0, BINS - 1), st.booleans(), st.booleans())
few = st.lists(row, min_size=30, max_size=60)


def judged(scores, answers, right, labelled):
    """The tables of rows of which some have a label."""
    state = Judged()
    add(state.all, scores, answers)
    corrected.judge(state, scores[labelled], answers[labelled], right[labelled], 1)
    return state


def of(drawn):
    """Columns of drawn rows, in the middle of their bins."""
    places, answers, right = (np.array(column) for column in zip(*drawn, strict=True))
    return MIDDLES[places], answers, right


def guesses(scores, answers):
    return np.where(answers, scores, 1 - scores)


@settings(max_examples=100)
@given(few, st.lists(row, max_size=30), few)
def test_equals_the_definition_row_by_row(labelled, others, before):
    """λ is the slope in rows before, within 0…1; the variance is that of what is left."""
    scores, answers, right = of(labelled + others)
    known = np.arange(len(scores)) < len(labelled)
    past = judged(*of(before), np.ones(len(before), bool))
    slope = corrected.slope(past, AS_GIVEN)
    found = corrected.accuracy(judged(scores, answers, right, known), slope, AS_GIVEN)
    old_guess, old_right = guesses(*of(before)[:2]), of(before)[2]
    spread = old_guess.var()
    of_past = np.cov(old_right, old_guess, bias=True)[0, 1] / spread if spread > 1e-12 else 1.0
    trust = min(1.0, max(0.0, of_past))
    guess = guesses(scores, answers)
    value = right[known].mean() + trust * (guess.mean() - guess[known].mean())
    assert found.value == pytest.approx(min(1.0, max(0.0, value)), abs=1e-9)
    assert found.n == len(labelled)
    left = right[known] - trust * guess[known]
    n = len(labelled)
    half = 1.959963984540054 * np.sqrt((1 - n / len(scores)) * left.var(ddof=1) / n)
    if found.low is not None:
        assert found.high - found.low == pytest.approx(
            min(1.0, found.value + half) - max(0.0, found.value - half), abs=1e-6
        )


def test_few_labels_give_none_and_labels_taken_back_leave_nothing():
    """29 are too few; what is taken back is as if it had never come."""
    scores, answers = np.full(29, 0.7), np.ones(29, bool)
    state = judged(scores, answers, answers, answers)
    assert corrected.accuracy(state, 1.0, AS_GIVEN).unknown == "29 labels of 30"
    assert corrected.accuracy(Judged(), 1.0, AS_GIVEN).unknown == "0 labels of 30"
    more = np.full(40, 0.7), np.ones(40, bool), np.ones(40, bool)
    alone = Judged()
    corrected.judge(alone, *more, 1)
    assert corrected.accuracy(alone, 1.0, AS_GIVEN).unknown == "40 labels of 0 rows"
    corrected.judge(state, scores, answers, answers, -1)
    assert not state.right.counts.any() and not state.wrong.counts.any()


def world(draw, n, worth):
    """Scores, answers, and whether those were right, by a truth that follows x with a slope."""
    x = draw.normal(0.0, 1.5, n)
    scores = MIDDLES[bin_of(1 / (1 + np.exp(-x)))]
    truth = draw.random(n) < 1 / (1 + np.exp(-worth * x))
    return scores, scores >= 0.5, (scores >= 0.5) == truth


@pytest.mark.parametrize("worth", [1.0, 0.3, -0.5])
def test_intervals_hold_the_accuracy_of_all_rows_whatever_scores_are_worth(worth):
    """400 windows of 2,000 rows with 150 labels each, λ from windows before: the realised accuracy
    is in 92 of 100 intervals at least, also where truths no longer follow the scores; where they
    do, intervals are narrower than those of the labels alone.
    """
    draw, held, widths = np.random.default_rng(8), 0, []
    past = judged(*world(draw, 3_000, worth), np.ones(3_000, bool))
    trust = corrected.slope(past, AS_GIVEN)
    for _ in range(400):
        scores, answers, right = world(draw, 2_000, worth)
        labelled = draw.permutation(2_000) < 150
        found = corrected.accuracy(judged(scores, answers, right, labelled), trust, AS_GIVEN)
        held += found.low <= right.mean() <= found.high
        low, high = wilson(int(right[labelled].sum()), 150)
        widths.append((found.high - found.low) / (high - low))
    assert held >= 368
    assert np.mean(widths) < (0.95 if worth == 1.0 else 1.01)
