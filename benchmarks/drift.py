"""False alarms and delays of the drift checks by window, method by method.

Hours of made-up traffic, a new one each quarter as the default set has them, against the first
5,000 rows; twenty columns of several shapes. Two weeks in which nothing changes, then a day in
which ten of the columns do. Limits are those that `calibrated` finds. Beside the methods of monitor
files stands PSI with half a row added to each group.
"""

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import calibration
from inferwatch.core.calibration import Calibration
from inferwatch.core.drift import together
from inferwatch.core.drift.psi import psi
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.core.sketches import binned
from inferwatch.kernels import distances as kernel

DAY, QUARTER_MS, OVERLAP = 96, 900_000, 4
WEEK = 7 * DAY
REFERENCE_ROWS, ROWS_NEEDED = 5_000, 1_000
SMOOTHED = "psi, smoothed"
METHODS = {
    "psi": kernel.PSI,
    "jensenshannon": kernel.JENSEN_SHANNON,
    "hellinger": kernel.HELLINGER,
    "total_variation": kernel.TOTAL_VARIATION,
    "l_infinity": kernel.L_INFINITY,
    "ks": 5,
    "wasserstein": 6,
    SMOOTHED: 7,
}
NUMBERS = 17
_RANKS = 1 / np.arange(1, 41) ** 1.2
SHARES = [np.array([0.4, 0.25, 0.15, 0.1, 0.1]), np.array([0.97, 0.03]), _RANKS / _RANKS.sum()]
CHANGES = {
    0: "mean + 0.25 sd",
    1: "mean + 0.5 sd",
    2: "mean + 1 sd",
    3: "variance × 2",
    5: "stuck",
    7: "5 → 30 % missing",
    8: "log of a lognormal + 0.5 sd",
    15: "Poisson 2 → 3",
    17: "a word 10 → 20 %",
    18: "a word 3 → 6 %",
}
Figures = NDArray[np.float64]


class Rows(NamedTuple):
    """n rows: numbers float64[17, n], words int64[3, n]."""

    numbers: NDArray[np.float64]
    words: NDArray[np.int64]


class Pane(NamedTuple):
    """What a quarter of an hour is counted to: fine bins, least, most, sums, finite; words."""

    bins: NDArray[np.int64]
    facts: NDArray[np.float64]
    words: list[NDArray[np.int64]]
    rows: int


def rows(draw: np.random.Generator, n: int, tide: float = 0.0) -> Rows:
    """n rows that know nothing of each other; `tide` moves their means, in standard deviations."""
    found = draw.normal(tide, 1.0, (NUMBERS, n))
    found[7, draw.random(n) < 0.05] = np.nan
    found[8:11] = np.exp(1.5 * found[8:11])
    found[11:13] = draw.exponential(1 + tide, (2, n))
    found[13] = draw.standard_t(3, n) + tide
    found[14] = np.where(draw.random(n) < 0.8 - 0.2 * tide, 0.0, draw.exponential(size=n))
    found[15] = draw.poisson(2 + 1.4 * tide, n)
    found[16] = draw.random(n) < 0.02 * (1 + tide)
    return Rows(found, np.array([draw.choice(len(one), n, p=_moved(one, tide)) for one in SHARES]))


def _moved(shares: Figures, tide: float) -> Figures:
    found = shares.copy()
    found[0] *= 1 - 0.5 * tide
    return found / found.sum()


def change(draw: np.random.Generator, found: Rows) -> Rows:
    """The rows with all that `CHANGES` names."""
    numbers, words = found.numbers.copy(), found.words.copy()
    n = numbers.shape[1]
    numbers[:3] += np.array([[0.25], [0.5], [1.0]])
    numbers[3] *= 2**0.5
    numbers[5] = 0.3
    numbers[7, draw.random(n) < 5 / 19] = np.nan
    numbers[8] *= np.exp(0.75)
    numbers[15] += draw.poisson(1, n)
    words[0, (words[0] != 3) & (draw.random(n) < 0.1 / 0.9)] = 3
    words[1, (words[1] == 0) & (draw.random(n) < 0.03 / 0.97)] = 1
    return Rows(numbers, words)


def alone(
    draw: np.random.Generator, hourly: int, busier: float = 0.0, tide: float = 0.0
) -> Iterator[Rows]:
    """Rows that know nothing of each other; by day `busier` and their means apart by `tide`."""
    at, phase = 0, draw.random()
    while True:
        day = np.sin(2 * np.pi * (at / DAY + phase))
        yield rows(draw, draw.poisson(hourly / 4 * (1 + busier * day)), tide * day)
        at += 1


