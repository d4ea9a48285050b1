"""Versions compared at every window: how often a decision is wrong, how long a loss takes."""

import numpy as np
import pytest

from inferwatch.core import duel
from inferwatch.core.duel import Round, Side
from inferwatch.core.sequential import Sample
from inferwatch.testing.duels import LOSSES, STATIONARY, Traffic, beyond, by_single_looks

STREAMS = 1_000
ALPHA = 0.05


@pytest.mark.parametrize("name", STATIONARY)
def test_a_look_at_every_window_is_wrong_in_one_of_twenty_streams_at_most(name):
    """No difference, 1,000 streams, 200 looks at each: in how many it is ever called one."""
    chance = np.random.default_rng(7)
    wrong = sum(beyond(STATIONARY[name], chance)[0] > 0 for _ in range(STREAMS))
    assert wrong <= ALPHA * STREAMS


@pytest.mark.parametrize("spread", [0.5, 1.5])
@pytest.mark.parametrize(("mine", "theirs"), [(50, 50), (15, 285)])
def test_mean_latencies_are_compared_as_safely(spread, mine, theirs):
    """Lognormal ones, of which a few rows are most of the mean: 300 streams, 100 looks at each."""
    chance, wrong = np.random.default_rng(3), 0
    for _ in range(300):
        side, other = Side(other="1", first=0), Side()
        for at in range(100):
            side.rounds, other.rounds = (
                {at: latencies(chance.lognormal(3.0, spread, n))} for n in (mine, theirs)
            )
            duel.pair(side, at, other)
            found = duel.difference(side)
            if not found.unknown and abs(found.mine - found.theirs) > found.half:
                wrong += 1
                break
    assert wrong <= ALPHA * 300


def latencies(values):
    """A window of rows with these values."""
    return Round(Sample(len(values), float(values.sum()), float((values**2).sum())), len(values), 0)


def test_a_look_at_a_fixed_interval_would_be_wrong_far_more_often():
    """What it is held against: the 95 % interval of one look, looked at 200 times."""
    assert by_single_looks(STREAMS) > 6 * ALPHA


@pytest.mark.parametrize(
    ("name", "loss", "within"),
    [
        ("half and half", 0.01, 22_000),
        ("half and half", 0.05, 1_300),
        ("a twentieth", 0.01, 11_000),
        ("a twentieth", 0.05, 700),
        ("behind 100,000", 0.01, 14_000),
        ("behind 100,000", 0.05, 900),
    ],
)
def test_a_planted_loss_is_found_in_time(name, loss, within):
    """Errors from 10 % on: every stream ends, half of them within so many rows of the version, and
    at most one in twenty in "better".
    """
    traffic = LOSSES[name][loss == 0.05]
    chance = np.random.default_rng(11)
    found = [beyond(traffic, chance, loss, windows=2_000) for _ in range(200)]
    assert sum(sign < 0 for _, sign in found) <= ALPHA * 200
    assert all(at for at, _ in found)
    assert 0.5 * within <= np.median([at * traffic.mine for at, _ in found]) <= within


@pytest.mark.parametrize(
    ("traffic", "loss"),
    [
        (Traffic(0.1, 50, 50), 0.05),
        (Traffic(0.1, 20, 380), 0.2),
        (Traffic(0.1, 380, 20), 0.2),
        (Traffic(0.1, 50, 0, 20_000), 0.2),
    ],
)
def test_the_interval_holds_the_true_difference_at_every_look(traffic, loss):
    """In nineteen of twenty streams at least, also where the versions differ in their variance."""
    chance = np.random.default_rng(5)
    missed = sum(beyond(traffic, chance, loss, held=loss)[0] > 0 for _ in range(STREAMS))
    assert missed <= ALPHA * STREAMS
