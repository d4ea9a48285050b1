"""What is read plainly is what the careful reader reads, and nothing that he would refuse."""

import json
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.ingest import columns, plain
from inferwatch.ingest.groups import Batch, Source
from inferwatch.records import batch, bounds, single
from inferwatch.testing.builders import TIME_MS

HEAD = {"model": "team/model", "version": "1", "prediction_id": "a", "timestamp": TIME_MS}
LABEL = {"model": "team/model", "prediction_id": "a", "timestamp": TIME_MS, "label": 1}
WIDE = 2_000
edges = st.sampled_from(
    [2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**40, 1e300, -0.0, 5e-324]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"', "\\", '\\"', ":", '":"', "model", "x" * 8_200]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | edges | texts
names = st.sampled_from(["a", "b", "label", "features"]) | texts
fields = st.fixed_dictionaries(
    {},
    optional={
        "features": st.dictionaries(names, scalars, max_size=4) | st.none() | st.just([]),
        "prediction": scalars,
        "proba": st.floats() | edges | st.none() | texts,
        "scores": st.dictionaries(names, st.floats() | edges, max_size=3),
        "latency_ms": st.floats() | edges | st.none() | st.booleans(),
        "error": st.none() | texts,
        "segments": st.dictionaries(names, st.none() | texts, max_size=3),
        "entity_id": st.none() | texts,
        "instance": texts | st.none(),
        "llm": st.none()
        | st.just([])
        | st.dictionaries(
            st.sampled_from([*batch.CALL_NUMBERS, batch.FINISH_REASON, "more"]), scalars, max_size=4
        ),
        "embedding": st.none() | texts | st.lists(st.floats() | edges | st.none(), max_size=3),
        "timestamp": st.sampled_from(
            [TIME_MS, 5, "2026-01-01T00:00:00Z", "2026-01-01", "soon", 1.5, 10**30, 2**62, True]
        ),
        "prediction_id": texts,
        "version": texts | st.none(),
        "model": st.sampled_from(["team/model", "no name!", "", "m" * 256, 7]),
        "label": scalars,
        "more": st.just({"deep": [1, {"a": None}]}),
    },
)
TOKENS = st.sampled_from(
    [
        *(b'"a":1,', b'"features":{},', b'"\\u0061":2,', b'"model":"x",', b'"version":"1",'),
        *(b'"prediction_id":"",', b"NaN", b"1e999", b"0", b'"', b"\\", b"\xff", b" ", b"{", b"}"),
        b"\xef\xbb\xbf",
    ]
)


@st.composite
def bodies(draw):
    """An event or label, good or odd, of any writer; at times with bytes put in anywhere."""
    said = draw(st.sampled_from([HEAD, LABEL])) | draw(fields)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
    ascii_only = draw(st.booleans())
    body = json.dumps(said, ensure_ascii=ascii_only, separators=separators).encode()
    for token in draw(st.lists(TOKENS, max_size=2)):
        places = [at for at in range(len(body)) if body[at : at + 1] in b'"{},']
        place = draw(st.sampled_from(places))
        body = body[:place] + token + body[place:]
    return body


def packed(table):
    """The bytes of the batch."""
    return batch.encode(columns.packed(table, list(range(table.n)), "orders/0"))


def key(event):
    """What rows of one batch share."""
    return type(event), event.model, event.version or None


@settings(max_examples=1_500, deadline=None)
@given(st.lists(bodies(), min_size=1, max_size=3))
def test_what_is_held_plainly_is_what_is_read_carefully(given_):
    """Any events of one kind, good and odd, by themselves and together: a table that holds has the
    bytes of the batch that the careful reader's events become; it never holds what he refuses.
    """
    read = [(plain.read(None, body), body) for body in given_]
    first = next((event for event, _ in read if event is not None), None)
    rows = [(event, body) for event, body in read if event and key(event) == key(first)]
    for some in [[row] for row in rows] + ([rows] if len(rows) > 1 else []):
        events, raw = zip(*some, strict=True)
        try:
            table = plain.Table(events, WIDE)
        except plain.UNREADABLE:
            continue
        if table.holds(raw):
            careful = [plain.carefully(None, body) for body in raw]
            assert None not in careful
            assert packed(table) == packed(plain.Table([one for one, _ in careful], WIDE))


def event(**more):
    """A body."""
    return json.dumps(HEAD | more, ensure_ascii=False).encode()


GOOD = [
    event(),
    event(features={"a": 1.5, "b": -2, "word": "größer", "flag": True, "none": None}),
    event(features={"a": 1e300}, scores={"x": 0.5, "y": 1}, segments={"s": "de", "t": None}),
    event(proba=0.5, prediction=2**63 - 1, latency_ms=3, error=None, entity_id="e", instance="i"),
    event(timestamp="2026-01-01T00:00:00+01:00", prediction="cat", error="ValueError: x"),
    event(llm={"input_tokens": 9, "cost": 0.5, "finish_reason": "stop", "output_tokens": None}),
    event(llm=None),
    b" " + event(features={"\\u00fc": 1}).replace(b"\\\\", b"\\") + b"\n",
]


@pytest.mark.parametrize("body", GOOD)
def test_ordinary_events_need_no_careful_reading(body):
    """Alone and 500 together; else the table would prove nothing and all would be slow."""
    events = [plain.read(None, body)] * 500
    assert plain.Table(events[:1], WIDE).holds([body])
    assert plain.Table(events, WIDE).holds([body] * 500)


BAD = [
    event(features={"a": 1, "b": 2}).replace(b'"b"', b'"a"'),
    event(features={"a": "x", "b": 1}).replace(b'"b"', b'"a"'),
    event(features={"a": 1, "b": 2}).replace(b'"b"', b'"\\u0061"'),
    event(segments={"a": "x", "b": "y"}).replace(b'"b"', b'"a"'),
    event(error=None).replace(b'"error"', b'"version"'),
    event(instance="2").replace(b'"instance"', b'"version"'),
    event(features={"a": 2**63}),
    event(features={"a": 0.5, "b": -(2**63) - 1}),
    *(event(**{name: 2**64}) for name in ("prediction", "proba", "latency_ms")),
    event(scores={"a": 2**63}),
    event(features={"a": "x" * 8_193}),
    event(features=dict.fromkeys("ab", 1), segments={str(name): "" for name in range(511)}),
    *(event(timestamp=wrong) for wrong in (5, 2**62, "soon", "2026-01-01T00:00:00")),
    *(event(**{name: ""}) for name in ("model", "version", "prediction_id")),
    event(model="no name!"),
    event(instance="x" * 257),
    event(latency_ms=1e300),
    event(llm={"cost": 1e300}),
    event(llm={"cost": 2**64}),
    event(llm={"cost": "much"}),
    event(llm={"finish_reason": 7}),
    event(llm=[]),
    event(features=[]),
    event(features=None),
]


@pytest.mark.parametrize("body", BAD)
def test_what_must_be_refused_is_refused_alone_and_among_others(body):
    """It comes back as the message that it was, and the rows around it are moved."""
    assert plain.carefully(None, body) is None
    source = Source("orders", 0)
    for place, one in enumerate([GOOD[1], body, GOOD[3]]):
        seen = plain.read(None, one)
        if seen is not None:
            source.add(seen, one, Told(place, one), 0.0)
    found = [one for group in source.due(0.0) for one in group.batches("orders/0")]
    made = [one for one in found if isinstance(one, Batch)]
    refused = [one.offset() for one in found if not isinstance(one, Batch)]
    assert refused == ([] if plain.read(None, body) is None else [1])
    assert sum(one.rows for one in made) == 2
    assert made == sorted(made, key=lambda one: one.first)


class Told(msgspec.Struct):
    """A message."""

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


@pytest.mark.parametrize(
    ("described", "kind"),
    [
        (None, plain.Inference),
        ([], plain.Inference),
        ([("trace", b"7"), ("content-type", b"application/json")], plain.Inference),
        ([("ce_type", b"io.inferwatch.inference.v1")], plain.Inference),
        ([("ce_type", b"io.inferwatch.label.v1")], None),
        ([("ce_type", b"io.inferwatch.deploy.v1")], None),
        ([("ce_type", b"io.inferwatch.inference.v2")], None),
        ([("ce_type", None)], None),
        ([("ce_type", b"")], None),
        ([("content-type", b"application/msgpack")], None),
        ([("content-type", b"application/json; charset=utf-8")], None),
    ],
)
def test_headers_decide_what_is_read_plainly(described, kind):
    """A type that is no event's, or unusual in any way, is left to the careful reader."""
    found = plain.read(described, GOOD[0])
    assert found is None if kind is None else isinstance(found, kind)
    assert plain.read(described, None) is plain.read(described, b"") is None


def test_a_label_is_read_plainly_with_a_type_and_without():
    """And with a label among an answer's fields, the careful reader decides."""
    body = json.dumps(LABEL).encode()
    for described in (None, [("ce_type", b"io.inferwatch.label.v1")]):
        assert isinstance(plain.read(described, body), plain.Label)
    assert plain.read([("ce_type", b"io.inferwatch.inference.v1")], body) is None
    assert plain.read(None, event(label=1, features={})) is None


@pytest.mark.parametrize(
    ("described", "body"),
    [
        ([("content-type", b"application/msgpack")], b"\x80"),
        ([("ce_type", b"io.inferwatch.deploy.v1")], b"{}"),
        ([("ce_type", b"io.inferwatch.tick.v1")], b"{}"),
        (None, None),
    ],
)
def test_other_records_are_no_events(described, body):
    """Batches, deploys, ticks and tombstones are nothing to pack."""
    assert plain.read(described, body) is plain.carefully(described, body) is None


def test_what_is_read_plainly_has_the_fields_of_an_event():
    """In their order; a new field of an event is one here."""
    for ours, theirs in (
        (plain.Inference, single.InferenceEvent),
        (plain.Label, single.LabelEvent),
    ):
        assert ours.__struct_fields__ == theirs.__struct_fields__
    assert bounds.STRING_MAX_BYTES == 8_192


@pytest.mark.parametrize("seed", range(10))
def test_events_with_odd_ones_among_them_keep_their_order(seed):
    """Offsets of the batches of a group ascend, whatever had to be read carefully."""
    draw = Random(seed)
    source = Source("orders", 0)
    for place in range(60):
        body = draw.choice(BAD if draw.random() < 0.1 else GOOD)
        seen = plain.read(None, body)
        if seen is not None:
            source.add(seen, body, Told(place, body), 0.0)
    for group in source.due(0.0):
        made = [one for one in group.batches("orders/0") if isinstance(one, Batch)]
        assert all(one.first < other.first for one, other in pairwise(made))
