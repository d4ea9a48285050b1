"""A query of a ranking counts while all its rows are labelled, whatever comes when."""

from random import Random

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from inferwatch.core import snapshot
from inferwatch.core.labels import Join
from inferwatch.core.metrics import ranking
from inferwatch.core.pending import SLAB_ROWS
from inferwatch.core.queries import ROWS_MAX, QueryJoin
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.records.events import Deploy
from inferwatch.testing.folding import Log

HOUR_MS = 3_600_000


def definition(**facts):
    """One window of all rows, and one of an hour."""
    return Definition(
        model=ModelFacts(
            task="ranking", segments=["country"], **{"label_horizon_ms": 10 * HOUR_MS} | facts
        ),
        reference=Reference(min_rows=100_000),
        windows=[Window(name="rows", rows=10_000), Window(name="hour", size_ms=HOUR_MS)],
        checks=[
            Check(
                alert=f"Worse {window}",
                metric="mrr",
                window=window,
                fail=Limit(direction="below", value=0.1, clear=0.1),
            )
            for window in ("rows", "hour")
        ],
    )


def drawn(seed, queries):
    """Rows of queries of one to eight items, those of neighbours mixed: (query, score, truth)."""
    draw, rows = Random(seed), []
    for number in range(queries):
        for _ in range(draw.randint(1, 8)):
            truth = float(draw.choice([0, 0, 0, 1, 2]))
            rows.append((number + draw.random() * 3, f"q{number}", draw.randrange(9) / 8, truth))
    return [row[1:] for row in sorted(rows)]


def expected(rows):
    """Every figure by the definition, NDCG by scikit-learn's."""
    queries = {}
    for name, score, truth in rows:
        queries.setdefault(name, []).append((score, truth))
    state = ranking.empty()
    for items in queries.values():
        score, truth = map(np.array, zip(*items, strict=True))
        worth = ranking.worth(score, truth)
        if truth.any() and len(truth) > 1:
            assert worth[ranking.NAMES.index("ndcg@5") + 1] == pytest.approx(
                ndcg_score([truth], [score], k=5)
            )
        ranking.add(state, worth[:, np.newaxis])
    return ranking.figures(state)


def write(log, rows, first, **columns):
    """Rows numbered from `first`, with their queries."""
    names, scores, _ = zip(*rows, strict=True)
    ids = [str(first + at) for at in range(len(rows))]
    columns = {"ids": ids, "entity": list(names), "score": list(scores)} | columns
    log.rows(len(rows), columns.pop("at_ms", 1_000), **columns)


def restarted(log):
    """The model is saved and read back."""
    pieces = snapshot.cut(log.partition.models[log.model])
    log.partition.models[log.model] = snapshot.load(pieces)
    again = snapshot.cut(log.partition.models[log.model])
    assert again == pieces


def figures(log, window="rows", segment=""):
    """What the newest label cells of a window say, by metric."""
    model = log.partition.models[log.model]
    cells = model.state.tracks[window]["1"].labels
    cell = cells[max(cells)][segment]
    return ranking.figures(cell.ranked or ranking.empty()), cell


def same(found, wanted):
    """Values, intervals, sizes and reasons."""
    for name, figure in wanted.items():
        assert found[name].unknown == figure.unknown, name
        assert found[name].n == figure.n, name
        ends = (found[name].value, found[name].low, found[name].high)
        assert ends == pytest.approx((figure.value, figure.low, figure.high), abs=1e-12), name


def folded(rows, size, seed):
    """Rows in batches of a size; each label once or corrected, early ones too; restarts."""
    draw, log, sent = Random(seed), Log(definition()), 0
    said = [(0.6 * draw.random(), at, 7.0) for at in range(len(rows)) if draw.random() < 0.3]
    said += [(0.6 + draw.random(), at, rows[at][2]) for at in range(len(rows))]
    for at_ms, (when, at, truth) in enumerate(sorted(said), 2_000):
        while sent < len(rows) and sent < when * len(rows):
            write(log, rows[sent : sent + size], sent)
            sent += size
        log.labels([str(at)], [truth], at_ms)
        if draw.random() < 0.05:
            restarted(log)
    return log


@pytest.mark.parametrize(("size", "seed"), [(1, 1), (5, 2), (64, 3), (1_000, 4)])
def test_in_the_end_it_is_the_batch_answer(size, seed):
    """A query in many batches, labels early, late, shuffled, corrected; between restarts."""
    rows = drawn(seed, 60)
    log = folded(rows, size, seed)
    found, cell = figures(log)
    same(found, expected(rows))
    assert (cell.predicted, cell.labelled) == (len(rows), len(rows))


