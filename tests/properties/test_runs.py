"""Batches that are folded together give what each by itself gives: outputs, counts, state bytes."""

from collections import Counter
from random import Random

import msgspec
import pytest

from inferwatch.core import engine, snapshot
from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Reference, Window
from inferwatch.records.events import MonitorChange
from inferwatch.records.rows import Rows
from inferwatch.testing import streams
from inferwatch.testing.builders import raw_event, raw_inference, raw_labels, raw_tick
from inferwatch.testing.request import START_MS

LONGER = 20


def long_windows(name, change=0):
    """The streams' checks on windows of time that seldom close, with a place for each segment."""
    found = longer(name, change)
    windows = [one for one in found.windows if one.size_ms]
    names = {"", *(one.name for one in windows)}
    checks = [one for one in found.checks if one.window in names]
    return msgspec.structs.replace(found, windows=windows, checks=checks)


def longer(name, change=0):
    """The same with windows of rows: what of them is past the horizon is looked for each minute."""
    found = streams.definition(name, change)
    windows = [
        msgspec.structs.replace(
            one,
            size_ms=one.size_ms * LONGER,
            step_ms=one.step_ms * LONGER,
            rows=one.rows * LONGER,
            exact=False,
        )
        for one in found.windows
    ]
    model = msgspec.structs.replace(found.model, segments=["country", "channel"], segments_max=50)
    return msgspec.structs.replace(found, windows=windows, model=model)


def alike(seed, records, draw):
    """A stream most of which is rows with the same columns: other records are left out, 96
    of a hundred.
    """
    found = streams.stream(seed, records=records, rows_per_batch=12)
    shapes = {id(raw): columns(decode(raw).record) for raw in found}
    usual = {}
    for shape, _ in Counter(filter(None, shapes.values())).most_common():
        usual.setdefault(shape[0], shape)
    kept = [
        raw
        for raw in found
        if (shapes[id(raw)] and usual[shapes[id(raw)][0]] == shapes[id(raw)])
        or draw.random() < 0.04
    ]
    return streams.placed(kept)


def columns(record):
    """Model and columns of a batch of rows; None for another record."""
    if not isinstance(record, Rows):
        return None
    calls, entities = record.llm is None, record.entity is None
    dim = 0 if record.embedding is None else record.embedding.shape[1]
    return record.model, record.version, record.numeric_names, calls, entities, dim


def fold(records, definition_of, most, draw):
    """Partition and outputs of records, folded in runs of 1 to `most`."""
    partition, outputs, place = Partition(0), [], 0
    while place < len(records):
        size = draw.randint(1, most)
        run = [(raw, decode(raw)) for raw in records[place : place + size]]
        for raw, decoded in run:
            name = partition.undefined(decoded)
            if name is not None:
                partition.define(name, definition_of(name), raw.offset)
        outputs += partition.fold_all(run)
        place += len(run)
    return partition, outputs


def by_key(outputs):
    """Outputs in order, of each model by itself: models are folded one after the other."""
    found = {}
    for one in outputs:
        found.setdefault(one.key, []).append((one.kind, one.id, one.value, one.headers))
    return found


def state_bytes(partition):
    """Every model's state as a checkpoint would write it."""
    return {name: snapshot.cut(model) for name, model in partition.models.items()}


@pytest.fixture
def together(monkeypatch):
    """How many batches went together, by how many at once."""
    counts, whole = Counter(), engine.fold_batches

    def counted(model, batches):
        counts[len(batches)] += 1
        return whole(model, batches)

    monkeypatch.setattr(engine, "fold_batches", counted)
    return counts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("definition_of", [long_windows, longer, streams.definition])
def test_what_comes_together_does_not_show(seed, definition_of, together):
    """Any cut of a log into runs gives the outputs, counts and states of one record at a time."""
    draw = Random(seed)
    records = alike(seed, 600, draw)
    single, expected = fold(records, definition_of, 1, draw)
    assert set(together) == {1}
    for most in (4, 40):
        found, outputs = fold(records, definition_of, most, draw)
        assert by_key(outputs) == by_key(expected)
        assert found.counts == single.counts
        assert found.changed() == single.changed()
        assert state_bytes(found) == state_bytes(single)
    if definition_of is long_windows:
        assert max(together) > 2
        assert sum(size * count for size, count in together.items() if size > 1) > 20


