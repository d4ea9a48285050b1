"""Heavy values get the places of light ones in the fold: alerts end, codes name one value, nothing
is lost, and neither batches nor cuts show.
"""

from random import Random

import msgspec
import numpy as np
import pytest

from inferwatch.core import places, snapshot
from inferwatch.core.columns import OTHER
from inferwatch.core.fold import Partition
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.events import MonitorChange
from inferwatch.testing.folding import Log, alert_records

MINUTE, HOUR = 60_000, 3_600_000
PLACES = 3
STRETCH = places.STRETCH_ROWS * PLACES
MODEL = "team/model"


@pytest.fixture(autouse=True)
def _short_weeks(monkeypatch):
    """What was counted weighs half after two minutes, so that values come and go quickly."""
    monkeypatch.setattr(places, "WEEK_MS", 2 * MINUTE)


def definition(**facts):
    """Windows of a minute and of 50 rows, errors and right answers watched by country."""
    wrong = Limit(direction="above", value=0.5, clear=0.5)
    low = Limit(direction="below", value=0.5, clear=0.5)
    return Definition(
        model=ModelFacts(
            task="binary",
            segments=["country"],
            segments_max=PLACES,
            label_delay_ms=MINUTE,
            label_wait_ms=MINUTE,
            label_horizon_ms=2 * MINUTE,
            restate_every_ms=MINUTE,
            **facts,
        ),
        reference=Reference(min_rows=60),
        windows=[Window(name="minute", size_ms=MINUTE, grace_ms=0), Window(name="rows", rows=50)],
        checks=[
            Check(
                alert="Wrong",
                metric="error_rate",
                window="minute",
                segment_by=["country"],
                fail=wrong,
            ),
            Check(
                alert="Low",
                metric="accuracy",
                window="rows",
                segment_by=["country"],
                fail=low,
                need=Need(labels=2),
            ),
        ],
    )


def draws(rows, seed, drift=1.0):
    """Countries whose heaviest are others every so often."""
    draw = Random(seed)
    shares = [2.0**-rank for rank in range(12)]
    return [
        f"c{draw.choices(range(12), shares)[0] + int(row * drift / 400) * 3}" for row in range(rows)
    ]


def rows_of(log, words, at_ms, every_ms=1_000, **columns):
    """A batch with a row a second."""
    times = [at_ms + row * every_ms for row in range(len(words))]
    n = len(words)
    log.rows(n, times, segments={"country": words}, score=[0.9] * n, prediction=[1] * n, **columns)


def state_of(log):
    """The model's state."""
    return log.partition.models[MODEL].state


def run(words, batch, labelled=True):
    """A log of these words in batches; labels come ten batches of ten rows later, as they are."""
    log = Log(definition())
    for start in range(0, len(words), 10):
        for first in range(start, start + 10, batch):
            part = words[first : min(first + batch, start + 10)]
            errors = ["x" if word in ("c0", "c4") else None for word in part]
            rows_of(log, part, first * 1_000, error=errors)
        if labelled and start >= 50:
            ids = [str(row) for row in range(start - 50, start - 40)]
            log.labels(ids, [int(row[-1] != "7") for row in ids], (start + 9) * 1_000)
    return log


def found_in(log):
    """What was published and told, without the offsets of records."""
    names = ("first_offset", "last_offset", "first_bad")
    found = []
    for output in log.outputs:
        body = msgspec.json.decode(output.value)
        found.append({name: value for name, value in body.items() if name not in names})
    return found


def test_heavy_values_that_come_after_the_places_are_taken_get_them():
    """Their windows are their own from then on; rows before count under `__other__`, none twice."""
    log = Log(definition())
    rows_of(log, ["first", "second", "third"], 0)
    for minute in range(1, 10):
        rows_of(log, ["DE", "FR", "IT"] * 20, minute * MINUTE)
    assert sorted(state_of(log).columns.places["country"].taken) == ["DE", "FR", "IT"]
    log.tick(20 * MINUTE)
    last = {
        w.segment: w.rows for w in log.windows("minute", None) if w.window.start == last_start(log)
    }
    assert last == {"": 60, "country=DE": 20, "country=FR": 20, "country=IT": 20}
    whole = sum(w.rows for w in log.windows("minute") if not w.revision)
    parts = sum(w.rows for w in log.windows("minute", None) if w.segment and not w.revision)
    assert whole == parts == 3 + 9 * 60


