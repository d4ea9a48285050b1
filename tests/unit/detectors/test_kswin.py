"""KSWIN: the algorithm of river with our own draws, against a plain form of it and scipy's test."""

import numpy as np
import pytest
from scipy import stats

from inferwatch.detectors import make
from inferwatch.detectors.kswin import least_gap, p_value
from inferwatch.errors import ConfigError
from inferwatch.kernels import kswin as kernel
from inferwatch.testing.error_streams import BLOCKS, fed_in_blocks

pytestmark = pytest.mark.filterwarnings("ignore:ks_2samp. Exact")  # near 1, where all agree


class Draws:
    """L'Ecuyer's combined generator, from the numbers that the state starts with."""

    def __init__(self, seed):
        state = kernel.empty(2, seed)
        self.first, self.second = int(state[kernel.FIRST]), int(state[kernel.SECOND])

    def below(self, n):
        self.first = self.first * 40014 % 2147483563
        self.second = self.second * 40692 % 2147483399
        return (self.first - self.second) % 2147483562 % n

    def sample(self, values, n):
        left, drawn = list(values), []
        for _ in range(n):
            at = self.below(len(left))
            drawn.append(left[at])
            left[at] = left[0]
            del left[0]
        return drawn


def plain(values, alpha=0.005, window_size=100, stat_size=30, seed=0, clock=1):
    """Indices of river's algorithm with these draws: lists, and scipy's exact test."""
    draws, window, found, wait = Draws(seed), [], [], 0
    for row, value in enumerate(values.tolist()):
        window = [*window, value][-window_size:]
        if len(window) < window_size:
            continue
        if wait > 0:
            wait -= 1
            continue
        wait = clock - 1
        drawn, newest = draws.sample(window[:-stat_size], stat_size), window[-stat_size:]
        tested = stats.ks_2samp(drawn, newest, method="exact")
        if tested.pvalue <= alpha and tested.statistic > 0.1:
            found.append(row)
            window, wait = [], 0
    return found


STREAMS = {
    "levels": lambda g: g.normal(size=900) + (np.arange(900) // 300 % 2) * 1.5,
    "spread": lambda g: g.normal(size=900) * np.where(np.arange(900) > 400, 6, 1),
    "ties": lambda g: g.integers(0, 4, 900) + (np.arange(900) > 500) * 2.0,
    "none": lambda g: g.exponential(size=900),
}
PARAMS = [
    {},
    {"seed": 7, "clock": 5},
    {"window_size": 60, "stat_size": 30, "alpha": 0.05, "seed": 3},
    {"window_size": 150, "stat_size": 70, "alpha": 0.3, "clock": 3},
]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("at", range(len(PARAMS)))
def test_decisions_are_those_of_the_plain_form(stream, at):
    """Changes, ties and none, several parameters, any blocks: the same indices."""
    values = STREAMS[stream](np.random.default_rng(at)).astype(np.float64)
    made = make("kswin", **PARAMS[at])
    found = fed_in_blocks(made.update_many, values, BLOCKS[at])
    assert found == plain(values, **PARAMS[at])
    assert found or stream == "none"


@pytest.mark.parametrize("n", [2, 3, 10, 30, 31, 100])
def test_the_p_value_is_exact(n):
    """For every gap of ranks the chance is scipy's for two such samples."""
    for gap in range(1, n + 1):
        left, right = np.arange(n) + 0.5, np.arange(n) + gap  # differ by `gap` ranks
        tested = stats.ks_2samp(left, right, method="exact")
        assert tested.statistic == pytest.approx(gap / n)
        assert p_value(gap, n) == pytest.approx(tested.pvalue, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.9, 0.05, 0.005, 1e-6])
@pytest.mark.parametrize("n", [12, 30, 400])
def test_the_least_gap_is_where_the_p_value_passes(alpha, n):
    """One rank less is no drift, by the p-value or by the rule that D is above 0.1."""
    gap = least_gap(alpha, n)
    assert p_value(gap, n) <= alpha and gap / n > 0.1
    assert p_value(gap - 1, n) > alpha or (gap - 1) / n <= 0.1


def test_each_old_value_is_drawn_as_often():
    """20,000 draws of 30 from 70: χ² of the counts is what chance gives."""
    state, counts = kernel.empty(100, 5), np.zeros(70)
    for _ in range(20_000):
        values = np.arange(70.0)
        kernel._draw(state, values, 30)
        counts[values[:30].astype(int)] += 1
        assert len(set(values.tolist())) == 70
    mean = 20_000 * 30 / 70
    chi_square = ((counts - mean) ** 2).sum() / (mean * (1 - 30 / 70))
    assert 1e-3 < stats.chi2.sf(chi_square, 69) < 1 - 1e-3


def test_seeds_draw_differently_and_repeat():
    """One seed, one answer; others differ on a stream of chance alarms."""
    values = np.random.default_rng(2).normal(size=20_000)
    found = [make("kswin", seed=seed).update_many(values) for seed in (0, 0, 1, 2**32 - 1)]
    assert found[0] == found[1]
    assert len({tuple(one) for one in found}) == 3


@pytest.mark.parametrize(
    ("key", "params"),
    [
        ("alpha", {"alpha": 0}),
        ("alpha", {"alpha": 0.005, "stat_size": 3}),
        ("stat_size", {"stat_size": 1}),
        ("window_size", {"window_size": 59}),
        ("window_size", {"window_size": 10**6}),
        ("seed", {"seed": -1}),
        ("clock", {"clock": 0}),
    ],
)
def test_a_parameter_out_of_range_is_named(key, params):
    """So is an alpha that so few values cannot reach: such a detector would never speak."""
    with pytest.raises(ConfigError) as caught:
        make("kswin", **params)
    assert caught.value.key == key and caught.value.fix