def batch(at, ids=None, first_ms=0, **columns):
    """Ten rows within the `at`-th two seconds."""
    began_ms = START_MS + first_ms + 2_000 * at
    return raw_inference(
        n=10,
        seq=at,
        ids=ids or [f"{at}-{row}" for row in range(10)],
        time_ms=[began_ms + 200 * row for row in range(10)],
        record_time_ms=began_ms + 2_000,
        **{"numeric": {"a": [0.5] * 10}, "score": [0.5] * 10} | columns,
    )


def plain(n=60, first=0, **columns):
    """Batches with nothing special."""
    return [batch(at, **columns) for at in range(first, n)]


def changed(records, **at):
    """`records` with others in the places that `at` names, as in `at_7`."""
    found = list(records)
    for name, raw in at.items():
        found[int(name.removeprefix("at_"))] = raw
    return found


def labels(of, record_s):
    """All rows of a batch were right."""
    ids, seq = [f"{of}-{row}" for row in range(10)], 1_000 + record_s
    at_ms = START_MS + 1_000 * record_s
    return raw_labels(ids=ids, label=[0.0] * 10, seq=seq, record_time_ms=at_ms)


def tick(at_s):
    """Time passed."""
    return raw_tick(offset=0, time_ms=START_MS + 1_000 * at_s)


def again(*numbers):
    """Ids of a batch, the first of which are those of other batches."""
    return [*(f"{number}-1" for number in numbers), *(f"again-{row}" for row in range(9))][:10]


LIMIT = Limit(direction="above", value=0.9, clear=0.9)
MINUTES = Window(name="minutes", size_ms=120_000, step_ms=30_000)
HOUR, MINUTE = Window(name="hour", size_ms=3_600_000), Window(name="minute", size_ms=60_000)
ACCURACY = Check(alert="Accuracy", metric="accuracy", window="minute", warn=LIMIT)
SILENT = Check(alert="Silent", metric="rows", method="absent", for_ms=60_000)
SHIFT = Check(
    alert="Shift",
    metric="feature.*",
    method="page_hinkley",
    keep_firing_for_ms=30_000,
)


def watched(*parts, min_rows=20, **facts):
    """A definition of these windows and checks; an hour and a day where nothing else is said."""
    usual = {"task": "binary", "label_horizon_ms": 86_400_000, "restate_every_ms": 86_400_000}
    return Definition(
        model=ModelFacts(label_delay_ms=10_000, **usual | facts),
        reference=Reference(min_rows=min_rows),
        windows=[one for one in parts if isinstance(one, Window)] or [HOUR],
        checks=[one for one in parts if isinstance(one, Check)],
    )


def redefined(at_s, **watches):
    """The definition is another one from here on."""
    change = MonitorChange(model="team/model", definition=watched(**watches))
    return raw_event(change, time_ms=START_MS + 1_000 * at_s)


def places(first, end):
    """Batches of one channel, of another country from the 30th on."""
    words = [{"country": ["DE" if at < 30 else "FR"] * 10} for at in range(first, end)]
    channels = {"channel": ["web"] * 10}
    return [batch(at, segments=one | channels) for at, one in enumerate(words, first)]


JUMP, FAR = {"first_ms": 120_000}, {"first_ms": 3_600_000}


def shifting(at):
    """Rows of two features that spread a little; `b` moves two batches before `a`."""
    draw = Random(at)
    moved = {"a": 26 <= at < 36, "b": 24 <= at < 34}
    values = {name: [draw.gauss(9.0 * far, 0.1) for _ in range(10)] for name, far in moved.items()}
    return batch(at, numeric=values)


def countries(at):
    """Of two values one is new every fifty batches."""
    new = f"new in {at // 50}" if at > 20 else "DE"
    return batch(at, segments={"country": ["DE"] * 4 + ["FR"] * 3 + [new] * 3})


def classes(at):
    """Scores of three classes, of the third from the 20th batch on."""
    third = [float("nan") if at < 20 else 0.1] * 10
    scores = {"x": [0.5] * 10, "y": [0.4] * 10, "z": third}
    return batch(at, score=scores, prediction=["x"] * 10)