def last_start(log):
    """Of the last minute with rows."""
    return log.start_ms + 9 * MINUTE


def test_alerts_of_a_value_that_loses_its_place_end_at_once():
    """By `segment_gone`, at the watermark of the row that decided, and do not come again."""
    log = Log(definition())
    rows_of(log, ["bad"] * 3 + ["second", "third"], 0, error=["x"] * 3 + [None] * 2)
    rows_of(log, ["second"], MINUTE)
    assert [(a.segment, a.condition) for a in log.alerts()] == [("country=bad", "firing")]
    for minute in range(2, 8):
        words = ["DE", "FR", "IT"] * 19 + ["bad"]
        rows_of(log, words, minute * MINUTE, error=[None] * 57 + ["x"])
    ended = log.alerts()[1]
    assert (ended.segment, ended.condition, ended.reason) == ("country=bad", "ok", "segment_gone")
    assert ended.at_ms == log.start_ms + 3 * MINUTE + (STRETCH - 58 - 1) * 1_000
    assert [a.segment for a in log.alerts()[2:]] == [f"country={OTHER}"]  # its rows are there now
    track = state_of(log).tracks["minute"]["1"]
    assert not [key for key in track.series if key.startswith("country=bad")]


def test_a_code_names_one_value_for_as_long_as_anything_names_it():
    """Codes of predictions mean the value their rows had, or `__other__`; of 36 values that came
    and went the list has those with places, before them, and of windows that are still there.
    """
    words = draws(4_000, 1)
    log = run(words, 10)
    state = state_of(log)
    known = state.columns.segments["country"]
    named = set()
    for slab in state.pending.slabs.values():
        for row, code in zip(slab.row.tolist(), slab.segments["country"].tolist(), strict=True):
            assert known[code] in (words[row], OTHER)
            named.add(code)
    assert len(named) > 1
    assert len(known) == len(set(known)) <= 4 * PLACES + 1
    assert len({*words}) > 2 * len(known)
    column = state.columns.places["country"]
    assert len(column.taken) == PLACES and len(column.former) <= PLACES
    assert all(known[code] == value for value, code in column.taken.items())


def test_windows_of_a_segment_hold_its_own_rows_alone():
    """No segment of a window of rows has more rows than its value has there."""
    words = draws(3_000, 2)
    log = run(words, 10)
    segments = set()
    for window in log.windows("rows", None):
        if window.revision or window.segment in ("", f"country={OTHER}"):
            continue
        segments.add(window.segment)
        held = words[window.window.start : window.window.end]
        assert window.rows <= held.count(window.segment.removeprefix("country="))
    assert len(segments) > 3 * PLACES


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_the_way_rows_were_batched_does_not_show(batch):
    """Batches of one row give what batches of ten give, whoever gets and loses places in them."""
    words = draws(1_500, 3)
    expected, found = run(words, 10), run(words, batch)
    assert found_in(found) == found_in(expected)
    gone = [alert for alert in expected.alerts() if alert.reason == "segment_gone"]
    assert gone
    assert state_of(found).columns.places == state_of(expected).columns.places


def test_large_batches_are_cut_where_places_change():
    """Four hundred rows in one batch, over several decisions and windows, as in batches of one."""
    words = draws(1_200, 4)
    outputs = []
    for batch in (1, 400):
        log = Log(definition())
        for first in range(0, len(words), batch):
            part = words[first : first + batch]
            errors = ["x" if word in ("c0", "c4", "c8") else None for word in part]
            rows_of(log, part, first * 1_000, error=errors)
        outputs.append(found_in(log))
    assert outputs[0] == outputs[1]
    assert any(output.get("reason") == "segment_gone" for output in outputs[0])


def test_a_state_cut_anywhere_goes_on_as_if_it_had_not_been():
    """Written and read after every record: the same outputs, the same bytes."""
    words = draws(900, 5)
    whole, chain = Log(definition()), Log(definition())
    for first in range(0, len(words), 30):
        for log in (whole, chain):
            rows_of(log, words[first : first + 30], first * 1_000)
        pieces = snapshot.cut(chain.partition.models[MODEL])
        assert pieces == snapshot.cut(whole.partition.models[MODEL])
        chain.partition = Partition(0)
        chain.partition.restore(pieces)
    assert whole.outputs == chain.outputs
    assert len(state_of(whole).columns.places["country"].counters.most) > PLACES


