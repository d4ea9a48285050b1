"""What grows has an end: beyond a cap things share `__other__`, and it is counted."""

from msgspec.structs import replace

from inferwatch.core import model as models
from inferwatch.core.columns import OTHER
from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition, ModelFacts, Window
from inferwatch.records.events import Resource
from inferwatch.records.raw import RawRecord
from inferwatch.runtime.status import Status
from inferwatch.telemetry.worker import Metrics
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels

DEFINITION = Definition(
    model=ModelFacts(task="multiclass", segments=["shop"], segments_max=3),
    windows=[Window(name="minute", size_ms=60_000)],
)


def fold(partition: Partition, *records: RawRecord) -> None:
    """Records in order, each at the next offset."""
    for raw in records:
        placed = replace(raw, offset=partition.offset + 1)
        decoded = decode(placed)
        if name := partition.undefined(decoded):
            partition.define(name, DEFINITION, placed.offset)
        partition.fold(placed, decoded)


def test_versions_beyond_the_cap_share_one(monkeypatch):
    """Rows, labels and samples of a flood of versions are kept and counted, none is lost."""
    monkeypatch.setattr(models, "VERSIONS_MAX", 3)
    partition = Partition(0)
    for number in range(10):
        row = raw_inference(version=f"v{number}", ids=[f"p{number}"], prediction=["a"], seq=number)
        fold(partition, row)
        fold(
            partition, raw_labels(version=f"v{number}", ids=[f"p{number}"], label=["a"], seq=number)
        )
        sample = Resource(
            model="team/model", version=f"r{number}", instance="i", time_ms=TIME_MS, cpu=0.5
        )
        fold(partition, raw_event(sample))
    (model,) = partition.models.values()
    assert model.state.rows == {"v0": 1, "v1": 1, "v2": 1, OTHER: 7}
    assert list(model.state.tracks["minute"]) == ["v0", "v1", "v2", OTHER]
    assert model.state.columns.capped == {"versions": 7}
    (cells,) = model.state.tracks["minute"][OTHER].labels.values()
    assert cells[""].labelled == 7
    assert partition.counts.conserved()
    assert partition.counts.ok == 30


def test_segments_beyond_the_cap_are_counted_in_rows():
    """G10: a thousand values are as many as the file allows, and one more that holds the rest."""
    partition = Partition(0)
    for number in range(20):
        names = [f"s{number}-{row}" for row in range(50)]
        fold(partition, raw_inference(n=50, segments={"shop": names}, seq=number))
    (model,) = partition.models.values()
    assert model.state.columns.segments == {"shop": ["s0-0", "s0-1", "s0-2", OTHER]}
    assert model.state.columns.capped == {"segments": 997}
    (pane,) = model.state.tracks["minute"]["1"].panes.values()
    assert pane.cells[""].rows == 1_000
    assert sum(cell.rows for name, cell in pane.cells.items() if name) == 1_000


def test_the_metric_counts_on_from_a_restored_state():
    """A worker that takes a model over counts what it sees, not what others saw before it."""
    partition, status = Partition(0), Status(Metrics())
    fold(partition, raw_inference(n=9, segments={"shop": [f"a{row}" for row in range(9)]}, seq=0))
    (model,) = partition.models.values()
    status.watched(0, model)
    fold(partition, raw_inference(n=5, segments={"shop": [f"b{row}" for row in range(5)]}, seq=1))
    status.watched(0, model)
    counted = status.metrics.registry.get_sample_value(
        "inferwatch_overflow_total", {"kind": "segments"}
    )
    assert (model.state.columns.capped["segments"], counted) == (11, 5)