def test_how_rows_were_batched_does_not_show():
    """The same log of rows and labels, whole and row by row: the same windows, byte for byte."""
    rows, published = drawn(5, 40), []
    for size in (1, 7, len(rows)):
        log = Log(definition())
        for at in range(0, len(rows), size):
            write(log, rows[at : at + size], at)
        for at in range(0, len(rows), size):
            part = rows[at : at + size]
            log.labels([str(at + one) for one in range(len(part))], [row[2] for row in part], 2_000)
        log.tick(3 * HOUR_MS)
        (window,) = log.windows("hour")
        published.append((window.metrics, window.intervals, window.unknown))
    assert published[0] == published[1] == published[2]
    assert published[0][0]["ndcg@10"] == pytest.approx(expected(rows)["ndcg@10"].value)


def test_a_query_is_open_while_one_of_its_rows_has_no_label():
    """A row that comes later takes it back; with its label the whole counts anew."""
    log = Log(definition())
    write(log, [("q", 0.9, 1), ("q", 0.5, 0)], 0)
    log.labels(["0"], [1.0], 2_000)
    assert figures(log)[0]["mrr"].unknown == ranking.NO_QUERY
    log.labels(["1"], [0.0], 2_001)
    assert figures(log)[0]["mrr"].value == 1.0
    write(log, [("q", 1.0, 0)], 2)
    assert figures(log)[0]["mrr"].unknown == ranking.NO_QUERY
    log.labels(["2"], [0.0], 2_002)
    assert figures(log)[0]["mrr"].value == 0.5


def test_a_prediction_that_is_sent_again_stands_in_for_the_one_before():
    """With the same id, in the same query or in another: the newest row is the row."""
    log = Log(definition())
    write(log, [("q", 0.9, 1), ("q", 0.5, 0)], 0)
    log.labels(["0", "1"], [0.0, 1.0], 2_000)
    assert figures(log)[0]["mrr"].value == 0.5
    write(log, [("other", 0.9, 0)], 0)
    assert figures(log)[0]["mrr"].value == 1.0
    log.labels(["0"], [1.0], 2_001)
    found = figures(log)[0]["mrr"]
    assert (found.value, found.n) == (1.0, 2)


def test_what_cannot_be_ranked_is_unknown_and_says_why():
    """No query named, no score, a relevance below 0, words as labels, a query that is too long."""
    for columns, label in (
        ({"entity": ["", ""]}, 1.0),
        ({"entity": None}, 1.0),
        ({"score": None}, 1.0),
        ({}, -1.0),
        ({}, "yes"),
    ):
        log = Log(definition())
        write(log, [("q", 0.9, 1), ("q", 0.5, 0)], 0, **columns)
        log.labels(["0", "1"], [label, label], 2_000)
        found, cell = figures(log)
        assert cell.labelled == 2
        assert {one.unknown for one in found.values()} == {ranking.NO_QUERY}
    log = Log(definition())
    long = [("q", 0.5, 0.0)] * (ROWS_MAX + 1)
    write(log, long, 0)
    log.labels([str(at) for at in range(ROWS_MAX + 1)], [1.0] * (ROWS_MAX + 1), 2_000)
    assert figures(log)[0]["mrr"].unknown == ranking.NO_QUERY


def test_a_query_stands_where_its_first_row_does():
    """In that row's window and segments, though others have later rows."""
    log = Log(definition())
    write(log, [("q", 0.9, 1)], 0, segments={"country": ["DE"]}, at_ms=HOUR_MS - 1)
    write(log, [("q", 0.5, 0)], 1, segments={"country": ["FR"]}, at_ms=HOUR_MS + 1)
    log.labels(["0", "1"], [1.0, 0.0], HOUR_MS + 2)
    cells = log.partition.models[log.model].state.tracks["hour"]["1"].labels
    counted = {
        (start, segment)
        for start, of in cells.items()
        for segment, cell in of.items()
        if cell.ranked is not None and cell.ranked.means.n
    }
    assert {segment for _, segment in counted} == {"", "country:0"}
    assert {start for start, _ in counted} == {min(cells)}


