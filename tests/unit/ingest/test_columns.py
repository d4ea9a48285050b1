"""A packed batch says what the single events say one by one."""

import json
import math
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from inferwatch.ingest import plain
from inferwatch.ingest.groups import BODY_MAX_BYTES, COLUMNS_MAX, ROWS_MAX, Group, Source, fullest
from inferwatch.records.batch import CALL_NUMBERS
from inferwatch.records.decode import decode
from inferwatch.records.raw import MSGPACK, RawRecord, headers
from inferwatch.records.rows import Rows, Words
from inferwatch.testing.builders import TIME_MS

MODEL = "team/model"
WORDS = ["de", "fr", "", "größer", "1"]


def call(draw):
    """What a call of a language model used, or some of it."""
    whole = {
        "input_tokens": draw.randint(0, 9_000),
        "output_tokens": draw.choice([0, 17, None]),
        "time_to_first_token_ms": draw.uniform(0, 900),
        "cost": draw.random(),
        "finish_reason": draw.choice(["stop", "length", None]),
    }
    return {name: value for name, value in whole.items() if draw.random() < 0.7}


def inference_event(draw, number):
    """An answer with any of what an event may have."""
    some = {
        "latency_ms": draw.uniform(0, 90),
        "error": draw.choice(["timeout", "oom"]),
        "entity_id": f"e{number % 3}",
        "instance": draw.choice(["a", "b"]),
        "segments": {"country": draw.choice([*WORDS, None]), "tier": draw.choice(WORDS)},
        "scores": {name: draw.random() for name in draw.sample("abc", 2)},
        "proba": draw.random(),
        "prediction": draw.choice([0, 1, 1.5, True, None]),
        "llm": draw.choice([None, {}, call(draw), call(draw)]),
        "embedding": draw.choice([None, [0.5, -2, 1e-3], [draw.random(), 1e300, 0], [0, 1, 0.1]]),
    }
    features = {
        "amount": draw.uniform(-9, 9),
        "count": draw.randint(-(1 << 62), 1 << 62),
        "flag": draw.random() < 0.5,
        "word": draw.choice(WORDS),
        "mixed": draw.choice([1, 2.5, "x", True, None]),
        "none": None,
        "huge": draw.choice([1e300, -1e300]),
    }
    times = [TIME_MS + number, f"2026-01-01T00:00:{number % 60:02}+01:00"]
    return {
        "model": MODEL,
        "version": "7",
        "prediction_id": f"ä{number}",
        "timestamp": draw.choice(times),
        "features": {name: value for name, value in features.items() if draw.random() < 0.7},
        **{name: value for name, value in some.items() if draw.random() < 0.6},
    }


def label_event(draw, number):
    """A truth."""
    label = draw.choice([0, 1, True, 2.5])
    return {"model": MODEL, "prediction_id": f"p{number}", "label": label, "timestamp": TIME_MS}


def alone(said):
    """What the fold reads of the event itself."""
    found = decode(RawRecord("", 0, 0, TIME_MS, MODEL.encode(), json.dumps(said).encode()))
    assert not found.rejects
    return found.record


class Message(NamedTuple):
    """What a client hands over."""

    at: int
    body: bytes

    def offset(self):
        """Of the source."""
        return self.at

    def value(self):
        """As it came."""
        return self.body

    def headers(self):
        """None."""


def moved(bodies):
    """What the fold reads of the batches that bodies three offsets apart become."""
    source, groups, found = Source("orders", 3), [], []
    for number, body in enumerate(bodies):
        event = plain.read(None, body)
        read = (event, body) if event is not None else plain.carefully(None, body)
        full = source.add(*read, Message(40 + 3 * number, body), 0.0)
        groups += [full] if full else []
    for group in [*groups, *source.due(0.0)]:
        word = "label" if isinstance(group.events[0], plain.Label) else "inference"
        described = headers(word, id="", source="", time="", content_type=MSGPACK)
        for made in group.batches(source.emitter):
            assert len(made.body) <= BODY_MAX_BYTES
            raw = RawRecord("", 0, 0, TIME_MS, MODEL.encode(), made.body, described)
            decoded = decode(raw)
            assert not decoded.rejects and decoded.record.n == made.rows
            found.append(decoded.record)
    return found


def packed(events):
    """The events, moved."""
    return moved([json.dumps(said).encode() for said in events])


def number_of(column, at):
    """A number of a row, None where it is missing."""
    value = None if column is None else float(column[at])
    return None if value is None or math.isnan(value) else value


def word_of(column, at):
    """A word of a row, None where it is missing."""
    return None if column is None or column.codes[at] < 0 else column.words[column.codes[at]]


def answer_of(column, at):
    """An answer as its class."""
    return word_of(column, at) if isinstance(column, Words) else number_of(column, at)


