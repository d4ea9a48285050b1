"""Inspectors of a window's own figures: ranked among past windows that were not fitted on."""

import numpy as np
import pytest

from inferwatch import inspect
from inferwatch.inspect import beyond, scaling


def past(n, seed=1):
    """n windows of four figures that depend on each other."""
    numbers = np.random.default_rng(seed)
    load = numbers.normal(size=n)
    return np.stack([load + numbers.normal(0, 0.2, n) for _ in range(4)], axis=1)


def distance(rows, seed):
    """A score that can be worked out by hand: the distance from the mean of the fitted rows."""
    centre = rows.mean(axis=0)
    return lambda found: np.abs(found - centre).sum(axis=1)


def test_the_rank_is_counted_over_folds():
    """Each past window is compared under the fold that left it out, by a score known in advance."""
    windows, figures = past(50), np.full(4, 2.0)
    place = np.random.default_rng(3).permutation(50) % 5
    more = 0
    for fold in range(5):
        fitted = windows[place != fold]
        scale = scaling.learn(fitted)
        score = distance(scale.apply(fitted), 0)
        mine = score(scale.apply(figures[np.newaxis]))[0]
        more += sum(score(scale.apply(windows[place == fold])) >= mine)
    answer = beyond.rank(distance, windows, figures, seed=3)
    assert answer.value == pytest.approx((50 - more) / 51)
    assert answer.p_value == pytest.approx((1 + more) / 51) and 0 < more < 50


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", inspect.OUTLIERS)
def test_figures_that_no_longer_go_together_stand_out(method):
    """One figure against the others, each within its own range: above 19 in 20 past windows."""
    answer = inspect.window(method, past(200), np.array([1.8, 1.8, 1.8, -1.8]))
    assert answer.value > 0.95
    assert inspect.window(method, past(200), np.full(4, 0.1)).value < 0.95


def test_without_a_change_the_rank_is_even():
    """Of 200 like windows one in ten ranks above 0.9, within four standard errors."""
    windows = past(300)
    ranks = [beyond.rank(distance, windows[:100], figures, 0).value for figures in windows[100:]]
    assert abs(np.mean(np.array(ranks) > 0.9) - 0.1) < 4 * np.sqrt(0.1 * 0.9 * (1 / 200 + 1 / 100))


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", inspect.OUTLIERS)
def test_odd_figures_have_an_answer(method):
    """Missing, infinite and constant figures are ranked; without a past the answer is unknown."""
    windows = past(40)
    windows[:, 2], windows[:, 3] = np.nan, 1e9
    answer = inspect.window(method, windows, np.array([0.0, np.inf, np.nan, 1e9]))
    assert 0 <= answer.value < 1 and answer == inspect.window(
        method, windows, np.array([0.0, np.inf, np.nan, 1e9])
    )
    assert inspect.window(method, windows[:39], np.zeros(4)).unknown == "39 windows of 40"
    assert inspect.window(method, np.empty((40, 0)), np.empty(0)).unknown == "no figures"
    assert inspect.window(method, np.empty((0, 4)), np.zeros(4)).value is None
