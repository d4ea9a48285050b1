"""NAB's score of our detectors on the files of the benchmark that a folder holds.

One threshold for all files. For baselines it is the best one in hindsight, as in NAB's own table;
the shipped `auto` is scored at its default, which no file may change. That default was chosen on
these files, so lines say what such a choice is worth where it is made on half of them and scored on
the rest. The folder has `combined_windows.json` and `data/` as in the Numenta Anomaly Benchmark,
CSV plain or gzipped.

Definition: A. Lavin, S. Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms – the Numenta
Anomaly Benchmark", ICMLA 2015, and the benchmark's own code: the first 15 %, at most 750, rows of a
file are not scored; a window counts its best alarm; others cost by their distance.
"""

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import make

PROFILES = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}
"""Cost of a false alarm and of a missed window; a window found at its first row is worth 1."""
SEEDS = 10
DEBOUNCE = 100
SPLITS = 200
SMOOTH, DEBOUNCED = (2, 3, 5, 8, 12, 24), (1, 50, 100, 200, 500)
THRESHOLDS = np.arange(3.0, 20.25, 0.25)
"""Among what is chosen for the lines of halves; the first two are `auto`'s."""

Floats = NDArray[np.float64]
Scorer = Callable[[Floats], Floats]


class Series(NamedTuple):
    """Values of one file, and its windows as the indices of their first and last row."""

    name: str
    values: Floats
    windows: list[tuple[int, int]]

    @property
    def unscored(self) -> int:
        """Rows at the start in which nothing counts."""
        return min(int(0.15 * len(self.values)), 750)


def load(folder: Path) -> list[Series]:
    """Every file that `combined_windows.json` names and the folder holds."""
    named = json.loads((folder / "combined_windows.json").read_text())
    found = []
    for name, windows in named.items():
        plain = folder / "data" / name
        path = plain if plain.is_file() else plain.with_name(plain.name + ".gz")
        if path.is_file():
            found.append(_series(name, path, windows))
    if not found:
        raise SystemExit(f"{folder}: no file of combined_windows.json is under data/")
    return found


def _series(name: str, path: Path, windows: Sequence[Sequence[str]]) -> Series:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as file:
        rows = list(csv.reader(file))[1:]
    times = np.array([datetime.fromisoformat(row[0]).timestamp() for row in rows])
    values = np.array([float(row[1]) for row in rows])
    ends = [[datetime.fromisoformat(text).timestamp() for text in one] for one in windows]
    inside = [np.flatnonzero((times >= first) & (times <= last)) for first, last in ends]
    return Series(name, values, [(int(rows[0]), int(rows[-1])) for rows in inside])


def sigmoid(position: Floats) -> Floats:
    """1 far before the end of a window, 0 at its end, −1 far behind it."""
    return 2.0 / (1.0 + np.exp(5.0 * position)) - 1.0


def worth(series: Series) -> tuple[Floats, NDArray[np.int64]]:
    """What an alarm at each row is worth, and the window that it falls into, -1 for none.

    Inside a window at most 1, and only the best alarm counts; outside it is a share, down to −1, of
    what a false alarm costs.
    """
    rows = np.arange(len(series.values))
    gains, inside = np.full(len(rows), -1.0), np.full(len(rows), -1)
    for number, (first, last) in enumerate(series.windows):
        width = last - first + 1
        after = rows > last
        distance = (rows[after] - last) / max(width - 1, 1)
        gains[after] = np.where(distance > 3.0, -1.0, sigmoid(distance))
        here = slice(first, last + 1)
        gains[here] = sigmoid(-(last - rows[here] + 1) / width) / sigmoid(np.array(-1.0))
        inside[here] = number
    return gains, inside


class Ranked(NamedTuple):
    """All scored rows of all files by falling score, and what each adds when it is an alarm."""

    scores: Floats
    found: Floats
    false: Floats
    first: Floats
    windows: int


