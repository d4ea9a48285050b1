"""What is written is read, for any columns; what is not a record is a reject, for any bytes."""

import json
import math
import struct
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.errors import DataError, Reason
from inferwatch.records import bounds
from inferwatch.records.batch import CALL_NUMBERS, InferenceBatch, LabelBatch, LlmCalls, encode
from inferwatch.records.columns import (
    Float32Block,
    Float64Block,
    Numbers,
    pack,
    pack_categories,
    pack_texts,
)
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.records.events import Deploy, MonitorChange, Resource, Verdict
from inferwatch.records.raw import EARLIEST_MS, JSON, LATEST_MS, MSGPACK, RawRecord, headers
from inferwatch.records.rows import Words
from inferwatch.testing import builders

MODEL = "team/model"
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.lists(text, max_size=4, unique=True)
count = st.integers(0, 2**62 - 1)
time_ms = st.integers(EARLIEST_MS, LATEST_MS - 1)
float32 = st.floats(width=32)
finite = st.floats(allow_nan=False, allow_infinity=False)
no_inf = st.floats(allow_infinity=False)


def rows_of(n, values):
    """n values."""
    return st.lists(values, min_size=n, max_size=n)


def vectors_of(n):
    """n vectors of one size."""
    return st.integers(1, 4).flatmap(lambda dim: rows_of(n, rows_of(dim, float32)))


@st.composite
def answers(draw, n, missing=True):
    """A column of predictions or labels, and what a reader makes of it."""
    if draw(st.booleans()):
        values = draw(rows_of(n, no_inf if missing else finite))
        return Numbers(pack("d", values)), values
    words = draw(rows_of(n, st.none() | text if missing else text))
    return pack_categories(words), words


@st.composite
def columns(draw, n):
    """Values of every kind of column of n rows."""
    numeric = {name: draw(rows_of(n, float32)) for name in draw(names)}
    scores = {name: draw(rows_of(n, no_inf)) for name in draw(names)}
    return {
        "time_ms": draw(rows_of(n, time_ms)),
        "ids": draw(rows_of(n, text.filter(bool))),
        "numeric": numeric,
        "categories": {name: draw(rows_of(n, st.none() | text)) for name in draw(names)},
        "scores": scores,
        "segments": {name: draw(rows_of(n, st.none() | text)) for name in draw(names)},
        "latency_ms": draw(st.none() | rows_of(n, st.floats(width=32, allow_infinity=False))),
        "weight": draw(st.none() | rows_of(n, st.floats(width=32, allow_infinity=False))),
        "error": draw(st.none() | rows_of(n, st.none() | text)),
        "entity": draw(st.none() | rows_of(n, text)),
        "llm": draw(
            st.dictionaries(
                st.sampled_from(CALL_NUMBERS),
                rows_of(n, st.floats(width=32, allow_infinity=False)),
            )
        ),
        "embedding": draw(st.none() | vectors_of(n)),
        "finish_reason": draw(rows_of(n, st.none() | text)),
    }


def record(word, body, content_type=MSGPACK, key=MODEL):
    """The record that carries `body`."""
    described = headers(word, id="1", source="test", time="", content_type=content_type)
    return RawRecord("events.v1", 0, 0, builders.TIME_MS, key.encode(), body, described)


def said(column):
    """Values of a column as a reader of rows has them: words, or numbers with NaN."""
    if isinstance(column, Words):
        return [None if code < 0 else column.words[code] for code in column.codes.tolist()]
    return column.tolist()


def same(left, right):
    """Equal, NaN and -0.0 included; floats by their bits."""
    if left is None or right is None:
        return left is right
    return [_bits(value) for value in left] == [_bits(value) for value in right]


def measured(values):
    """The same with what is below 0 missing."""
    return values and [math.nan if value < 0 else value for value in values]


def _bits(value):
    if not isinstance(value, float):
        return value
    return "nan" if math.isnan(value) else struct.pack("<d", value)


