"""The same entity, the same answer: figures equal a plain form of the sample, row by row."""

import math
from random import Random

import numpy as np
import pytest

from inferwatch.core import snapshot, stability
from inferwatch.core.stability import AGE_MS
from inferwatch.kernels.entities import PLACES
from inferwatch.records.definition import Definition, ModelFacts, Reference, Window
from inferwatch.records.ids import pack
from inferwatch.testing.folding import Log

HOUR_MS = 3_600_000
DEFINITION = Definition(
    model=ModelFacts(task="binary"),
    reference=Reference(min_rows=100_000),
    windows=[Window(name="hour", size_ms=HOUR_MS), Window(name="rows", rows=100)],
)


def rows_of(seed, n, entities):
    """Rows in order of time: entity ("" for none), class, score, and ms after the start."""
    draw, at_ms, found = Random(seed), 0, []
    for _ in range(n):
        at_ms += draw.choice([0, 1_000, 60_000])
        name = draw.choice(["", *(f"e{draw.randrange(entities)}" for _ in range(9))])
        found.append((name, draw.choice([0.0, 1.0, math.nan]), draw.choice([0.25, 0.5]), at_ms))
    return found


def plain(rows):
    """Compared, flipped and moved of each row: the definition, one row at a time."""
    kept, found = {}, []
    for name, answer, score, at_ms in rows:
        compared, flipped, moved = False, False, math.nan
        if name:
            (key,) = map(int, stability.hashes(pack([name]), "1"))
            before = kept.get(key % PLACES)
            if before is not None and before[0] == key:
                compared = not math.isnan(before[1]) and not math.isnan(answer)
                flipped = compared and before[1] != answer
                moved = abs(score - before[2])
            if before is None or key <= before[0] or at_ms - before[3] > AGE_MS:
                kept[key % PLACES] = (key, answer, score, at_ms)
        found.append((compared, flipped, moved))
    return found


def folded(rows, size, cut):
    """The log of these rows in batches of a size, saved and read back behind row `cut`."""
    log = Log(DEFINITION)
    for at in range(0, len(rows), size):
        names, answers, scores, times = map(list, zip(*rows[at : at + size], strict=True))
        log.rows(len(names), times, entity=names, prediction=answers, score=scores)
        if at <= cut < at + size:
            pieces = snapshot.cut(log.partition.models[log.model])
            log.partition.models[log.model] = snapshot.load(pieces)
    log.tick(10**9)
    return log


@pytest.mark.parametrize(("entities", "size", "cut"), [(5, 400, 9), (5_000, 7, 100), (90, 1, 7)])
def test_figures_are_those_of_the_definition(entities, size, cut):
    """By hour and by rows, for few entities and more than are kept, across a checkpoint."""
    rows = rows_of(entities, 400, entities)
    found, expected = folded(rows, size, cut), plain(rows)
    for name, key in (("hour", lambda at: rows[at][3] // HOUR_MS), ("rows", lambda at: at // 100)):
        places = sorted({key(at) for at in range(400)})
        for place, record in zip(places, found.windows(name), strict=True):
            mine = [row for at, row in enumerate(expected) if key(at) == place]
            compared = sum(row[0] for row in mine)
            moved = [row[2] for row in mine if not math.isnan(row[2])]
            if compared:
                share = sum(row[1] for row in mine) / compared
                assert record.metrics["flip_rate"] == pytest.approx(share)
            else:
                assert record.unknown["flip_rate"] == "no entity came back"
            if moved:
                assert record.metrics["score_change.mean"] == pytest.approx(np.mean(moved))
            else:
                assert record.unknown["score_change.mean"] == "no entity came back"


def test_versions_are_apart():
    """Another version's answer about the same entity is no flip."""
    log = Log(DEFINITION)
    for version in ("1", "2"):
        log.rows(1, 0, version=version, entity=["e"], prediction=[float(version) - 1])
    log.tick(2 * HOUR_MS)
    assert ["flip_rate" in record.unknown for record in log.windows("hour")] == [True, True]


def test_a_day_of_silence_frees_a_place():
    """The smaller hash stays while it is heard of; then the place is the next one's."""
    found = stability.hashes(pack([f"e{at}" for at in range(9 * PLACES)]), "1")
    mask = np.uint64(PLACES - 1)
    rivals = found[found & mask == found[0] & mask]
    small, large = np.sort(rivals)[:2]
    state = stability.empty()

    def is_known(key, at_ms):
        answer, score = np.zeros(1, np.int32), np.zeros(1)
        rows = stability.follow(state, np.array([key]), np.array([at_ms]), answer, score)
        return bool(rows.compared[0])

    assert not is_known(large, 0) and not is_known(small, 1)
    assert not is_known(large, AGE_MS) and is_known(small, AGE_MS)
    assert not is_known(large, 2 * AGE_MS + 1) and is_known(large, 2 * AGE_MS + 2)


def test_a_model_without_entities_has_neither_figure_nor_state():
    """Nothing is kept, nothing is published."""
    log = Log(DEFINITION)
    log.rows(2, 0, prediction=[1.0, 0.0])
    log.tick(2 * HOUR_MS)
    (record,) = log.windows("hour")
    assert not {"flip_rate", "score_change.mean"} & {*record.metrics, *record.unknown}
    assert "entities" not in snapshot.cut(log.partition.models[log.model])