def vectors(at):
    """Vectors of two numbers, one of ten missing, for some batches of three, for others none."""
    draw, dim = Random(at), {20: 3, 21: 3, 40: 0, 41: 0}.get(at, 2)
    found = [[draw.gauss(at / 30, 1.0) for _ in range(dim)] for _ in range(10)]
    found[at % 10] = [float("nan")] * dim
    return batch(at, embedding=found if dim else None)


def moving(definition):
    """The same with a reference that moves along each minute."""
    asked = msgspec.structs.replace(definition.reference, last_ms=7 * 60_000)
    return msgspec.structs.replace(definition, reference=asked)


SCENES = {
    "plain": (plain(), watched()),
    "a full join": (plain(), watched(pending_max_bytes=2_000)),
    "early labels": ([*plain(5), labels(30, 10), *plain(60, 5)], watched()),
    "ids again": (
        changed(plain(), at_10=batch(10, again(0)), at_50=batch(50, again(1, 40))),
        watched(label_horizon_ms=40_000),
    ),
    "a batch again": (changed(plain(), at_40=batch(35)), watched()),
    "other features": (
        changed(plain(), at_30=batch(30, numeric={"a": [1.0] * 10, "b": [2.0] * 10})),
        watched(),
    ),
    "failures": (changed(plain(), at_30=batch(30, error=["timed out", *[None] * 9])), watched()),
    "a version": (changed(plain(), at_30=batch(30, version="2")), watched()),
    "windows of time": ([*plain(), *plain(90, 60, **JUMP)], watched(MINUTE)),
    "rows too late": (changed(plain(), at_50=batch(0, again(0))), watched(MINUTE)),
    "an older pane opens later": (
        [*plain(30), *plain(91, 82), batch(55), *plain(120, 91)],
        watched(
            Window(name="slide", size_ms=400_000, step_ms=40_000, grace_ms=20_000),
            label_horizon_ms=86_390_000,  # so that nothing is swept as a pane opens
        ),
    ),
    "a clock ahead": (changed(plain(), at_40=batch(41, **FAR)), watched(MINUTE)),
    "windows of rows": (plain(), watched(Window(name="batch", rows=115))),
    "ticks": ([*plain(40), tick(119), *plain(60, 40)], watched(MINUTE)),
    "silence": ([*plain(30), tick(200), *plain(60, 30, first_ms=200_000)], watched(HOUR, SILENT)),
    "a restatement": (
        [*plain(50), labels(25, 100), *plain(80, 50)],
        watched(MINUTE, ACCURACY, restate_every_ms=25_000, label_wait_ms=3_600_000),
    ),
    "no labels": (plain(80), watched(MINUTE, ACCURACY, label_wait_ms=70_000)),
    "old windows": (plain(90), watched(MINUTE, ACCURACY, label_horizon_ms=40_000)),
    "detections": ([shifting(at) for at in range(60)], watched(SHIFT)),
    "segments without a place": (
        [countries(at) for at in range(200)],
        watched(segments=["country"], segments_max=2),
    ),
    "a segment column less": (
        [*places(0, 25), redefined(50, segments=["country"], min_rows=400), *places(25, 60)],
        watched(segments=["country", "channel"], min_rows=400),
    ),
    "vectors of other sizes": ([vectors(at) for at in range(60)], watched()),
    "vectors by minutes": ([vectors(at) for at in range(90)], watched(MINUTE, MINUTES)),
    "vectors that a moving reference lacks": (
        [vectors(at) if at > 25 else batch(at) for at in range(90)],
        moving(watched(MINUTE)),
    ),
    "a class more": ([classes(at) for at in range(60)], watched(task="multiclass")),
}


@pytest.mark.parametrize(("records", "definition"), SCENES.values(), ids=SCENES.keys())
def test_what_happens_between_two_batches_does_not_show(records, definition, together):
    """Whatever is due between batches, or makes them unlike: a run, wherever it is cut, gives what
    its records give one by one.
    """
    records = [msgspec.structs.replace(raw, offset=at) for at, raw in enumerate(records)]
    single, expected = fold(records, lambda _: definition, 1, Random(0))
    for seed in range(5):
        found, outputs = fold(records, lambda _: definition, 30, Random(seed))
        assert by_key(outputs) == by_key(expected)
        assert found.counts == single.counts
        assert state_bytes(found) == state_bytes(single)
    assert max(together) > 8