@given(st.data(), st.integers(1, 6))
def test_any_inference_batch_is_read_as_it_was_written(data, n):
    """Identity of encode and decode, column by column; what clocks and counters cannot give is
    missing.
    """
    given_ = data.draw(columns(n))
    column, predicted = data.draw(st.just((None, None)) | answers(n))
    dropped = data.draw(st.dictionaries(text, count, max_size=3))
    head = {"emitter": data.draw(text.filter(bool)), "version": data.draw(text.filter(bool))}
    body = InferenceBatch(
        model=MODEL,
        seq=data.draw(count),
        emitted=data.draw(count),
        dropped=dropped,
        rows=n,
        instance=data.draw(text),
        time_ms=pack("q", given_["time_ms"]),
        ids=pack_texts(given_["ids"]),
        numeric=_block(Float32Block, "f", given_["numeric"]),
        categories={name: pack_categories(words) for name, words in given_["categories"].items()},
        prediction=column,
        scores=_block(Float64Block, "d", given_["scores"]),
        latency_ms=_packed("f", given_["latency_ms"]),
        error=None if given_["error"] is None else pack_categories(given_["error"]),
        segments={name: pack_categories(words) for name, words in given_["segments"].items()},
        weight=_packed("f", given_["weight"]),
        entity=None if given_["entity"] is None else pack_texts(given_["entity"]),
        llm=LlmCalls(
            **{name: pack("f", numbers) for name, numbers in given_["llm"].items()},
            finish_reason=pack_categories(given_["finish_reason"]),
        ),
        embedding=None if given_["embedding"] is None else builders.vectors(given_["embedding"]),
        **head,
    )
    decoded = decode(record("inference", encode(body)))
    rows = decoded.record
    assert decoded.rejects == () and decoded.rows_in == rows.n == n
    assert (rows.emitter, rows.version) == (head["emitter"], head["version"])
    assert (rows.seq, rows.emitted, rows.instance) == (body.seq, body.emitted, body.instance)
    assert rows.dropped == sum(dropped.values())
    assert rows.ids == given_["ids"] and rows.entity == given_["entity"]
    assert rows.time_ms.tolist() == given_["time_ms"]
    assert same(None if rows.prediction is None else said(rows.prediction), predicted)
    for field, wanted in (
        ("latency_ms", measured(given_["latency_ms"])),
        ("weight", given_["weight"]),
    ):
        found = getattr(rows, field)
        assert same(None if found is None else found.tolist(), wanted)
    assert (None if rows.error is None else said(rows.error)) == given_["error"]
    _same_vectors(rows.embedding, given_["embedding"])
    assert said(rows.llm.finish_reason) == given_["finish_reason"]
    for name, numbers in zip(CALL_NUMBERS, rows.llm.numbers, strict=True):
        assert same(numbers.tolist(), measured(given_["llm"].get(name, [math.nan] * n)))
    for block_names, block, field in (
        (rows.numeric_names, rows.numeric, "numeric"),
        (rows.score_names, rows.scores, "scores"),
    ):
        assert list(block_names) == list(given_[field])
        for found, wanted in zip(block, given_[field].values(), strict=True):
            assert same(found.tolist(), wanted)
    for field in ("categories", "segments"):
        found = getattr(rows, field)
        assert {name: said(words) for name, words in found.items()} == given_[field]


def _same_vectors(found, wanted):
    """As they were written, bit by bit; all NaN where a number of one was not finite."""
    if wanted is None:
        assert found is None
        return
    for vector, numbers in zip(found.tolist(), wanted, strict=True):
        whole = all(map(math.isfinite, numbers))
        assert same(vector, numbers if whole else [math.nan] * len(numbers))


@given(st.data(), st.integers(1, 6), st.none() | text.filter(bool))
def test_any_label_batch_is_read_as_it_was_written(data, n, version):
    """Identity of encode and decode for labels, with and without predictions beside them."""
    given_ = data.draw(columns(n))
    column, truth = data.draw(answers(n, missing=False))
    predicted_column, predicted = data.draw(st.just((None, None)) | answers(n))
    body = LabelBatch(
        model=MODEL,
        version=version,
        emitter="labeller",
        seq=0,
        rows=n,
        time_ms=pack("q", given_["time_ms"]),
        ids=pack_texts(given_["ids"]),
        label=column,
        prediction=predicted_column,
        scores=_block(Float64Block, "d", given_["scores"]),
    )
    decoded = decode(record("label", encode(body)))
    truths = decoded.record
    assert decoded.rejects == () and decoded.rows_in == truths.n == n
    assert truths.version == version
    assert truths.ids == given_["ids"]
    assert truths.time_ms.tolist() == given_["time_ms"]
    assert same(said(truths.label), truth)
    assert same(None if truths.prediction is None else said(truths.prediction), predicted)
    assert list(truths.score_names) == list(given_["scores"])


def _block(kind, typecode, values):
    if not values:
        return None
    return kind(list(values), b"".join(pack(typecode, column) for column in values.values()))


