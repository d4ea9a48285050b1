"""Isotonic calibration on bins is scikit-learn's on the rows, used where it helps unseen rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from inferwatch.core.metrics import isotonic
from inferwatch.core.sketches.score_labels import BINS, MIDDLES

rows = st.lists(st.tuples(st.integers(0, BINS - 1), st.booleans()), min_size=1, max_size=80)


def table(places, truths):
    counts = np.zeros((2, BINS), np.int64)
    np.add.at(counts, (np.asarray(truths, np.int64), np.asarray(places)), 1)
    return counts


def sample(draw, n, worth):
    """Rows of bins that are positive by `worth` of their middles."""
    places = draw.integers(60, BINS - 60, n)
    return table(places, draw.random(n) < worth(MIDDLES[places]))


@settings(max_examples=200)
@given(rows)
def test_steps_are_those_of_scikit_learn(drawn):
    """At every bin, with rows or between or beyond those that have some."""
    places, truths = zip(*drawn, strict=True)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(MIDDLES[list(places)], truths)
    curve = isotonic._pooled(table(places, truths))
    np.testing.assert_allclose(curve.shares, fitted.predict(MIDDLES), atol=1e-9)
    assert (np.diff(curve.steps) >= 0).all() and curve.steps[-1] == len(curve.variances) - 1


def test_variances_are_those_of_repeated_references():
    """The share of a step that many rows make varies from reference to reference as it says."""
    draw = np.random.default_rng(5)
    curves = [
        isotonic._pooled(table(np.repeat([40, 200], [100, 100]), draw.random(200) < share))
        for share in [np.repeat([0.2, 0.8], 100)] * 2_000
    ]
    low = np.array([curve.shares[40] for curve in curves])
    told = np.mean([curve.variances[curve.steps[40]] for curve in curves])
    assert told == pytest.approx(low.var(), rel=0.1)


def test_it_is_used_where_scores_are_off_only():
    """Scores that promise half of what is true are mended; those that are true mostly stay."""
    draw = np.random.default_rng(2)
    off = isotonic.fit(sample(draw, 3_000, lambda p: p / 2))
    assert off is not isotonic.AS_GIVEN
    places = np.arange(100, BINS - 60)
    np.testing.assert_allclose(off.shares[places], MIDDLES[places] / 2, atol=0.12)
    given = [isotonic.fit(sample(draw, 1_000, lambda p: p)) for _ in range(50)]
    assert sum(one is isotonic.AS_GIVEN for one in given) > 25


def test_too_few_labels_calibrate_nothing():
    """299 labels, or 29 of a class; and more rows than numpy deals out still do."""
    assert isotonic.fit(table([10] * 150 + [200] * 149, [False] * 150 + [True] * 149)) is None
    assert isotonic.fit(table([10] * 400 + [200] * 29, [False] * 400 + [True] * 29)) is None
    assert isotonic.fit(table([10] * 400 + [200] * 30, [False] * 400 + [True] * 30)) is not None
    many = np.zeros((2, BINS), np.int64)
    many[0, 200], many[1, 100], many[1, 200] = 1 << 40, 1 << 40, 1 << 41
    assert isotonic.fit(many).shares[150] == pytest.approx(0.75, abs=1e-6)
