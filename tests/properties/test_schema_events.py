"""Changes of columns are told as a plain recount of the rows tells them, however they are batched,
folded together, and cut by a restart.
"""

import math
from random import Random

import pytest

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition, Reference, Window
from inferwatch.testing.builders import raw_inference
from inferwatch.testing.folding import fold, schema_records

START_MS, MINUTE_MS, DAY_MS = 1_767_225_600_000, 60_000, 86_400_000
REFERENCE_ROWS, MINUTES = 100, 3 * 1_440
STEP_MINUTES = 20  # between one window with rows and the next
DEFINITION = Definition(
    reference=Reference(min_rows=REFERENCE_ROWS),
    windows=[
        Window(name="long", size_ms=60 * MINUTE_MS),
        Window(name="minute", size_ms=MINUTE_MS),
    ],
)
NUMBER, WORD, VECTORS = "numeric", "category", ("embedding(2)", "embedding(3)")


def stream(seed):
    """Rows as (time, values, vector's size): columns with gaps of all kinds, in stretches."""
    draw, rows = Random(seed), []
    gaps = {name: draw.choice([0.0, 0.0, 0.3, 0.9]) for name in "abcdef"}
    kinds = dict.fromkeys("abcd", NUMBER) | {"c": WORD, "d": None, "e": None, "f": NUMBER}
    size = draw.choice([0, 2])
    for minute in range(0, MINUTES, STEP_MINUTES):
        learnt = len(rows) >= REFERENCE_ROWS
        for name in kinds if learnt and draw.random() < 0.3 else ():
            if draw.random() < 0.3:
                kinds[name] = draw.choice([NUMBER, NUMBER, WORD, None, "both"])
        size = draw.choice([0, 2, 2, 3]) if learnt and draw.random() < 0.05 else size
        for _ in range(draw.choice([1, 5, 40]) if learnt else 30):
            values = {}
            for name, kind in kinds.items():
                if kind is not None and draw.random() >= gaps[name]:
                    values[name] = NUMBER if kind == NUMBER else draw.choice([WORD, NUMBER])
                    values[name] = WORD if kind == WORD else values[name]
            at_ms = START_MS + minute * MINUTE_MS + draw.randrange(MINUTE_MS)
            rows.append((at_ms, values, size))
    return sorted(rows, key=lambda row: row[0])


def batch(rows, offset):
    """Rows with vectors of one size, as a record."""
    names = sorted({name for _, values, _ in rows for name in values})

    def column(name, kind, value, missing):
        return [value if values.get(name) == kind else missing for _, values, _ in rows]

    size = rows[0][2]
    return raw_inference(
        n=len(rows),
        offset=offset,
        time_ms=[at_ms for at_ms, _, _ in rows],
        numeric={name: column(name, NUMBER, 0.5, math.nan) for name in names},
        categories={name: column(name, WORD, "x", None) for name in names},
        embedding=[[0.5] * size for _ in rows] if size else None,
    )


def records(rows, draw):
    """The rows in batches of any size."""
    found, place = [], 0
    while place < len(rows):
        end = place + draw.randint(1, 50)
        part = [row for row in rows[place:end] if row[2] == rows[place][2]]
        whole = next(
            (n for n, row in enumerate(rows[place:end]) if row[2] != part[0][2]), len(part)
        )
        found.append(batch(part[:whole], len(found)))
        place += whole
    return found


def events(outputs):
    """What is told, without the places of batches in the log."""
    found = []
    for record in schema_records(outputs):
        moved = [
            (one.column, one.change, one.before, one.now, one.since_ms) for one in record.changes
        ]
        found.append((record.window.start, record.from_ms, record.to_ms, moved))
    return found


# ── the recount ───────────────────────────────────────────────────────────────────────────────


def kinds_of(row):
    """Every (column, kind) of which a row has a value."""
    _, values, size = row
    found = set(values.items())
    return found | {("embedding", f"embedding({size})")} if size else found


def is_told(blank, missing, whole):
    """By the product of chances, one row after the other."""
    chance = 1.0
    for _ in range(blank):
        chance *= (missing + 1) / (whole + 1)
    return chance <= 1e-9