def test_what_leaves_every_query_as_it_was_publishes_nothing():
    """Labels that repeat, one that is too late, a row of a query that was not whole; a correction
    does.
    """
    log = Log(definition(label_horizon_ms=3 * HOUR_MS, restate_every_ms=1_000))
    many = [(f"q{at}", 0.9, 1) for at in range(20)]
    write(log, [*many, ("open", 0.4, 0), ("open", 0.3, 0)], 0, at_ms=HOUR_MS - 1)
    write(log, [("q0", 0.5, 0)], 22, at_ms=1_000)
    ids, label = [*map(str, range(21)), "22"], [1.0] * 21 + [0.0]
    log.labels(ids, label, HOUR_MS)
    log.tick(2 * HOUR_MS)
    for again_ms in range(2 * HOUR_MS + 10_000, 2 * HOUR_MS + 60_000, 10_000):
        log.labels(ids, label, again_ms)
        log.tick(again_ms + 5_000)
    write(log, [("open", 0.8, 0)], 23, at_ms=3 * HOUR_MS + 2_000)
    log.tick(3 * HOUR_MS + 10_000)
    log.labels(["22"], [2.0], 3 * HOUR_MS + 20_000)
    log.tick(3 * HOUR_MS + 30_000)
    pending = log.partition.models[log.model].state.pending
    assert (pending.repeated, pending.too_late) == (5 * len(ids), 1)
    assert [(one.revision, one.metrics["mrr"]) for one in log.windows("hour")] == [(0, 1.0)]
    log.labels(["0"], [0.0], 3 * HOUR_MS + 40_000)
    log.tick(3 * HOUR_MS + 50_000)
    assert [one.revision for one in log.windows("hour")] == [0, 1]


def test_past_the_horizon_a_query_changes_no_more():
    """Its name begins a new one, and what it was worth stays."""
    log = Log(definition(label_horizon_ms=2 * HOUR_MS))
    write(log, [("q", 0.9, 1), ("q", 0.5, 0), *[("", 0.5, 0)] * SLAB_ROWS], 0)
    log.labels(["0", "1"], [1.0, 0.0], 2_000)
    write(log, [("q", 0.1, 1)], 2_000, at_ms=3 * HOUR_MS)
    log.labels(["0", "2000"], [0.0, 1.0], 3 * HOUR_MS + 1)
    found = figures(log)[0]["mrr"]
    assert (found.value, found.n) == (1.0, 2)
    restarted(log)
    write(log, [("q", 0.7, 1)], 2_001, at_ms=3 * HOUR_MS)
    log.labels(["2001"], [0.0], 3 * HOUR_MS + 2)
    assert figures(log)[0]["mrr"].value == pytest.approx(0.75)
    assert len(log.partition.models[log.model].join.queries) == 1


def test_above_the_memory_cap_whole_queries_are_joined():
    """Figures are those of the queries that are left, each with all of its rows."""
    rows = drawn(6, 400)
    log = Log(definition(pending_max_bytes=60_000))
    for at in range(0, len(rows), 50):
        write(log, rows[at : at + 50], at)
        part = rows[at : at + 50]
        log.labels([str(at + one) for one in range(len(part))], [row[2] for row in part], 2_000)
        if not at % 200:
            restarted(log)
    model = log.partition.models[log.model]
    assert 0 < model.join.sampled() < 1
    left = {int(row) for slab in model.state.pending.slabs.values() for row in slab.row}
    names = {rows[at][0] for at in left}
    kept = [row for row in rows if row[0] in names]
    assert len(kept) == len(left) and 10 < len(names) < 400
    found, cell = figures(log)
    same(found, expected(kept))
    assert (cell.predicted, cell.labelled) == (len(kept), len(kept))


def test_what_was_folded_before_there_were_rankings_is_read():
    """A slab without queries, as older states have it, joins and counts no query."""
    log = Log(definition())
    write(log, [("q", 0.9, 1)], 0)
    model = log.partition.models[log.model]
    for slab in model.state.pending.slabs.values():
        slab.query = None
    log.partition.models[log.model] = snapshot.load(snapshot.cut(model))
    log.labels(["0"], [1.0], 2_000)
    found, cell = figures(log)
    assert (cell.labelled, found["mrr"].unknown) == (1, ranking.NO_QUERY)


def test_a_model_that_is_no_ranking_after_all_joins_as_any_other():
    """Corrected before its first row: what runs is what a restart would make of its state."""
    log = Log(definition())
    log.event(Deploy(model=log.model, version="1", time_ms=log.start_ms), 0)
    model = log.partition.models[log.model]
    assert type(model.join) is QueryJoin
    model.redefine(Definition(model=ModelFacts(task="binary")))
    assert type(model.join) is type(snapshot.load(snapshot.cut(model)).join) is Join