def _packed(typecode, values):
    return None if values is None else pack(typecode, values)


scalar = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | text


@given(
    st.dictionaries(text, scalar, max_size=5),
    scalar,
    st.none() | finite,
    st.dictionaries(text, st.none() | text, max_size=3),
    st.booleans(),
)
def test_any_event_is_read_as_it_was_written(features, prediction, proba, segments, ascii_only):
    """Identity for single JSON events, as the standard library's writer escapes them."""
    event = {
        "model": MODEL,
        "version": "1",
        "prediction_id": "a",
        "timestamp": builders.TIME_MS,
        "features": features,
        "prediction": prediction,
        "proba": proba,
        "segments": segments,
    }
    body = json.dumps(event, ensure_ascii=ascii_only).encode()
    decoded = decode(record("inference", body, JSON))
    rows = decoded.record
    assert decoded.rejects == ()
    numbers = {name: value for name, value in features.items() if type(value) in (int, float)}
    words = {name: value for name, value in features.items() if type(value) in (bool, str)}
    assert list(rows.numeric_names) == list(numbers)
    with np.errstate(over="ignore"):
        assert rows.numeric[:, 0].tolist() == np.array([*numbers.values()], "f4").tolist()
    assert {name: said(word) for name, word in rows.categories.items()} == {
        name: [value if isinstance(value, str) else json.dumps(value)]
        for name, value in words.items()
    }
    if prediction is None or isinstance(prediction, str):
        assert (rows.prediction and said(rows.prediction)) == (
            None if prediction is None else [prediction]
        )
    else:
        assert rows.prediction.tolist() == [float(prediction)]
    assert rows.scores.tolist() == ([] if proba is None else [[proba]])
    assert {name: said(word) for name, word in rows.segments.items()} == {
        name: [value] for name, value in segments.items()
    }


def valid_records():
    """A small record of each type and codec."""
    event = {
        "model": MODEL,
        "version": "1",
        "prediction_id": "ä",
        "timestamp": "2026-01-01T00:00:00Z",
        "features": {"amount": -1.5e3, "country": "DE", "new": True},
        "prediction": 1,
    }
    label = {"model": MODEL, "prediction_id": "ä", "label": 1, "timestamp": builders.TIME_MS}
    structured = {"specversion": "1.0", "type": "io.inferwatch.label.v1", "data": label}
    at = {"model": MODEL, "time_ms": builders.TIME_MS}
    small = [
        Resource(**at, version="1", instance="a", cpu=0.5),
        Deploy(**at, version="2"),
        Verdict(**at, fingerprint="f", verdict="ack"),
        MonitorChange(model=MODEL, definition=Definition()),
    ]
    return {
        "inference": builders.raw_inference(
            n=3,
            numeric={"amount": [1, math.nan, 3]},
            categories={"country": ["DE", None, "ÄÖ"]},
            prediction=[1, 0, math.nan],
            score=[0.1, 0.9, 0.5],
            latency_ms=[1, 2, 3],
            error=[None, "timeout", None],
            segments={"s": ["a", "b", "a"]},
        ),
        "label": builders.raw_labels(ids=["a", "bä", "c"], label=["yes", "no", "yes"]),
        "event": record("inference", json.dumps(event, ensure_ascii=False).encode(), JSON),
        "label event": record("label", json.dumps(label).encode(), JSON),
        "structured": msgspec.structs.replace(
            record("label", json.dumps(structured).encode(), JSON),
            headers={"content-type": b"application/cloudevents+json"},
        ),
        "skip": record("skip", msgspec.json.encode({"model": MODEL, "offset": 1}), JSON),
        **{type(event).__name__: builders.raw_event(event) for event in small},
    }


VALID = valid_records()


def test_the_valid_records_are_valid():
    """What the next tests cut and change was good."""
    assert [name for name, raw in VALID.items() if decode(raw).rejects] == []


@pytest.mark.parametrize("raw", VALID.values(), ids=VALID)
def test_every_prefix_is_a_reject(raw):
    """F23: a record cut anywhere is rejected as a whole, and is counted once."""
    for end in range(len(raw.value)):
        decoded = decode(msgspec.structs.replace(raw, value=raw.value[:end]))
        assert decoded.record is None
        assert [reject.rows for reject in decoded.rejects] == [decoded.rows_in]


pieces = st.binary(max_size=4) | st.sampled_from(
    [
        b"\xc1",
        b"\xdf\xff\xff\xff\xff",
        b"\xcf" + b"\xff" * 8,
        b'"',
        b"\\",
        b"{",
        b"[[",
        b"NaN",
        b"1e999",
    ]
)
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), pieces), min_size=1, max_size=4)


