"""A flood of one kind through the fold and its metrics, in a process of its own, measured.

`python bounds.py KIND` prints a line of JSON: the most memory that the models took and what
`inferwatch plan` says of it, their metric series, and what was published beside what was sent.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.config import estimate
from inferwatch.config.defaults import default_definition
from inferwatch.config.estimate import Estimate, Load
from inferwatch.core.fold import Partition
from inferwatch.kernels.warm import warm
from inferwatch.records.batch import InferenceBatch, LabelBatch, LlmCalls, encode
from inferwatch.records.columns import (
    Float32Block,
    Float64Block,
    Numbers,
    Vectors,
    pack_categories,
    pack_texts,
)
from inferwatch.records.decode import decode
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts
from inferwatch.records.outputs import WindowRecord
from inferwatch.records.raw import MSGPACK, RawRecord, headers
from inferwatch.runtime.status import Status
from inferwatch.telemetry.catalogue import MODELS_MAX
from inferwatch.telemetry.worker import Metrics
from inferwatch.testing.builders import raw_tick
from inferwatch.testing.folding import window_records

MINUTE_MS = 60_000
START_MS = 1_700_000_000_000 // 3_600_000 * 3_600_000
WARM_ROWS = 6_000
CLASSES = [f"class-of-20-chars-{code:02d}" for code in range(20)]
DIM = 256
LIMIT = Limit(direction="above", value=0.5, clear=0.5)
ASKED = [
    Check(alert="OddRows", metric="features", method="lof", window="minute", warn=LIMIT),
    Check(alert="OddFigures", metric="figures", method="lof", window="minute", warn=LIMIT),
    Check(alert="OddShare", metric="features", method="hst", warn=LIMIT),
]


class Flood(msgspec.Struct, frozen=True):
    """Rows of `models` in turn, `batches` each; every row has a segment of its own, or none has.

    `label_horizon_s` is how long predictions wait for their labels. `rich` rows carry all that rows
    may: classes with scores, words, entities, calls of language models, embeddings; each has its
    label.
    """

    models: int = 1
    batches: int = 15
    batch_rows: int = 500
    features: int = 20
    rows_per_s: int = 1_000
    segmented: bool = False
    label_horizon_s: int = 60
    rich: bool = False


FLOODS = {
    "segments": Flood(batches=2_000, features=5, segmented=True, label_horizon_s=3_600),
    "features": Flood(batches=120, batch_rows=50, features=5_000, rows_per_s=50),
    "models": Flood(models=500, batches=12, rows_per_s=100),
    "rich": Flood(models=6, batches=120, rows_per_s=50, label_horizon_s=600, rich=True),
}


def records(flood: Flood) -> Iterator[RawRecord]:
    """In the order of the log."""
    for turn in range(flood.models * flood.batches):
        seq, model = divmod(turn, flood.models)
        name, offset = f"team/model-{model:03d}", turn * (1 + flood.rich)
        yield record(flood, name, seq, offset)
        if flood.rich:
            yield labels(flood, name, seq, offset + 1)


def record(flood: Flood, model: str, seq: int, offset: int) -> RawRecord:
    """One batch."""
    n, draw = flood.batch_rows, np.random.default_rng(seq)
    numbers = range(seq * n, (seq + 1) * n)
    time_ms = START_MS + np.array(numbers, np.int64) * 1_000 // flood.rows_per_s
    score = _scores(flood, seq)
    shops = pack_categories([f"shop-{number}" for number in numbers]) if flood.segmented else None
    body = InferenceBatch(
        model=model,
        version="1",
        emitter="a1b2c3-12345-9f8e7d6c",
        seq=seq,
        rows=n,
        emitted=(seq + 1) * n,
        time_ms=time_ms.astype("<i8").tobytes(),
        ids=pack_texts([f"a1b2c3-12345-{number}" for number in numbers]),
        numeric=Float32Block(
            [f"f{at}" for at in range(flood.features)],
            draw.normal(size=(flood.features, n)).astype("<f4").tobytes(),
        ),
        prediction=Numbers((score > 0.5).astype("<f8").tobytes()),
        scores=Float64Block(["score"], score.astype("<f8").tobytes()),
        latency_ms=draw.lognormal(2.0, 0.5, n).astype("<f4").tobytes(),
        segments={} if shops is None else {"shop": shops},
    )
    if flood.rich:
        body = msgspec.structs.replace(body, **_carried(score, draw))
    return _raw("inference", body, offset, int(time_ms[-1]))


def _carried(score: NDArray[np.float64], draw: np.random.Generator) -> dict[str, Any]:
    """Columns of rows, as a batch has them; `score` is that of the class that each names."""
    n, others = len(score), len(CLASSES) - 1
    words, entities = (draw.integers(0, 10**6, n).tolist() for _ in range(2))
    answers = draw.integers(0, len(CLASSES), n)
    scores = np.tile((1 - score) / others, (len(CLASSES), 1))
    scores[answers, np.arange(n)] = score
    return {
        "prediction": pack_categories([CLASSES[code] for code in answers.tolist()]),
        "scores": Float64Block(CLASSES, scores.tobytes()),
        "categories": {"word": pack_categories([f"word-of-20-ch-{code:06d}" for code in words])},
        "entity": pack_texts([f"entity-{code}" for code in entities]),
        "embedding": Vectors(DIM, draw.normal(size=(n, DIM)).astype("<f4").tobytes()),
        "llm": LlmCalls(
            input_tokens=draw.lognormal(6, 1, n).astype("<f4").tobytes(),
            output_tokens=draw.lognormal(5, 1, n).astype("<f4").tobytes(),
            time_to_first_token_ms=draw.lognormal(4, 1, n).astype("<f4").tobytes(),
            cost=draw.random(n).astype("<f4").tobytes(),
            finish_reason=pack_categories(["stop"] * n),
        ),
    }


def labels(flood: Flood, model: str, seq: int, offset: int) -> RawRecord:
    """The truth of one batch, which came some seconds later."""
    n, draw = flood.batch_rows, np.random.default_rng([2, seq])
    numbers = range(seq * n, (seq + 1) * n)
    time_ms = START_MS + np.array(numbers, np.int64) * 1_000 // flood.rows_per_s
    body = LabelBatch(
        model=model,
        emitter="labeller",
        seq=seq,
        rows=n,
        time_ms=(time_ms + draw.lognormal(8, 1, n).astype(np.int64)).astype("<i8").tobytes(),
        ids=pack_texts([f"a1b2c3-12345-{number}" for number in numbers]),
        label=pack_categories(draw.choice(CLASSES, n).tolist()),
    )
    return _raw("label", body, offset, int(time_ms[-1]))


def _raw(kind: str, body: InferenceBatch | LabelBatch, offset: int, time_ms: int) -> RawRecord:
    described = headers(kind, id=str(offset), source="test", time="", content_type=MSGPACK)
    return RawRecord("events.v1", 0, offset, time_ms, body.model.encode(), encode(body), described)


def _scores(flood: Flood, seq: int) -> NDArray[np.float64]:
    found = np.random.default_rng([1, seq]).random(flood.batch_rows)
    return (1 + found) / 2 if flood.rich else found  # of several classes the highest is taken


def plan(flood: Flood) -> tuple[Definition, Estimate]:
    """The default checks, and what is planned for one model of the flood.

    Of rich rows inspectors and half-space trees are asked too.
    """
    horizon_ms = flood.label_horizon_s * 1_000
    facts = ModelFacts(
        task="multiclass" if flood.rich else "binary",
        segments=["shop"] if flood.segmented else [],
        label_delay_ms=horizon_ms // 2,
        label_wait_ms=horizon_ms // 2,
        label_horizon_ms=horizon_ms,
    )
    usual = default_definition()
    checks = [*usual.checks, *(ASKED if flood.rich else [])]
    definition = msgspec.structs.replace(usual, model=facts, checks=checks)
    load = Load(
        rows_per_s=flood.rows_per_s,
        features=flood.features,
        segments=facts.segments_max + 1 if flood.segmented else 0,
        versions=1,
        classes=len(CLASSES),
        categories=int(flood.rich),
        entities=flood.rich,
        llm=flood.rich,
        embedding=DIM * flood.rich,
    )
    return definition, estimate.of(definition, load)


class Watched:
    """The fold with its metrics, as a worker has them; what minutes publish is added up."""

    def __init__(self, definition: Definition) -> None:
        self.definition, self.partition = definition, Partition(0)
        self.status = Status(Metrics())
        self.rows = self.in_segments = 0
        self.scores = 0.0

    def fold(self, raw: RawRecord) -> None:
        """One record, and what a worker tells its metrics of it."""
        decoded = decode(raw)
        name = self.partition.undefined(decoded)
        if name is not None:
            self.partition.define(name, self.definition, raw.offset)
        outputs = self.partition.fold_all([(raw, decoded)])
        self.status.folded(self.partition, [(raw, decoded)], outputs)
        for window in window_records(outputs):
            if window.window.name == "minute" and not window.revision:
                self._add(window)

    def _add(self, window: WindowRecord) -> None:
        if window.segment:
            self.in_segments += window.rows
        else:
            self.rows += window.rows
            self.scores += window.rows * window.metrics["score.mean"]

    def series(self) -> int:
        """Samples of the metrics that name a model, as of a checkpoint of all."""
        for model in self.partition.models.values():
            self.status.watched(0, model)
        families = self.status.metrics.registry.collect()
        return sum("model" in sample.labels for family in families for sample in family.samples)


def memory_bytes(what: str) -> int:
    """`VmRSS`, or `VmHWM`: the most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(what))