def test_a_state_from_before_places_changed_goes_on():
    """A full dictionary without counters begins to count with the next row that finds no place."""
    log = Log(definition())
    rows_of(log, ["first", "second", "third", "fourth"], 0)
    pieces = snapshot.cut(log.partition.models[MODEL])
    head = msgspec.msgpack.decode(pieces["head"])
    del head["columns"]["places"]
    log.partition = Partition(0)
    log.partition.restore(pieces | {"head": msgspec.msgpack.encode(head)})
    for minute in range(1, 4):
        rows_of(log, ["DE", "FR", "IT"] * 20, minute * MINUTE)
    assert sorted(state_of(log).columns.places["country"].taken) == ["DE", "FR", "IT"]


def test_values_that_all_find_a_place_are_not_counted():
    """A dictionary that is not full costs nothing: no counters, no cuts."""
    log = Log(definition())
    for minute in range(4):
        rows_of(log, ["DE", "FR", "IT"] * 20, minute * MINUTE)
    assert state_of(log).columns.places == {}


def test_rows_beyond_the_places_are_counted_once():
    """What the overflow metric tells is the rows of `__other__`, displaced values' among them."""
    words = draws(1_000, 6)
    log = run(words, 10, labelled=False)
    log.tick(HOUR)
    others = [w for w in log.windows("minute", f"country={OTHER}") if not w.revision]
    assert state_of(log).columns.capped["segments"] == sum(window.rows for window in others)


def test_a_value_that_comes_back_takes_its_code_again():
    """While its old code still names it, there are not two of it."""
    log = Log(definition())
    rows_of(log, ["A", "B", "C"], 0, every_ms=1)
    at = 100
    for words in (["X", "Y", "Z"], ["A", "B", "C"]) * 3:
        for _ in range(12):
            rows_of(log, words * 20, at, every_ms=1)
            at += 100
    known = state_of(log).columns.segments["country"]
    assert len(known) == len(set(known)) == 2 * PLACES + 1
    assert np.all([known.count(name) == 1 for name in "ABCXYZ"])


@pytest.mark.parametrize("size", [1, 5, 50])
def test_the_word_for_all_others_is_no_value(size):
    """A row that says `__other__` itself takes no place and begins no counting: two values have
    the two places that there are, however the rows were batched.
    """
    words = [OTHER] * 10 + ["FR"] * 20 + ["DE"] * 20
    log = Log(
        Definition(
            model=ModelFacts(task="binary", segments=["country"], segments_max=2),
            windows=[Window(name="rows", rows=50)],
        )
    )
    for first in range(0, 50, size):
        part = words[first : first + size]
        log.rows(len(part), 1_000, prediction=[1.0] * len(part), segments={"country": part})
    found = {window.segment: window.rows for window in log.windows("rows", None)}
    assert found == {"": 50, "country=FR": 20, "country=DE": 20}
    assert not log.partition.models[MODEL].state.columns.places


@pytest.mark.parametrize("others", [1, 6])
def test_places_that_a_changed_definition_gives_no_more_are_taken_away(others):
    """The heaviest value keeps its place, or the first to come where none was counted; alerts of
    the rest end, and what comes of it is `__other__` from then on.
    """
    log, words = Log(definition()), ["DE", "FR", *(f"o{number}" for number in range(others))]
    for minute in range(3):
        column = ["DE"] * 40 + words
        log.rows(
            len(column),
            minute * MINUTE,
            segments={"country": column},
            error=["Failed"] * len(column),
        )
    assert {alert.segment for alert in log.alerts("Wrong")} >= {"country=DE", "country=FR"}
    facts = msgspec.structs.replace(log.definition.model, segments_max=1)
    changed = msgspec.structs.replace(log.definition, model=facts)
    told = alert_records(log.event(MonitorChange(model=MODEL, definition=changed), 3 * MINUTE))
    assert ("country=FR", "ok", "segment_gone") in {
        (alert.segment, alert.condition, alert.reason) for alert in told
    }
    assert "country=DE" not in {alert.segment for alert in told}
    log.rows(len(column), 3 * MINUTE, segments={"country": column})
    log.tick(5 * MINUTE)
    newest = [
        one for one in log.windows("minute", None) if one.window.start >= log.start_ms + 3 * MINUTE
    ]
    rows = {one.segment: one.rows for one in newest}
    assert rows == {"": 42 + others, "country=DE": 41, "country=__other__": 1 + others}
    pieces = snapshot.cut(log.partition.models[MODEL])
    assert snapshot.cut(snapshot.load(pieces)) == pieces
