"""Rows whose prediction id came before, by window: those of a plain set of ids."""

from random import Random

import pytest

from inferwatch.core.labels import Join
from inferwatch.records.definition import Definition, ModelFacts, Reference, Window
from inferwatch.testing.folding import Log

DEFINITION = Definition(
    model=ModelFacts(label_horizon_ms=86_400_000),
    reference=Reference(min_rows=100_000),
    windows=[Window(name="time", size_ms=60_000), Window(name="rows", rows=50)],
)


@pytest.mark.parametrize("size", [1, 7, 200])
def test_each_window_has_the_share_of_ids_seen_before(size):
    """Within a batch, a window, and across them; however rows were batched."""
    draw = Random(1)
    ids = [f"id{draw.randrange(300)}" for _ in range(200)]
    log = Log(DEFINITION)
    for at in range(0, 200, size):
        part = ids[at : at + size]
        times = [1_000 * row for row in range(at, at + len(part))]
        log.rows(len(part), times, record_ms=max(times), ids=part)
    log.tick(600_000)
    again = [id_ in ids[:row] for row, id_ in enumerate(ids)]
    for name, width in (("time", 60), ("rows", 50)):
        expected = [again[at : at + width] for at in range(0, 200, width)]
        found = [record.metrics["duplicate_rate"] for record in log.windows(name)]
        assert found == pytest.approx([sum(part) / len(part) for part in expected])


def test_versions_segments_and_ids_of_their_own_are_no_duplicates():
    """Shadow versions answer the same ids; a window of a segment has no such figure."""
    model = ModelFacts(segments=["country"])
    log = Log(
        Definition(model=model, windows=DEFINITION.windows[:1], reference=DEFINITION.reference)
    )
    for version in ("1", "2"):
        log.rows(2, 0, version=version, ids=["a", "b"], segments={"country": ["DE", "FR"]})
    log.tick(600_000)
    assert [record.metrics["duplicate_rate"] for record in log.windows("time")] == [0.0, 0.0]
    assert "duplicate_rate" not in log.windows("time", "country=DE")[0].metrics


def test_late_rows_are_in_no_window_and_a_sample_stands_for_all():
    """A repeat after its window is not counted; where half of the ids are joined each is two."""
    log = Log(DEFINITION)
    log.rows(1, 0, ids=["a"])
    log.rows(1, 200_000, ids=["b"])
    log.rows(2, [0, 200_000], record_ms=200_001, ids=["a", "c"])
    log.tick(600_000)
    assert [record.metrics["duplicate_rate"] for record in log.windows("time")] == [0.0, 0.0]
    log = Log(DEFINITION)
    log.rows(1, 0, ids=["a"])
    log.partition.models[log.model].state.pending.shift = 1
    ids = [f"id{at}" for at in range(400)]
    log.rows(400, 1_000, ids=ids)
    log.rows(400, 2_000, ids=ids)
    log.tick(600_000)
    (record,) = log.windows("time")
    join = log.partition.models[log.model].join
    assert isinstance(join, Join) and join.sampled() == 0.5
    assert record.metrics["duplicate_rate"] == pytest.approx(0.5, abs=0.1)