def recount(rows):
    """The same events, from all windows so far at each window."""
    reference = rows[:REFERENCE_ROWS]
    known = {one for row in reference for one in kinds_of(row)}
    windows = {}
    for row in rows:
        windows.setdefault(row[0] // MINUTE_MS * MINUTE_MS, []).append(row)
    learnt_ms = reference[-1][0] // MINUTE_MS * MINUTE_MS
    watched = [(start, windows[start]) for start in sorted(windows) if start >= learnt_ms]
    every = known | {one for _, part in watched for row in part for one in kinds_of(row)}
    moves = {one: told_of(one, one in known, reference, watched) for one in every}
    here = {one: one in known for one in every}
    found = []
    for start, part in watched[:-1]:  # the last one stays open
        moved = []
        for column in sorted({column for column, _ in every}):
            mine = sorted(one for one in every if one[0] == column)
            before = [kind for _, kind in mine if here[column, kind]]
            since = [moves[one][start] for one in mine if start in moves[one]]
            for one in mine:
                here[one] ^= start in moves[one]
            now = [kind for _, kind in mine if here[column, kind]]
            if since:
                usual = [kind for _, kind in mine if (column, kind) in known]
                change = "retyped" if before else "new"
                change = "back" if now == usual else change
                moved.append((column, change if now else "gone", before, now, min(since)))
        if moved:
            times = [row[0] for row in part]
            found.append((start, min(times), max(times), moved))
    return found


def told_of(one, usual, reference, watched):
    """When one kind of a column came or went, each with the time since when."""
    here, found, backs, known_from = usual, {}, [], 0
    counts = [(start, part, sum(one in kinds_of(row) for row in part)) for start, part in watched]
    learnt = len(reference), sum(one in kinds_of(row) for row in reference)
    for place, (start, part, values) in enumerate(counts):
        newest_ms = max(row[0] for row in part)
        behind = [at for at in range(known_from, place) if counts[at][2]]
        blank_from = behind[-1] + 1 if behind else known_from
        if values:
            if not here:
                here, found[start] = True, min(row[0] for row in part)
                if behind or usual:
                    gap = sum(len(counts[at][1]) for at in range(blank_from, place))
                    backs.append((newest_ms, gap))
            continue
        blank = sum(len(counts[at][1]) for at in range(blank_from, place + 1))
        since_ms = min(row[0] for row in counts[blank_from][1])
        gaps = [gap for _, gap in lately(backs)] if newest_ms < last_ms(backs) + DAY_MS else [0]
        if usual:
            whole, given = learnt
        else:
            came = [(part, values) for _, part, values in counts[known_from:place] if values]
            whole, given = sum(len(part) for part, _ in came), sum(values for _, values in came)
        if here and blank >= 2 * max(gaps) and is_told(blank, whole - given, whole):
            here, found[start] = False, since_ms
        if not usual and not here and newest_ms - since_ms >= DAY_MS:
            known_from, backs = place + 1, []  # it comes anew, if it does
    return found


def last_ms(backs):
    """When it came back last."""
    return backs[-1][0] if backs else -DAY_MS


def lately(backs):
    """The newest returns of which each was within a day of the one before."""
    first = len(backs) - 1
    while first > 0 and backs[first][0] - backs[first - 1][0] < DAY_MS:
        first -= 1
    return backs[max(first, 0) :]


@pytest.mark.parametrize("seed", range(8))
def test_a_plain_recount_tells_the_same(seed):
    """Whatever the batches, the events are those of the rows."""
    rows = stream(seed)
    expected = recount(rows)
    assert len(expected) > 3
    for size in range(2):
        found = fold(Partition(0), records(rows, Random(size)), lambda _: DEFINITION)
        assert events(found) == expected


def folded(found, runs, restores, draw):
    """Outputs of a log in runs of 1 to `runs` records, the state restored between some of them."""
    partition, outputs, place = Partition(0), [], 0
    while place < len(found):
        run = [(raw, decode(raw)) for raw in found[place : place + draw.randint(1, runs)]]
        if not place:
            partition.define("team/model", DEFINITION, 0)
        outputs += partition.fold_all(run)
        place += len(run)
        if draw.random() < restores:
            pieces = snapshot.cut(partition.models["team/model"])
            partition = Partition(0)
            again = partition.restore(pieces)
            assert snapshot.cut(again) == pieces
    return [(one.kind, one.id, one.value) for one in outputs]


@pytest.mark.parametrize("seed", range(2))
def test_neither_runs_nor_restarts_show(seed):
    """Records folded together, and a state restored anywhere: the same ids, the same bytes."""
    draw = Random(seed)
    found = records(stream(seed), draw)
    expected = folded(found, 1, 0.0, draw)
    assert sum(kind == "schema" for kind, _, _ in expected) > 3
    ids = [(kind, id_) for kind, id_, _ in expected]
    assert len(set(ids)) == len(ids)
    assert folded(found, 20, 0.0, draw) == expected
    assert folded(found, 5, 0.2, draw) == expected
