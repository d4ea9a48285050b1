"""Block kernels beside river's objects on the same values, and what the close of a window costs.

Detectors are fed as the fold feeds them, 20 columns of 500 rows a call; river gets the same values,
already scaled, row by row. Where one decision or score differs the run ends without a figure.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import report
import turns
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees
from river.drift import ADWIN, PageHinkley

from inferwatch.core import figures as window_figures
from inferwatch.core.drift import ROW_METHODS, WEIGHTED_ROWS
from inferwatch.core.drift.bank import Bank
from inferwatch.core.drift.page_hinkley import ROWS_MIN
from inferwatch.core.drift.scale import Scale
from inferwatch.core.windows import ALL
from inferwatch.kernels import half_space_trees
from inferwatch.records.definition import Definition, Reference, Window
from inferwatch.testing.folding import Log

COMMAND = "python benchmarks/kernels.py"
BLOCK, FEATURES, NUMBERS = 500, 20, 16
BLOCKS = 4
SCALE = Scale(-4.0, 4.0, 0.0, 1.0)
CHANGES_EVERY = 4_000
HEIGHT, WINDOW, TREES = 8, 250, 10
CLOSES = 50
Rows = NDArray[np.float64]


class Candidate(Protocol):
    """Feeds block `at` and remembers what it found there; answers how many values that were."""

    found: list[Any]

    def feed(self, at: int) -> int: ...


@dataclass
class Ours:
    """The detectors of a check on 20 features."""

    method: str
    params: dict[str, float]
    blocks: list[NDArray[np.float32]]
    found: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = ROW_METHODS[self.method]
        made = {at: kind.make(SCALE, kind.PARAMS | self.params) for at in range(FEATURES)}
        self.bank = Bank(made, FEATURES)

    def feed(self, at: int) -> int:
        for column, found in self.bank.update(self.blocks[at]):
            self.found += [(at * BLOCK + one.row, column) for one in found]
        return self.blocks[at].size


@dataclass
class Rivers:
    """River's detector of each column."""

    detectors: list[Any]
    rows: list[list[list[float]]]
    found: list[tuple[int, int]] = field(default_factory=list)

    def feed(self, at: int) -> int:
        for row, values in enumerate(self.rows[at], at * BLOCK):
            for column, (detector, value) in enumerate(zip(self.detectors, values, strict=True)):
                detector.update(value)
                if detector.drift_detected:
                    self.found.append((row, column))
        return BLOCK * FEATURES


@dataclass
class OurTrees:
    """The kernel on river's own trees."""

    trees: tuple[NDArray[np.int32], Rows]
    blocks: list[Rows]
    found: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.masses = np.zeros((2, TREES, 2 ** (HEIGHT + 1) - 1), np.int32)
        self.paths = np.zeros((TREES, 2**HEIGHT))
        self.counts, self.scores = np.zeros(2, np.int64), np.empty(BLOCK)

    def feed(self, at: int) -> int:
        state = (self.masses, self.paths, self.counts, self.scores)
        half_space_trees.score(self.blocks[at], WINDOW, *self.trees, *state)
        self.found += np.nan_to_num(self.scores).tolist()
        return BLOCK


@dataclass
class RiversTrees:
    """River's forest: asked for the score of a row before it learns it."""

    forest: HalfSpaceTrees
    rows: list[list[dict[int, float]]]
    found: list[float] = field(default_factory=list)

    def feed(self, at: int) -> int:
        for row in self.rows[at]:
            self.found.append(self.forest.score_one(row) if self.forest.trees else 0.0)
            self.forest.learn_one(row)
        return BLOCK


def in_turns(candidates: dict[str, Candidate], rounds: int) -> dict[str, list[float]]:
    """Costs of a value, by candidate; each reads on where it was, some blocks a turn."""

    def reader(candidate: Candidate) -> turns.Turn:
        unread = iter(range((rounds + 1) * BLOCKS))
        return lambda: sum(candidate.feed(next(unread)) for _ in range(BLOCKS))

    return turns.costs_ns({name: reader(one) for name, one in candidates.items()}, rounds)


def detectors(rounds: int) -> dict[str, list[float]]:
    """ADWIN and Page–Hinkley, exact and in blocks of 64 rows."""
    blocks = _columns((rounds + 1) * BLOCKS)
    clipped = [np.clip(block.astype(np.float64), SCALE.low, SCALE.high).T for block in blocks]
    scaled = [((block - SCALE.low) / (SCALE.high - SCALE.low)).tolist() for block in clipped]
    hinkley = {"delta": 0.2, "threshold": 40.0, "alpha": 1.0, "min_instances": ROWS_MIN}
    candidates: dict[str, Candidate] = {
        "ADWIN": Ours("adwin", {}, blocks),
        "weighted ADWIN": Ours("adwin", {"block": float(WEIGHTED_ROWS)}, blocks),
        "river ADWIN": Rivers([ADWIN() for _ in range(FEATURES)], scaled),
        "Page–Hinkley": Ours("page_hinkley", {}, blocks),
        "weighted Page–Hinkley": Ours("page_hinkley", {"block": float(WEIGHTED_ROWS)}, blocks),
        "river Page–Hinkley": Rivers(
            [PageHinkley(**hinkley) for _ in range(FEATURES)], [block.tolist() for block in clipped]
        ),
    }
    costs = in_turns(candidates, rounds)
    for name in ("ADWIN", "Page–Hinkley"):
        same(name, sorted(candidates[name].found), sorted(candidates[f"river {name}"].found))
    return costs


