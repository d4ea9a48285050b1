"""The fold alone: what a row costs in it, beside river row by row, and how that grows.

No Kafka, no bytes: both sides get what their decoder has read. The fold does the same work as
river's objects, those of `obvious.py`, or has the default checks, in batches of 500 rows × 20
features, which come by the dozen, as a fetch brings them. Then batches one by one, of 200 models in
turn and of one, and 5 to 500 features.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import obvious
import report
import rows
import throughput
import turns
from river.drift import ADWIN, PageHinkley

from inferwatch.config import monitors
from inferwatch.config.defaults import default_definition
from inferwatch.core.drift import WEIGHTED_ROWS
from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition, ModelFacts
from inferwatch.records.raw import Decoded, RawRecord

COMMAND = "python benchmarks/fold.py"
START_MS = 1_700_000_000_000 // 3_600_000 * 3_600_000
WARM_ROWS = 7_500  # the reference is learnt from 5,000
HORIZON_MS = 4_000  # predictions wait for as many rows, so that no model has more of them
MODELS = (1, 200)
RUN_BATCHES = 12
WIDTHS = (5, 50, 500)
WIDE_BATCH_ROWS = 400  # as many as fit into 1 MiB at 500 features
Folded = tuple[RawRecord, Decoded]


@dataclass
class Fold:
    """One partition with some models, each of which gets a batch in its turn; `run` are folded at
    once.
    """

    definition: Definition
    models: Sequence[str] = ("bench/model",)
    features: int = rows.FEATURES
    batch_rows: int = rows.BATCH_ROWS
    batches: int = 2 * RUN_BATCHES
    run: int = RUN_BATCHES
    partition: Partition = field(default_factory=lambda: Partition(0))
    ready: list[list[Folded]] = field(default_factory=list)

    def prepare(self, rounds: int) -> "Fold":
        """Fold what a reference is learnt from, and decode what `rounds` turns will fold."""
        self._records = self._read()
        warm = -(-WARM_ROWS // self.batch_rows) * len(self.models)
        self._fold([next(self._records) for _ in range(warm)])
        self.ready = [[next(self._records) for _ in range(self.batches)] for _ in range(rounds)]
        return self

    def turn(self) -> int:
        """Fold the next batches; how many rows."""
        self._fold(self.ready.pop(0))
        return self.batches * self.batch_rows

    def check(self) -> None:
        """A cost is printed for rows that were folded, and watched against a reference."""
        counts = self.partition.counts
        learning = [one.learning("1") for one in self.partition.models.values()]
        if not counts.conserved() or counts.ok != counts.in_ or any(learning):
            sys.exit(f"not every row was folded: {counts}, {learning}")

    def _read(self) -> Iterator[Folded]:
        offset = 0
        while True:
            seq = offset // len(self.models)
            first_ms = START_MS + seq * self.batch_rows
            for model in self.models:
                made = rows.chunk(model, seq, first_ms, self.batch_rows, self.features)
                [(body, described)] = rows.batch(made)
                last_ms, key = int(made.time_ms[-1]), model.encode()
                raw = RawRecord("events.v1", 0, offset, last_ms, key, body, described)
                yield raw, decode(raw)
                offset += 1

    def _fold(self, records: list[Folded]) -> None:
        for raw, decoded in records:
            name = self.partition.undefined(decoded)
            if name is not None:
                self.partition.define(name, self.definition, raw.offset)
        for first in range(0, len(records), self.run):
            self.partition.fold_all(records[first : first + self.run])


@dataclass
class RowByRow:
    """River's objects of one model, updated for each event."""

    events: Iterator[list[dict[str, Any]]]
    model: obvious.Model = field(default_factory=obvious.Model)

    def turn(self) -> int:
        """The next events; how many."""
        events = next(self.events)
        for event in events:
            self.model.update(event)
        return len(events)


def events(rounds: int) -> Iterator[list[dict[str, Any]]]:
    """A list of decoded events for each turn, made before the first."""
    chunks = [rows.chunk("bench/model", seq, START_MS) for seq in range(rounds)]
    return iter([[msgspec.json.decode(body) for body, _ in rows.events(one)] for one in chunks])


def watched(block: int = 1, *, detectors: bool = True) -> Definition:
    """The default checks, with ADWIN exact, in blocks of rows, or without it."""
    found = default_definition()
    checks = [
        msgspec.structs.replace(one, params=one.params | {"block": float(block)})
        if one.method == "adwin"
        else one
        for one in found.checks
        if detectors or one.method != "adwin"
    ]
    facts = ModelFacts(label_horizon_ms=HORIZON_MS)
    return msgspec.structs.replace(found, checks=checks, model=facts)