def said_of(rows, at):
    """Everything that one row says, without what is missing."""
    found = {"id": rows.ids[at], "time": int(rows.time_ms[at])}
    if not isinstance(rows, Rows):
        return found | {"label": answer_of(rows.label, at)}
    for place, name in enumerate(rows.numeric_names):
        found["number", name] = number_of(rows.numeric[place], at)
    for place, name in enumerate(rows.score_names):
        found["score", name] = number_of(rows.scores[place], at)
    for kind, named in (("word", rows.categories), ("segment", rows.segments)):
        for name, column in named.items():
            found[kind, name] = word_of(column, at)
    latency_ms = number_of(rows.latency_ms, at)
    found["latency"] = None if latency_ms is None else np.float32(latency_ms)
    found["error"] = word_of(rows.error, at)
    found["entity"] = rows.entity[at] if rows.entity and rows.entity[at] else None
    found["prediction"] = answer_of(rows.prediction, at)
    if rows.llm is not None:
        for place, name in enumerate(CALL_NUMBERS):
            number = number_of(rows.llm.numbers[place], at)
            found[name] = None if number is None else np.float32(number)
        found["finish"] = word_of(rows.llm.finish_reason, at)
    if rows.embedding is not None and not np.isnan(rows.embedding[at]).any():
        found["embedding"] = rows.embedding[at].tolist()
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("make", [inference_event, label_event])
def test_a_batch_says_what_its_events_say_one_by_one(make, seed):
    """Numbers, words, columns of both, scores, segments, latency, errors, entities, times, ids and
    labels of every row, with all that may be missing.
    """
    draw = Random(seed)
    events = [make(draw, number) for number in range(draw.choice([1, 2, 60]))]
    (rows,) = packed(events)
    assert rows.emitter == "orders/3"
    assert rows.source_offsets.tolist() == [40 + 3 * at for at in range(len(events))]
    assert [said_of(rows, at) for at in range(rows.n)] == [said_of(alone(e), 0) for e in events]


def test_numbers_among_words_are_the_words_of_their_classes():
    """1, 1.0 and true are the class 1, as where numbers stand alone."""
    draw = Random(0)
    answers = ["cat", 1, 1.0, True, 2.5, None, "1"]
    events = [inference_event(draw, at) | {"prediction": one} for at, one in enumerate(answers)]
    (rows,) = packed(events)
    told = [word_of(rows.prediction, at) for at in range(rows.n)]
    assert told == ["cat", "1", "1", "1", "2.5", None, "1"]


def test_a_batch_has_at_most_500_rows_and_keeps_their_order():
    """Whatever came, in pieces, each offset once."""
    draw = Random(1)
    found = packed([label_event(draw, at) for at in range(2 * ROWS_MAX + 7)])
    assert [rows.n for rows in found] == [ROWS_MAX, ROWS_MAX, 7]
    offsets = np.concatenate([rows.source_offsets for rows in found]).tolist()
    assert offsets == [40 + 3 * at for at in range(2 * ROWS_MAX + 7)]


def test_wide_rows_become_smaller_batches():
    """Rows that share no feature fill columns, not memory; every batch is below its limit."""
    base = inference_event(Random(2), 0)
    events = [base | {"features": {f"{at}-{name}": 1.0 for name in range(400)}} for at in range(12)]
    found = packed(events)
    assert sum(rows.n for rows in found) == 12
    assert all(len(rows.numeric_names) <= COLUMNS_MAX for rows in found)
    long = [base | {"prediction_id": f"{at:08000}"} for at in range(60)]
    assert sum(rows.n for rows in packed(long)) == 60


def test_vectors_of_other_sizes_become_other_batches():
    """A batch has vectors of one size; rows keep theirs, or their lack of one, and their order."""
    sizes = [3, 3, None, 2, 2, None, None, 3]
    base = inference_event(Random(3), 0)
    events = [
        base | {"embedding": None if size is None else [float(at)] * size}
        for at, size in enumerate(sizes)
    ]
    found = packed(events)
    offsets = np.concatenate([rows.source_offsets for rows in found]).tolist()
    assert offsets == [40 + 3 * at for at in range(len(sizes))]
    told = [said_of(rows, at) for rows in found for at in range(rows.n)]
    assert told == [said_of(alone(one), 0) for one in events]
    assert [one.get("embedding") for one in told] == [one["embedding"] for one in events]


def test_long_vectors_become_smaller_batches():
    """Rows of a thousand numbers are cut into batches that stay below their limit."""
    base = inference_event(Random(4), 0)
    found = packed([base | {"embedding": [0.1] * 1_000} for _ in range(120)])
    assert sum(rows.n for rows in found) == 120 and len(found) > 2


def test_an_offset_is_settled_when_all_below_it_is_acknowledged():
    """Open groups and records on their way hold the commit back, in any order of answers."""
    source = Source("orders", 0)
    body = json.dumps(label_event(Random(4), 0)).encode()
    event = plain.read(None, body)
    assert source.settled() == -1
    assert source.add(event, body, Message(5, body), 1.0) is None
    source.position = 9
    assert source.settled() == 5
    assert list(source.due(0.5)) == []
    (closed,) = source.due(1.0)
    assert isinstance(closed, Group)
    first, second = source.sends(5), source.sends(7)
    source.acknowledged(second)
    assert source.settled() == 5
    source.acknowledged(first)
    assert source.settled() == 9


def test_room_is_made_by_the_fullest_groups():
    """They go largest first until enough is closed, of whichever source; the others stay open."""
    sources = [Source("orders", 0), Source("orders", 1)]
    body = json.dumps(label_event(Random(4), 0)).encode()
    event = plain.read(None, body)
    rows = {("a", 0): 2, ("b", 0): 7, ("a", 1): 9, ("b", 1): 1}
    for (model, number), n in rows.items():
        mine = msgspec.structs.replace(event, model=model)
        for offset in range(n):
            sources[number].add(mine, body, Message(offset, body), 1.0)
    assert [source.open_bytes for source in sources] == [9 * len(body), 10 * len(body)]
    closed = list(fullest(sources, 10 * len(body)))
    assert [(source.emitter, len(group.events)) for source, group in closed] == [
        ("orders/1", 9),
        ("orders/0", 7),
    ]
    assert [len(group.events) for source in sources for group in source.groups.values()] == [2, 1]
