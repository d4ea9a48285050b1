"""Streams of errors and losses, with changes and without, to hold detectors against an oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCKS = (1, 7, 333, 500, 5_000)
ROWS = 6_000
KINDS = 10


def river_streams() -> list[NDArray[np.integer]]:
    """The three streams of river's own detector tests, made as river makes them: the last two are
    errors.
    """
    made = [np.random.RandomState(12345) for _ in range(3)]
    levels = np.concatenate([made[2].normal(mean, 0.1, 500) for mean in (0, 0.25, 0, 0.25)])
    return [
        np.concatenate([made[0].randint(2, size=1000), made[0].randint(8, size=1000)]),
        np.concatenate([made[1].binomial(1, 0.2, 1000), made[1].binomial(1, 0.8, 1000)]),
        (levels > 0).astype(int),
    ]


def errors(seed: int) -> NDArray[np.float64]:
    """6,000 zeros and ones of one of ten kinds by `seed % 10`: rates from 0 to 1, steps up and
    down, slow rises, bursts, a calm start, what alternates.
    """
    generator = np.random.default_rng(seed)
    return (generator.random(ROWS) < rates(seed)).astype(np.float64)


def losses(seed: int) -> NDArray[np.float64]:
    """Losses in [0, 1] whose mean moves as the rate of `errors` of the same seed does."""
    generator, rate = np.random.default_rng(seed), rates(seed)
    spread = generator.choice([1.5, 6.0, 40.0])
    found: NDArray[np.float64] = generator.beta(spread * rate + 1e-9, spread * (1 - rate) + 1e-9)
    return found


def rates(seed: int) -> NDArray[np.float64]:
    """The chance of an error of each value."""
    generator, row = np.random.default_rng(seed + 10_000), np.arange(ROWS)
    low, high = np.sort(generator.choice([0.01, 0.05, 0.1, 0.2, 0.35, 0.6], 2, replace=False))
    at = int(generator.integers(200, 5_000))
    step = np.where(row < at, low, high)
    kinds: list[NDArray[np.float64]] = [
        step,
        np.where(row < at, high, low),
        np.where(row // 900 % 2, high, low),
        np.clip(low + (high - low) * (row - at) / 900, low, high),
        np.where(row % 1_500 < 40, 0.9, low),
        np.full(ROWS, low),
        np.where(row < at, 0.0, 0.02),
        np.where(row < at, row % 2.0, 1.0),
        np.where(row // at % 2, 1.0, low),
        np.full(ROWS, float(seed // KINDS % 2)),
    ]
    return kinds[seed % KINDS]


def rivers(detector: Any, values: NDArray[np.floating]) -> list[int]:
    """Indices at which a detector of river says that there is a drift, fed value by value."""
    found = []
    for row, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            found.append(row)
    return found


def fed_in_blocks(
    update_many: Callable[[NDArray[np.float64]], list[int]],
    values: NDArray[np.float64],
    block: int,
) -> list[int]:
    """What is found when values come `block` at a time."""
    found: list[int] = []
    for at in range(0, len(values), block):
        found += update_many(values[at : at + block])
    return found