def new_users(draw: np.random.Generator, hourly: int, users: int) -> Iterator[Rows]:
    """Users who come, send rows that are all alike for half an hour, and do not come again."""
    new = rows(draw, draw.poisson(users / 4))
    while True:
        last, new = new, rows(draw, draw.poisson(users / 4))
        both = Rows(*(np.concatenate(two, axis=1) for two in zip(last, new, strict=True)))
        rate = draw.lognormal(-0.125, 0.5, both.words.shape[1])
        yield _repeated(both, draw.poisson(hourly / users / 2 * rate))


def same_users(draw: np.random.Generator, hourly: int, users: int) -> Iterator[Rows]:
    """Users of whom three in ten are there at a time, for two hours; some send far more rows."""
    pool, busy = rows(draw, users), draw.random(users) < 0.3
    rate = hourly / 4 / (0.3 * users) * draw.lognormal(-0.245, 0.7, users)
    while True:
        chance = draw.random(users)
        busy = np.where(busy, chance > 1 / 8, chance < 1 / 8 * 0.3 / 0.7)
        yield _repeated(pool, draw.poisson(rate * busy))


def _repeated(found: Rows, times: NDArray[np.int64]) -> Rows:
    return Rows(np.repeat(found.numbers, times, 1), np.repeat(found.words, times, 1))


TRAFFIC = {
    "60 rows an hour": lambda draw: alone(draw, 60),
    "2,000 rows an hour": lambda draw: alone(draw, 2_000),
    "20,000 rows an hour": lambda draw: alone(draw, 20_000),
    "more rows by day": lambda draw: alone(draw, 2_000, busier=0.4),
    "other rows by day": lambda draw: alone(draw, 2_000, busier=0.4, tide=0.3),
    "200 new users an hour": lambda draw: new_users(draw, 2_000, 200),
    "50 new users an hour": lambda draw: new_users(draw, 2_000, 50),
    "30 of the same 100 users": lambda draw: same_users(draw, 2_000, 100),
}


class Reference:
    """The first 5,000 rows, and how windows are counted and compared with them."""

    def __init__(self, first: Rows) -> None:
        profiles = [numeric_profile(column) for column in first.numbers.astype(np.float32)]
        self.grid = binned.make_grid([np.array(one.edges, np.float32) for one in profiles])
        self.numbers = together.numbers(profiles)
        counts = [np.bincount(column) for column in first.words]
        self.words = together.words([category_profile(_named(one), 0) for one in counts])

    def pane(self, found: Rows) -> Pane:
        """Count the rows of a quarter of an hour."""
        numbers, bins = found.numbers, binned.empty(self.grid)
        binned.update(bins, self.grid, numbers.astype(np.float32))
        finite = np.isfinite(numbers)
        facts = [
            np.where(finite, numbers, np.inf).min(1, initial=np.inf),
            np.where(finite, numbers, -np.inf).max(1, initial=-np.inf),
            np.where(finite, numbers, 0.0).sum(1),
            finite.sum(1),
        ]
        words = [
            np.bincount(column, minlength=len(one))
            for column, one in zip(found.words, SHARES, strict=True)
        ]
        return Pane(bins, np.array(facts), words, numbers.shape[1])

    def figures(self, panes: Sequence[Pane]) -> Figures:
        """Every method's figure of every column: float64[8, 20]."""
        bins = np.sum([pane.bins for pane in panes], axis=0)
        least, most, sums, finite = np.stack([pane.facts for pane in panes], axis=1)
        mean = sums.sum(0) / np.maximum(finite.sum(0), 1)
        facts = np.stack([least.min(0), most.max(0), mean], axis=1)
        words = [
            (_named(np.sum(columns, axis=0)), 0)
            for columns in zip(*(pane.words for pane in panes), strict=True)
        ]
        both = (
            together.compare_numbers(self.numbers, bins, facts),
            together.compare_words(self.words, words),
        )
        found = [
            np.concatenate([one.shares.T, one.effect[None], one.wasserstein[None]]) for one in both
        ]
        return np.vstack([np.hstack(found), self._smoothed(bins, words)])

    def _smoothed(
        self, bins: NDArray[np.int64], words: list[tuple[dict[str, int], int]]
    ) -> Figures:
        groups = np.zeros(len(self.numbers.groups), np.int64)
        kernel.pick(bins, self.numbers.places, groups)
        seen = zip(self.words.known, words, strict=True)
        known = [np.array([now.get(word, 0) for word in one]) for one, (now, _) in seen]
        before = _parts(self.numbers.groups, self.numbers.group_starts)
        before += [part[:-2] for part in _parts(self.words.counts, self.words.starts)]
        after = _parts(groups, self.numbers.group_starts) + known
        return np.array([_half_a_row_more(*two) for two in zip(before, after, strict=True)])