def forget_peak() -> None:
    """The kernel's mark of this process's most memory becomes what it has now."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(flood: Flood) -> dict[str, float]:
    """Fold it all, and time to pass after it, until the last minute has closed."""
    definition, one = plan(flood)
    warm()
    small = Watched(definition)
    for seq in range(WARM_ROWS // 500):
        like = Flood(segmented=flood.segmented, rich=flood.rich)
        small.fold(record(like, "warm/model", seq, seq))
    del small
    forget_peak()
    before_bytes = memory_bytes("VmRSS")
    watched = Watched(definition)
    for raw in records(flood):
        watched.fold(raw)
    watched.fold(raw_tick(offset=raw.offset + 1, time_ms=raw.time_ms + 2 * MINUTE_MS))
    rows, draws = flood.batch_rows, range(flood.batches)
    return {
        "rows": flood.models * flood.batches * rows,
        "scores": flood.models * sum(float(_scores(flood, seq).sum()) for seq in draws),
        "published_rows": watched.rows,
        "published_scores": watched.scores,
        "rows_in_segments": watched.in_segments,
        "took_bytes": memory_bytes("VmHWM") - before_bytes,
        "planned_bytes": flood.models * one.memory_bytes,
        "series": watched.series(),
        "planned_series": min(flood.models, MODELS_MAX + 1) * one.series,
    }


if __name__ == "__main__":
    print(msgspec.json.encode(measure(FLOODS[sys.argv[1]])).decode())