@settings(max_examples=300)
@given(st.sampled_from(list(VALID)), edits)
def test_no_mutation_raises_or_loses_a_row(name, changes):
    """F34: any bytes give rows and rejects that add up to what came in."""
    raw = VALID[name]
    body = raw.value
    for share, gone, piece in changes:
        at = int(share * len(body))
        body = body[:at] + piece + body[at + gone :]
    _is_conserved(decode(msgspec.structs.replace(raw, value=body)))


@given(
    st.binary(max_size=60),
    st.none() | st.binary(max_size=12),
    st.dictionaries(
        st.sampled_from(["ce_type", "content-type", "ce_id"]),
        st.binary(max_size=12)
        | st.sampled_from([MSGPACK.encode(), JSON.encode(), b"application/cloudevents"])
        | st.builds("io.inferwatch.{}.v1".format, st.sampled_from(["tick", "label", "x"])).map(
            str.encode
        ),
    ),
)
def test_no_bytes_at_all_raise(value, key, described):
    """G9: value, key and headers may be anything."""
    _is_conserved(decode(RawRecord("events.v1", 0, 0, 0, key, value, described)))


def _is_conserved(decoded):
    """Rows in are rows read and rows rejected; what is read has all its columns."""
    kept = 0 if decoded.record is None else getattr(decoded.record, "n", 1)
    assert decoded.rows_in == kept + sum(reject.rows for reject in decoded.rejects)
    assert all(isinstance(reject.reason, Reason) for reject in decoded.rejects)
    assert all(len(reject.detail.encode()) <= 2_000 for reject in decoded.rejects)
    if hasattr(decoded.record, "ids"):
        assert len(decoded.record.ids) == len(decoded.record.time_ms) == kept


class Pairs(list):
    """An object as its pairs, so that a key may stand twice."""


document = st.recursive(
    scalar,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(text | st.sampled_from(["a", "b"]), inner), max_size=4).map(Pairs)
    ),
    max_leaves=20,
)


def written(value, ascii_only):
    """JSON text of a document."""
    if isinstance(value, Pairs):
        inside = (
            f"{json.dumps(k, ensure_ascii=ascii_only)} :{written(v, ascii_only)}" for k, v in value
        )
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ",\n".join(written(item, ascii_only) for item in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


@given(document, st.booleans())
def test_doubled_keys_are_what_the_standard_library_sees(value, ascii_only):
    """`bounds.check` finds a key twice exactly where an independent parser does."""
    doubled = []

    def pairs(found):
        keys = [key for key, _ in found]
        doubled.extend(key for key in set(keys) if keys.count(key) > 1)
        return dict(found)

    body = written(value, ascii_only)
    json.loads(body, object_pairs_hook=pairs)
    reason = None
    try:
        bounds.check(body.encode())
    except DataError as error:
        reason = error.reason
    assert reason == (Reason.DUPLICATE_KEY if doubled else None)


@given(st.integers(1, 40), st.booleans())
def test_depth_is_counted_as_it_is_written(depth, objects):
    """A document is refused from 17 levels on, whatever they are."""
    opened, closed = ('{"a":', "}") if objects else ("[", "]")
    body = (opened * depth + "1" + closed * depth).encode()
    if depth <= bounds.DEPTH_MAX:
        bounds.check(body)
    else:
        with pytest.raises(DataError, match="depth"):
            bounds.check(body)


@given(st.lists(st.none() | text, max_size=10))
def test_words_have_codes_in_order_of_appearance(words):
    """A dictionary holds each word once, in the order in which the rows name them."""
    column = pack_categories(words)
    assert column.words == list(dict.fromkeys(word for word in words if word is not None))
    codes = struct.unpack(f"<{len(words)}i", column.codes)
    assert [None if code < 0 else column.words[code] for code in codes] == words


@given(st.lists(st.text(max_size=6), max_size=10))
def test_texts_are_cut_where_they_end(values):
    """Ends grow, the last one is the size; a lone surrogate becomes a question mark."""
    packed = pack_texts(values)
    ends = [0, *struct.unpack(f"<{len(values)}I", packed.ends)]
    found = [packed.data[a:b].decode() for a, b in pairwise(ends)]
    assert found == [value.encode("utf-8", "replace").decode() for value in values]
    assert ends[-1] == len(packed.data)
