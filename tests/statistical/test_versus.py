"""Versions compared at every window: how often a decision is wrong, how long a loss takes."""

import numpy as np
import pytest

from inferwatch.core import duel
from inferwatch.core.duel import Round, Side
from inferwatch.core.sequential import Sample

STREAMS, WINDOWS = 1_000, 200
ALPHA = 0.05


def counted(events, n):
    """A window of n rows with so many events."""
    return Round(Sample(n, float(events), float(events)), n, 0)


def missed_at(rate, loss, rows, chance, windows=WINDOWS, before=0, held=0.0):
    """The first window whose interval does not hold the difference `held`, and on which side the
    difference lies; (None, 0) where each does.

    `rows` of the version and of the other in each window, (n, 0) behind `before` rows of the other.
    `rate` of events by window, `loss` more of them in the version.
    """
    mine, theirs = rows
    rates = np.broadcast_to(rate, windows)
    side, other = Side(other="1", first=0), Side()
    if before:
        events = float(chance.binomial(before, rates[0]))
        side.before = Sample(before, events, events)
    for at in range(windows):
        side.rounds = {at: counted(chance.binomial(mine, rates[at] + loss), mine)}
        other.rounds = {at: counted(chance.binomial(theirs, rates[at]), theirs)} if theirs else {}
        duel.pair(side, at, other)
        found = duel.difference(side)
        gap = found.mine - found.theirs - held
        if not found.unknown and abs(gap) > found.half:
            return at, int(np.sign(gap))
    return None, 0


HOURS = 0.1 + 0.08 * np.sin(np.arange(WINDOWS) / 24 * 2 * np.pi)
STATIONARY = {
    "halves": (0.1, (100, 100), 0),
    "a twentieth": (0.1, (50, 950), 0),
    "of rare events": (0.002, (50, 950), 0),
    "of a coin": (0.5, (20, 20), 0),
    "of good answers": (0.98, (300, 300), 0),
    "by the hour": (HOURS, (50, 450), 0),
    "one after the other": (0.1, (100, 0), 20_000),
    "after few rows": (0.02, (100, 0), 1_000),
}


@pytest.mark.parametrize("name", STATIONARY)
def test_a_look_at_every_window_is_wrong_in_one_of_twenty_streams_at_most(name):
    """No difference, 1,000 streams, 200 looks at each: in how many it is ever called one."""
    rate, rows, before = STATIONARY[name]
    chance = np.random.default_rng(7)
    wrong = sum(
        missed_at(rate, 0.0, rows, chance, before=before)[0] is not None for _ in range(STREAMS)
    )
    assert wrong <= ALPHA * STREAMS


def test_a_look_at_a_fixed_interval_would_be_wrong_far_more_often():
    """What it is held against: the 95 % interval of one look, looked at 200 times."""
    chance = np.random.default_rng(7)
    mine = chance.binomial(100, 0.1, (STREAMS, WINDOWS)).cumsum(axis=1)
    theirs = chance.binomial(100, 0.1, (STREAMS, WINDOWS)).cumsum(axis=1)
    n = 100 * np.arange(1, WINDOWS + 1)
    share = (mine + theirs) / (2 * n)
    z = (mine - theirs) / n / np.sqrt(share * (1 - share) * 2 / n)
    assert (abs(z) > 1.96).any(axis=1).mean() > 6 * ALPHA


LOSSES = {
    "1 % beside it": (0.01, (500, 500), 0, 22_000),
    "1 % of a twentieth": (0.01, (50, 950), 0, 11_000),
    "1 % behind it": (0.01, (500, 0), 100_000, 14_000),
    "5 % beside it": (0.05, (100, 100), 0, 1_300),
    "5 % of a twentieth": (0.05, (20, 380), 0, 700),
    "5 % behind it": (0.05, (100, 0), 100_000, 900),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_planted_loss_is_found_in_time(name):
    """Errors from 10 % on: every stream ends in "worse", half of them within so many rows of the
    version, and at most one in twenty ever says "better".
    """
    loss, rows, before, within = LOSSES[name]
    chance = np.random.default_rng(11)
    found = [missed_at(0.1, loss, rows, chance, 2_000, before) for _ in range(200)]
    assert sum(sign < 0 for _, sign in found) <= ALPHA * 200
    assert all(at is not None for at, _ in found)
    taken = np.median([(at + 1) * rows[0] for at, _ in found])
    assert 0.5 * within <= taken <= within


TRUE = {
    "5 % beside it": (0.05, (50, 50), 0),
    "20 % of a twentieth": (0.2, (20, 380), 0),
    "20 % of nearly all": (0.2, (380, 20), 0),
    "20 % behind it": (0.2, (50, 0), 20_000),
}


@pytest.mark.parametrize("name", TRUE)
def test_the_interval_holds_the_true_difference_at_every_look(name):
    """In nineteen of twenty streams at least, also where the versions differ in their variance."""
    loss, rows, before = TRUE[name]
    chance = np.random.default_rng(5)
    missed = [
        missed_at(0.1, loss, rows, chance, before=before, held=loss)[0] for _ in range(STREAMS)
    ]
    assert sum(at is not None for at in missed) <= ALPHA * STREAMS