def same_work(mode: str) -> Definition:
    """What river's objects do too, as in `throughput.py`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "monitors.yaml"
        path.write_text(throughput.SAME_WORK.format(mode=mode))
        return monitors.read(path)[0].definition


def alone(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds a row: the same work and the default checks in their modes, and river."""
    folds = {
        "the same work, exact": Fold(same_work("exact")),
        "the same work, weighted ADWIN": Fold(same_work("weighted")),
        "default checks, exact": Fold(watched()),
        "default checks, weighted": Fold(watched(WEIGHTED_ROWS)),
        "default checks, no detectors": Fold(watched(detectors=False)),
    }
    both = obvious.Model((ADWIN, PageHinkley))
    others = {
        "river": RowByRow(events(rounds + 1)).turn,
        "river, both detectors": RowByRow(events(rounds + 1), both).turn,
    }
    return _costs(folds, rounds, others)


def models(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds a row by the number of models, which get their batches in turn."""
    names = [f"bench/model-{number:03d}" for number in range(max(MODELS))]
    folds = {
        f"models {count}": Fold(watched(), names[:count], batches=max(MODELS), run=1)
        for count in MODELS
    }
    return _costs(folds, rounds)


def widths(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds a row by the number of features."""
    folds = {
        f"features {width}": Fold(watched(), features=width, batch_rows=WIDE_BATCH_ROWS)
        for width in WIDTHS
    }
    return _costs(folds, rounds)


def _costs(
    folds: dict[str, Fold], rounds: int, others: dict[str, turns.Turn] | None = None
) -> dict[str, list[float]]:
    candidates = {name: fold.prepare(rounds + 1).turn for name, fold in folds.items()}
    costs = turns.costs_ns(candidates | (others or {}), rounds)
    for fold in folds.values():
        fold.check()
    return costs


def measure(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds a row of every round."""
    return alone(rounds) | models(max(1, rounds // 3)) | widths(rounds)


def figures(costs: dict[str, list[float]]) -> list[report.Figure]:
    """Costs, ratios, and what a feature more costs."""
    few, many = (costs[f"models {count}"] for count in MODELS)
    narrow, middle, wide = (costs[f"features {width}"] for width in WIDTHS)
    shown = [
        *(
            (f"{mode}: ns a row, and river to it", _beside(spent, costs[_river(mode)]))
            for mode, spent in costs.items()
            if "the same work" in mode or "default checks" in mode
        ),
        ("river row by row, ns a row", _ns(costs["river"])),
        ("river row by row, Page–Hinkley too, ns a row", _ns(costs["river, both detectors"])),
        (f"fold of {MODELS[1]} models to that of one, batch by batch", _growth(many, few)),
        (f"fold, ns a row of {_listed(WIDTHS)} features", _each(narrow, middle, wide)),
        ("fold, ns a feature more, to 50 and from 50 on", _slopes(narrow, middle, wide)),
    ]
    return [report.Figure(what, value, COMMAND) for what, value in shown]


def _river(mode: str) -> str:
    return "river, both detectors" if "the same work" in mode else "river"


def _ns(costs: list[float]) -> str:
    return f"{min(costs):,.0f} (median {statistics.median(costs):,.0f})"


def _beside(costs: list[float], other: list[float]) -> str:
    return f"{min(costs):,.0f}, {turns.ratio(other, costs)}"


def _growth(many: list[float], few: list[float]) -> str:
    return f"{min(many):,.0f} to {min(few):,.0f}: {min(many) / min(few):.2f}×"


def _each(*costs: list[float]) -> str:
    return " / ".join(f"{min(one):,.0f}" for one in costs)


def _listed(numbers: Sequence[int]) -> str:
    return " / ".join(map(str, numbers))


def _slopes(narrow: list[float], middle: list[float], wide: list[float]) -> str:
    first = (min(middle) - min(narrow)) / (WIDTHS[1] - WIDTHS[0])
    then = (min(wide) - min(middle)) / (WIDTHS[2] - WIDTHS[1])
    return f"{first:.1f} / {then:.1f}"


def main() -> None:
    """`python benchmarks/fold.py`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    print(report.table(figures(measure(given.rounds))))


if __name__ == "__main__":
    turns.quietly()
    main()