def rank(corpus: Sequence[Series], scorer: Scorer) -> Ranked:
    """Score every file; a score that is NaN is never an alarm."""
    parts = [_rank(series, np.asarray(scorer(series.values), np.float64)) for series in corpus]
    scores, found, false, first = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    windows = sum(len(series.windows) for series in corpus)
    return Ranked(scores[order], found[order], false[order], first[order], windows)


def _rank(series: Series, scores: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    gains, inside = worth(series)
    order = np.argsort(-scores, kind="stable")  # NaN comes last
    order = order[(order >= series.unscored) & ~np.isnan(scores[order])]
    found, first = np.zeros(len(order)), np.zeros(len(order))
    for number in range(len(series.windows)):
        here = np.flatnonzero(inside[order] == number)
        if len(here):
            found[here] = np.diff(np.maximum.accumulate(gains[order[here]]), prepend=0.0)
            first[here[0]] = 1.0
    return scores[order], found, np.where(inside[order] < 0, gains[order], 0.0), first


def curve(ranked: Ranked, profile: str) -> Floats:
    """The score when the first 1, 2, … rows are alarms; silence is 0, perfect 100."""
    return gained(ranked, profile) * (100.0 / (ranked.windows * (1.0 + PROFILES[profile][1])))


def gained(ranked: Ranked, profile: str) -> Floats:
    """What the first 1, 2, … rows add to silence, in windows found at their first row."""
    fp, fn = PROFILES[profile]
    return np.cumsum(ranked.found + fp * ranked.false + fn * ranked.first)


def at(ranked: Ranked, profile: str, threshold: float) -> float:
    """The score when every row above `threshold` is an alarm."""
    alarms = int(np.sum(ranked.scores > threshold))
    return float(curve(ranked, profile)[alarms - 1]) if alarms else 0.0


def best(ranked: Ranked, profile: str) -> tuple[float, float]:
    """The best score that one threshold for all files reaches, and that threshold."""
    scores, last = curve(ranked, profile), np.append(np.diff(ranked.scores) < 0, True)
    top = int(np.argmax(np.where(last, scores, -np.inf)))
    under = ranked.scores[top + 1] if top + 1 < len(scores) else -np.inf
    return max(float(scores[top]), 0.0), float(under)


def running(values: Floats) -> Floats:
    """Distance of each value from the mean of all before it, in their standard deviations."""
    n = np.arange(1, len(values) + 1)
    mean = np.cumsum(values) / n
    spread = np.sqrt(np.maximum(np.cumsum(values**2) / n - mean**2, 0.0))
    scores = np.full(len(values), np.nan)
    known = spread[:-1] > 0
    scores[1:][known] = np.abs(values[1:] - mean[:-1])[known] / spread[:-1][known]
    return scores


def alarms(name: str) -> Scorer:
    """1 where the detector finds something at its defaults, else NaN."""

    def score(values: Floats) -> Floats:
        scores = np.full(len(values), np.nan)
        scores[make(name).update_many(values)] = 1.0
        return scores

    return score


def debounced(scorer: Scorer) -> Scorer:
    """The same scores, but NaN where one is not above each of the `DEBOUNCE` − 1 before it."""

    def score(values: Floats) -> Floats:
        scores = scorer(values)
        lowest = np.where(np.isnan(scores), -np.inf, scores)
        padded = np.concatenate([np.full(DEBOUNCE - 1, -np.inf), lowest])
        before = np.lib.stride_tricks.sliding_window_view(padded[:-1], DEBOUNCE - 1)
        return np.where(lowest > before.max(axis=1), scores, np.nan)

    return score


def peaks(smooth: int, debounce: int) -> Scorer:
    """Scores of `auto` with these parameters where they would count, else NaN."""

    def score(values: Floats) -> Floats:
        params = {"smooth": smooth, "debounce": debounce, "threshold": 0.0}
        scores, kept = np.full(len(values), np.nan), make("auto", **params).update_many(values)
        scores[kept] = make("auto", **params).score_many(values)[kept]
        return scores

    return score


def halves(corpus: Sequence[Series], scorers: Sequence[Scorer]) -> dict[str, Floats]:
    """The scores, one a split, of what was chosen on one half of the files on the other.

    Chosen are a scorer and a threshold, by the standard profile. Splits are the same in each call.
    """
    tried = [[rank([series], scorer) for series in corpus] for scorer in scorers]
    gains = {profile: _gains(tried, profile) for profile in PROFILES}
    windows = np.array([len(series.windows) for series in corpus])
    found: dict[str, list[float]] = {profile: [] for profile in PROFILES}
    generator = np.random.default_rng(0)
    for _ in range(SPLITS):
        one, other = np.array_split(generator.permutation(len(corpus)), 2)
        chosen = int(np.argmax(gains["standard"][:, one].sum(axis=1)))
        for profile, (_, fn) in PROFILES.items():
            gain = gains[profile][chosen, other].sum()
            found[profile].append(100.0 * gain / (windows[other].sum() * (1.0 + fn)))
    return {profile: np.array(scores) for profile, scores in found.items()}


def _gains(tried: Sequence[Sequence[Ranked]], profile: str) -> Floats:
    """[scorer and threshold, file], what the alarms add to silence."""
    rows = []
    for files in tried:
        sums = [np.concatenate([[0.0], gained(ranked, profile)]) for ranked in files]
        for threshold in THRESHOLDS:
            alarms = [int(np.sum(ranked.scores > threshold)) for ranked in files]
            rows.append([one[n] for one, n in zip(sums, alarms, strict=True)])
    return np.array(rows)


def lines(corpus: Sequence[Series]) -> list[list[str]]:
    """What each scores under NAB's three profiles."""
    chance = [
        rank(corpus, lambda values, seed=seed: np.random.default_rng(seed).random(len(values)))
        for seed in range(SEEDS)
    ]
    found = [["random, best threshold"]]
    found[0] += [
        f"{np.mean([best(one, profile)[0] for one in chance]):.1f}" for profile in PROFILES
    ]
    ranked = rank(corpus, running)
    found.append(["running z, best threshold"])
    found[-1] += [f"{best(ranked, profile)[0]:.1f}" for profile in PROFILES]
    ranked = rank(corpus, debounced(running))
    found.append([f"the same, highest of {DEBOUNCE}"])
    found[-1] += [f"{best(ranked, profile)[0]:.1f}" for profile in PROFILES]
    for name in ("zscore", "mad", "iqr", "auto"):
        ranked = rank(corpus, alarms(name))
        found.append([f"{name}, as it ships"])
        found[-1] += [f"{at(ranked, profile, 0.5):.1f}" for profile in PROFILES]
    ours = halves(corpus, [peaks(*params) for params in product(SMOOTH, DEBOUNCED)])
    plain = halves(corpus, [debounced(running)])
    for name, split in (("auto", ours), (f"z, highest of {DEBOUNCE}", plain)):
        found.append([f"{name}, by halves"] + [f"{one.mean():.1f}" for one in split.values()])
        found.append(["  sd of the splits"] + [f"{one.std(ddof=1):.1f}" for one in split.values()])
    ahead = [float(np.mean(ours[profile] > plain[profile])) for profile in PROFILES]
    found.append(["  splits auto is ahead in", *(f"{share:.0%}" for share in ahead)])
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the benchmark's files")
    corpus = load(parser.parse_args().folder)
    windows, rows = sum(len(one.windows) for one in corpus), sum(len(one.values) for one in corpus)
    print(f"{len(corpus)} files, {rows:,} rows, {windows} windows")
    print(f"{'':28}" + "".join(f"{profile:>10}" for profile in PROFILES))
    for name, *figures in lines(corpus):
        print(f"{name:28}" + "".join(f"{figure:>10}" for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