def _named(counts: NDArray[np.int64]) -> dict[str, int]:
    return {f"{word:02}": count for word, count in enumerate(counts.tolist()) if count}


def _parts(counts: NDArray[np.int64], starts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.split(counts, starts[1:-1])


def _half_a_row_more(before: NDArray[np.int64], now: NDArray[np.int64]) -> float:
    used = (before > 0) | (now > 0)
    return psi(2 * before[used] + 1, 2 * now[used] + 1).value or 0.0


def watched(name: str, seed: int, weeks: int) -> tuple[Figures, NDArray[np.int64]]:
    """Figures float64[windows, 8, 20] and rows of each window of a model; the last day changed."""
    draw = np.random.default_rng(seed)
    traffic = TRAFFIC[name](draw)
    first = Rows(np.empty((NUMBERS, 0)), np.empty((len(SHARES), 0), np.int64))
    while first.words.shape[1] < REFERENCE_ROWS:
        first = Rows(*(np.hstack(two) for two in zip(first, next(traffic), strict=True)))
    reference = Reference(Rows(*(column[:, :REFERENCE_ROWS] for column in first)))
    hour: deque[Pane] = deque(maxlen=OVERLAP)
    figures, counts = [], []
    for at in range(OVERLAP - 1 + weeks * WEEK + DAY):
        found = next(traffic)
        late = at >= OVERLAP - 1 + weeks * WEEK
        hour.append(reference.pane(change(draw, found) if late else found))
        if len(hour) == OVERLAP:
            figures.append(reference.figures(hour))
            counts.append(sum(pane.rows for pane in hour))
    return np.array(figures), np.array(counts)


def alarms(figures: Figures, method: str, column: int) -> list[int]:
    """Windows in which the alert of one column begins; NaN figures are passed over."""
    name = "psi" if method == SMOOTHED else method
    found, firing, begun = Calibration(), False, []
    for at, value in enumerate(figures.tolist()):
        if np.isnan(value):
            continue
        before, firing = firing, value > calibration.number(name, found)
        if firing and not before:
            begun.append(at)
        end_ms = at * QUARTER_MS
        if calibration.add(found, value, end_ms):
            columns = NUMBERS + len(SHARES)
            calibration.calibrate(found, name, end_ms, columns, OVERLAP, column)
    return begun


class Told(msgspec.Struct):
    """Of one method and traffic, a model: alarms of the first day and of a later week, and the
    hours to each change, infinite where it was not found within a day.
    """

    first_day: float
    weekly: float
    hours: dict[int, list[float]]


def told(seen: Sequence[tuple[Figures, NDArray[np.int64]]], method: str, least: int) -> Told:
    """What `method` says of some models' windows of at least `least` rows."""
    first, later = 0, 0
    hours: dict[int, list[float]] = {column: [] for column in CHANGES}
    for figures, counts in seen:
        quiet = len(figures) - DAY
        judged = np.where(counts[:, None] >= least, figures[:, METHODS[method]], np.nan)
        for column in range(judged.shape[1]):
            begun = alarms(judged[:, column], method, column)
            first += sum(at < DAY for at in begun)
            later += sum(DAY <= at < quiet for at in begun)
            if column in CHANGES:
                delays = [(at - quiet + 1) / 4 for at in begun if at >= quiet]
                hours[column].append(delays[0] if delays else np.inf)
    weeks = (len(seen[0][0]) - 2 * DAY) / WEEK
    return Told(first / len(seen), later / len(seen) / weeks, hours)


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line a method for each traffic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--weeks", type=int, default=2)
    parser.add_argument("--traffic", nargs="*", choices=TRAFFIC, default=list(TRAFFIC))
    asked = parser.parse_args(argv)
    print(f"alarms a model on its first day · a week later on · {' · '.join(CHANGES.values())}")
    print("found so often, after so many hours in the median")
    for name in asked.traffic:
        seen = [watched(name, seed, asked.weeks) for seed in range(asked.models)]
        least = min(ROWS_NEEDED, int(np.median(seen[0][1]) / 2))
        print(f"\n{name}, windows of at least {least} rows")
        for method in METHODS:
            found = told(seen, method, least)
            print(f"{method:16}{found.first_day:5.1f}{found.weekly:6.2f}  ", end="")
            print(" · ".join(_share(delays) for delays in found.hours.values()), flush=True)


def _share(delays: Sequence[float]) -> str:
    middle = float(np.median(delays))
    late = f" {middle:.1f} h" if np.isfinite(middle) else ""
    return f"{np.mean(np.isfinite(delays)):.0%}{late}"


if __name__ == "__main__":
    sys.exit(main())
