"""Streams of two versions' windows, to see when a comparison of them is sure of something."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferwatch.core import duel
from inferwatch.core.duel import DAY_HOURS, HOUR_MS, Round, Side
from inferwatch.core.intervals import Z
from inferwatch.core.sequential import Sample

WINDOWS = 200
HOURS = 0.1 + 0.08 * np.sin(np.arange(WINDOWS) / 24 * 2 * np.pi)
"""Shares of errors that follow the hour of the day."""


class Traffic(NamedTuple):
    """Rows of a version and of the other in each window of an hour; of the other so many `before`
    the first one, as many in each hour of the day.

    `rate` is the other's share of errors, by window or in all.
    """

    rate: float | NDArray[np.float64]
    mine: int
    theirs: int
    before: int = 0


STATIONARY = {
    "100 and 100": Traffic(0.1, 100, 100),
    "50 and 950": Traffic(0.1, 50, 950),
    "50 and 950, rare errors": Traffic(0.002, 50, 950),
    "20 and 20, a coin": Traffic(0.5, 20, 20),
    "300 and 300, rare right answers": Traffic(0.98, 300, 300),
    "50 and 450, by the hour": Traffic(HOURS, 50, 450),
    "100 behind 20,000": Traffic(0.1, 100, 0, 20_000),
    "100 behind 1,000": Traffic(0.02, 100, 0, 1_000),
    "100 behind 70,000, by the hour": Traffic(HOURS, 100, 0, 70_000),
}
LOSSES = {
    "half and half": (Traffic(0.1, 500, 500), Traffic(0.1, 100, 100)),
    "a twentieth": (Traffic(0.1, 50, 950), Traffic(0.1, 20, 380)),
    "behind 100,000": (Traffic(0.1, 500, 0, 100_000), Traffic(0.1, 100, 0, 100_000)),
}
"""Traffic in which to plant a loss of one point, and one of five."""


def beyond(
    traffic: Traffic,
    chance: np.random.Generator,
    loss: float = 0.0,
    held: float = 0.0,
    windows: int = WINDOWS,
) -> tuple[int, int]:
    """Number of the first window after which the interval does not hold the difference `held`, and
    the side of it on which the difference lies; (0, 0) where none comes.

    :param loss: what the version's share of errors is larger by.
    """
    rates = np.broadcast_to(traffic.rate, windows)
    side, other = Side(other="1", first=0, hourly=True), Side()
    if traffic.before:
        for hour in range(DAY_HOURS):
            rows = traffic.before // DAY_HOURS
            side.before[hour] = _errors(chance, rows, float(rates[hour])).sample
    for at, rate in enumerate(rates.tolist()):
        start = at * HOUR_MS
        side.rounds = {start: _errors(chance, traffic.mine, rate + loss)}
        other.rounds = {start: _errors(chance, traffic.theirs, rate)} if traffic.theirs else {}
        duel.pair(side, start, other)
        found = duel.difference(side)
        gap = found.mine - found.theirs - held
        if not found.unknown and abs(gap) > found.half:
            return at + 1, 1 if gap > 0 else -1
    return 0, 0


def by_single_looks(streams: int) -> float:
    """Share of streams of 100 and 100 rows, no different, whose 95 % interval for one look is ever
    wrong in 200 looks.
    """
    chance = np.random.default_rng(7)
    mine, theirs = chance.binomial(100, 0.1, (2, streams, WINDOWS)).cumsum(axis=2)
    n = 100 * np.arange(1, WINDOWS + 1)
    share = (mine + theirs) / (2 * n)
    z = (mine - theirs) / n / np.sqrt(share * (1 - share) * 2 / n)
    return float((abs(z) > Z).any(axis=1).mean())


def _errors(chance: np.random.Generator, n: int, rate: float) -> Round:
    events = float(chance.binomial(n, rate))
    return Round(Sample(n, events, events), n, 0)