def _columns(blocks: int) -> list[NDArray[np.float32]]:
    """Normal columns; the level of each changes now and then, at times of its own."""
    draw, n = np.random.default_rng(1), blocks * BLOCK
    values = draw.normal(size=(FEATURES, n))
    for column in values:
        for first in range(int(draw.integers(CHANGES_EVERY)), n, CHANGES_EVERY):
            column[first:] += draw.choice([-1.0, 1.0])
    return [
        np.ascontiguousarray(values[:, first : first + BLOCK], np.float32)
        for first in range(0, n, BLOCK)
    ]


def forests(rounds: int) -> dict[str, list[float]]:
    """Half-space trees over rows of 20 columns."""
    draw = np.random.default_rng(2)
    blocks = [draw.beta(2, 5, (BLOCK, FEATURES)) for _ in range((rounds + 1) * BLOCKS)]
    rows = [[dict(enumerate(row)) for row in block.tolist()] for block in blocks]
    forest, twin = (
        HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, seed=1) for _ in range(2)
    )
    twin.learn_one(rows[0][0])  # so that it has its trees
    candidates: dict[str, Candidate] = {
        "half-space trees": OurTrees(_planted(twin), blocks),
        "river half-space trees": RiversTrees(forest, rows),
    }
    costs = in_turns(candidates, rounds)
    ours, rivers = (one.found[WINDOW:] for one in candidates.values())
    same("half-space trees", ours, rivers)
    return costs


def _planted(forest: HalfSpaceTrees) -> tuple[NDArray[np.int32], Rows]:
    """River's trees as the kernel has them: nodes in the order of their numbers."""
    inner = 2**HEIGHT - 1
    features, splits = np.zeros((TREES, inner), np.int32), np.zeros((TREES, inner))
    for tree, root in enumerate(forest.trees):
        nodes = [root]
        for node in range(inner):
            here = nodes[node]
            features[tree, node], splits[tree, node] = here.feature, here.threshold
            nodes += here.children
    return features, splits


def same(what: str, ours: list[Any], rivers: list[Any]) -> None:
    """A figure is printed for equal results only."""
    if not ours or ours != rivers:
        sys.exit(f"{what}: not what river finds ({len(ours)} and {len(rivers)} results)")


def closing(rounds: int) -> list[float]:
    """Nanoseconds for the drift of 20 features of a window: 16 of numbers, 4 of words."""
    log = Log(
        Definition(reference=Reference(min_rows=2_000), windows=[Window(name="w", rows=4_000)])
    )
    draw = np.random.default_rng(3)
    for at in range(14):
        log.rows(
            BLOCK,
            at,
            numeric={f"n{name}": draw.normal(size=BLOCK).tolist() for name in range(NUMBERS)},
            categories={
                f"w{name}": [f"word {code}" for code in draw.integers(10, size=BLOCK)]
                for name in range(FEATURES - NUMBERS)
            },
        )
    (model,) = log.partition.models.values()
    (plan,), version = model.plan.windows, "1"
    *_, pane = model.track(plan, version).panes.values()  # it has begun after the reference
    cell, reference = pane.cells[ALL], model.reference(version)

    def close() -> int:
        for _ in range(CLOSES):
            found = window_figures.drifts(cell, model.state.columns, reference)
        known = [drift.psi.value for drift in found.values()]
        if len(known) != FEATURES or None in known:
            sys.exit("a feature has no drift")
        return CLOSES

    return turns.costs_ns({"close": close}, rounds)["close"]


def measure(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds of every round: a value, a row of the trees, a window."""
    return detectors(rounds) | forests(rounds) | {"close": closing(rounds)}


def figures(costs: dict[str, list[float]]) -> list[report.Figure]:
    """Ratios to river, and the cost of ours."""
    found = [
        report.Figure(
            f"{name}, ns a {unit}, and river to it",
            f"{min(costs[name]):.1f}, {turns.ratio(costs[f'river {other or name}'], costs[name])}",
            COMMAND,
        )
        for name, other, unit in (
            ("ADWIN", "", "value"),
            ("weighted ADWIN", "ADWIN", "value"),
            ("Page–Hinkley", "", "value"),
            ("weighted Page–Hinkley", "Page–Hinkley", "value"),
            ("half-space trees", "", "row of 20"),
        )
    ]
    best, middle = (each(costs["close"]) / 1_000 for each in (min, statistics.median))
    what = "close of a window, µs: PSI, KS or χ², JS and four more of 20 features"
    return [*found, report.Figure(what, f"{best:.0f} (median {middle:.0f})", COMMAND)]


def main() -> None:
    """`python benchmarks/kernels.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    print(report.table(figures(measure(given.rounds))))


if __name__ == "__main__":
    turns.quietly()
    main()
