"""Every way in which a record can be wrong has its reason, and the rows that are right are kept."""

import json
import math

import msgspec
import numpy as np
import pytest

from inferwatch.errors import Reason
from inferwatch.records import bounds, columns
from inferwatch.records.decode import (
    BODY_MAX_BYTES,
    COLUMNS_MAX,
    EARLIEST_MS,
    LATEST_MS,
    ROWS_MAX,
    TEXT_MAX_BYTES,
    decode,
)
from inferwatch.records.definition import CategoryProfile, Definition, Profile, Reference
from inferwatch.records.events import Deploy, MonitorChange, Tick
from inferwatch.records.raw import INSTANCE_MAX, JSON, MSGPACK, RawRecord, headers
from inferwatch.testing import builders

TIME_MS = builders.TIME_MS
EVENT = {
    "model": "team/model",
    "version": "1",
    "prediction_id": "a",
    "timestamp": TIME_MS,
    "features": {"amount": 1, "country": "DE"},
    "prediction": 1,
    "proba": 0.5,
}
LABEL = {"model": "team/model", "prediction_id": "a", "label": 1, "timestamp": TIME_MS}
STRUCTURED = "application/cloudevents+json"


def record(body, word="inference", content_type=JSON, key=b"team/model", **changed):
    """A record with these bytes; `word` None leaves the headers out."""
    described = {}
    if word is not None:
        described = headers(word, id="1", source="test", time="", content_type=content_type)
    return RawRecord("events.v1", 0, 0, TIME_MS, key, body, described | changed)


def event(**changed):
    """Bytes of a good event with some fields changed; `None` as Python writes it, NaN too."""
    return json.dumps(EVENT | changed).encode()


def label(**changed):
    """Bytes of a good label with some fields changed."""
    return json.dumps(LABEL | changed).encode()


def without(field):
    """Bytes of a good event without a field."""
    return json.dumps({name: value for name, value in EVENT.items() if name != field}).encode()


def literal(text, field="amount"):
    """Bytes of a good event with `text`, as it is, as the value of a number."""
    good = {"amount": b'"amount": 1', "prediction": b'"prediction": 1', "proba": b'"proba": 0.5'}
    name = good[field].split(b" ")[0]
    return event().replace(good[field], name + b" " + text.encode())


def batch(n=3, **changed):
    """A batch record with some fields of its body changed."""
    raw = builders.raw_inference(
        n=n,
        numeric={"amount": [1.0] * n},
        categories={"country": ["DE"] * n},
        prediction=[1.0] * n,
        score=[0.5] * n,
    )
    return with_body(raw, **changed)


def label_batch(n=3, **changed):
    """A label record with some fields of its body changed."""
    raw = builders.raw_labels(ids=[str(row) for row in range(n)], label=[1.0] * n)
    return with_body(raw, **changed)


def with_body(raw, **changed):
    """The record with fields of its msgpack body changed, and those given as `...` left out."""
    body = msgspec.msgpack.decode(raw.value) | changed
    body = {name: value for name, value in body.items() if value is not ...}
    return msgspec.structs.replace(raw, value=msgspec.msgpack.encode(body))


def raw_bytes(word, *, value):
    """A msgpack record with these bytes."""
    return record(value, word, MSGPACK)


def floats(*values):
    """A column of numbers as a body has it."""
    return {"kind": "numbers", "data": columns.pack("d", values)}


def texts(data, *ends):
    """A column of strings as a body has it."""
    return {"data": data, "ends": columns.pack("I", ends)}


def reject(raw):
    """The one reject of a record of which nothing was read."""
    decoded = decode(raw)
    assert decoded.record is None
    assert len(decoded.rejects) == 1
    assert decoded.rejects[0].rows == decoded.rows_in
    return decoded.rejects[0]


BAD_EVENTS = {
    "empty": (b"", "empty"),
    "no value": (None, "empty"),
    "byte that is no UTF-8": (event().replace(b"DE", b"\xff"), "bad_utf8"),
    "UTF-16 with its mark": (event().decode().encode("utf-16"), "bad_utf8"),
    "UTF-16 without": (event().decode().encode("utf-16-le"), "not_json"),
    "byte order mark": (b"\xef\xbb\xbf" + event(), "not_json"),
    "no JSON": (b"model=team/model", "not_json"),
    "cut": (event()[:-1], "not_json"),
    "string without end": (event()[:12], "not_json"),
    "two documents": (event() + event(), "not_json"),
    "lone surrogate": (event(prediction_id="\ud800"), "not_json"),
    "lone surrogate in a name": (event(**{"\ud800": 1}), "not_json"),
    "list": (b"[]", "schema_invalid"),
    "NaN answer": (event(prediction=math.nan), "non_finite"),
    "NaN score": (event(proba=math.nan), "non_finite"),
    "infinite answer": (event(prediction=math.inf), "non_finite"),
    "infinite latency": (event(latency_ms=-math.inf), "non_finite"),
    "infinite cost": (event(llm={"cost": math.inf}), "non_finite"),
    "text for tokens": (event(llm={"input_tokens": "9"}), "schema_invalid"),
    "1e999 as score": (literal("1e999", "proba"), "non_finite"),
    "1e999 as answer": (literal("1e999", "prediction"), "non_finite"),
    "2^63": (literal(str(2**63)), "int_range"),
    "-2^63 - 1": (literal(str(-(2**63) - 1)), "int_range"),
    "2^64": (literal(str(2**64)), "int_range"),
    "2^64 as answer": (literal(str(2**64), "prediction"), "int_range"),
    "400 digits": (literal("9" * 400), "int_range"),
    "5,000 digits": (literal("9" * 5_000), "int_range"),
    "5,000 digits as score": (literal("9" * 5_000, "proba"), "int_range"),
    "text for a number": (event(proba="0.5"), "schema_invalid"),
    "true for a number": (event(latency_ms=True), "schema_invalid"),
    "true for a time": (event(timestamp=True), "schema_invalid"),
    "number for a text": (event(prediction_id=7), "schema_invalid"),
    "list for a feature": (event(features={"a": [1]}), "schema_invalid"),
    "depth 17": (event(extra=json.loads("[" * 16 + "]" * 16)), "depth"),
    "depth 1,025": (event(extra=json.loads("[" * 500 + "]" * 500)), "depth"),
    "100,000 brackets": (b"[" * 100_000, "depth"),
    "10,000 keys": (event(features={str(name): 1 for name in range(10_000)}), "too_many_fields"),
    "513 keys": (event(extra={str(name): 1 for name in range(513)}), "too_many_fields"),
    "513 columns": (
        event(features={str(name): 1 for name in range(512)}, segments={"a": "b"}),
        "too_many_fields",
    ),
    "key twice": (event()[:-1] + b',"model": "team/model"}', "duplicate_key"),
    "feature twice": (event().replace(b'"amount": 1', b'"a": 1, "a": 2'), "duplicate_key"),
    "escaped key twice": (event()[:-1] + b',"mod\\u0065l": "x/y"}', "duplicate_key"),
    "key twice in what we skip": (event()[:-1] + b',"z": [{"a": 1, "a": 1}]}', "duplicate_key"),
    "256 KiB + 1": (event(extra=["x" * 8_000] * 33), "too_large"),
    "long instance": (event(instance="x" * (INSTANCE_MAX + 1)), "schema_invalid"),
    "8 KiB + 1": (event(prediction_id="x" * (bounds.STRING_MAX_BYTES + 1)), "too_large"),
    "no model": (without("model"), "missing_field"),
    "no version": (without("version"), "missing_field"),
    "no id": (without("prediction_id"), "missing_field"),
    "no time": (without("timestamp"), "missing_field"),
    "empty version": (event(version=""), "missing_field"),
    "empty id": (event(prediction_id=""), "missing_field"),
    "seconds": (event(timestamp=TIME_MS // 1_000), "bad_time"),
    "microseconds": (event(timestamp=TIME_MS * 1_000), "bad_time"),
    "nanoseconds": (event(timestamp=TIME_MS * 1_000_000), "bad_time"),
    "negative": (event(timestamp=-1), "bad_time"),
    "year 9999": (event(timestamp="9999-12-31T23:59:59Z"), "bad_time"),
    "year 9999 in ms": (event(timestamp=253_370_764_800_000), "bad_time"),
    "beyond year 9999": (event(timestamp="9999-12-31T23:59:59-12:00"), "bad_time"),
    "no offset": (event(timestamp="2026-01-01T00:00:00"), "bad_time"),
    "a day": (event(timestamp="2026-01-01"), "bad_time"),
    "no time at all": (event(timestamp="yesterday"), "bad_time"),
    "model that is no name": (event(model="team model"), "schema_invalid"),
    "model of another key": (event(model="team/other"), "key_mismatch"),
}
BAD_LABELS = {
    "null": (label(label=None), "label_invalid"),
    "list": (label(label=[1]), "label_invalid"),
    "NaN": (label(label=math.nan), "label_invalid"),
    "infinite": (label(label=math.inf), "label_invalid"),
    "missing": (json.dumps({**EVENT}).encode(), "missing_field"),
    "empty version": (label(version=""), "missing_field"),
    "seconds": (label(timestamp=TIME_MS // 1_000), "bad_time"),
}


@pytest.mark.parametrize(("body", "reason"), BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_a_bad_event_has_its_reason(body, reason):
    """F20–F30: nothing of the record is read, and one reject says why."""
    assert reject(record(body)).reason == reason


@pytest.mark.parametrize(("body", "reason"), BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_without_headers_the_reason_is_the_same(body, reason):
    """An object without a type is looked at, and judged alike."""
    assert reject(record(body, word=None)).reason == reason


@pytest.mark.parametrize(("body", "reason"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_a_bad_label_has_its_reason(body, reason):
    """F32: a label that tells no truth is `label_invalid`."""
    assert reject(record(body, "label")).reason == reason


def test_a_missing_field_is_named():
    """F29: the reject says which field is not there."""
    assert "`prediction_id`" in reject(record(without("prediction_id"))).detail


def test_limits_are_inclusive():
    """Exactly 256 KiB, 16 levels, 512 features, 8 KiB and 64 bits are read."""
    body = event(
        prediction_id="x" * bounds.STRING_MAX_BYTES,
        features={str(name): 2**63 - 1 - name for name in range(bounds.FIELDS_MAX)},
        extra=json.loads("[" * 15 + "]" * 15),
        prediction=-(2**63),
    )
    body += b" " * (bounds.SIZE_MAX_BYTES - len(body))
    decoded = decode(record(body))
    assert not decoded.rejects
    assert len(decoded.record.numeric_names) == bounds.FIELDS_MAX


@pytest.mark.parametrize(
    ("text", "value"),
    [("NaN", None), ("Infinity", math.inf), ("-Infinity", -math.inf), ("1e999", math.inf)],
)
def test_a_feature_that_is_not_finite_spoils_no_row(text, value):
    """F24: NaN is a missing feature, ±Infinity an invalid one, as in a batch; the row is kept."""
    for body, content_type in [
        (literal(text), JSON),
        (b'{"type": "io.inferwatch.inference.v1", "data": ' + literal(text) + b"}", STRUCTURED),
    ]:
        changed = {} if content_type == JSON else {"content-type": content_type.encode()}
        raw = record(body, word="inference" if content_type == JSON else None, **changed)
        rows = decode(raw).record
        numeric = dict(zip(rows.numeric_names, rows.numeric[:, 0].tolist(), strict=True))
        assert numeric == ({} if value is None else {"amount": value})
        assert rows.categories["country"].words == ("DE",)


def test_words_in_texts_are_no_numbers():
    """NaN and brackets inside of strings are text, even where a number beside them is mended."""
    body = event(features={"a": math.inf, "b": 'NaN } "features": { 1e999 \\'})
    rows = decode(record(body)).record
    assert rows.categories["b"].words == ('NaN } "features": { 1e999 \\',)


BAD_BATCHES = {
    "no msgpack": (raw_bytes("inference", value=b"\xc1"), "not_msgpack"),
    "cut": (raw_bytes("inference", value=batch().value[:-1]), "not_msgpack"),
    "list": (raw_bytes("inference", value=b"\x90"), "schema_invalid"),
    "JSON for msgpack": (raw_bytes("inference", value=event()), "schema_invalid"),
    "bytes that are no UTF-8": (
        raw_bytes("inference", value=batch().value.replace(b"team/model", b"team/mode\xff")),
        "bad_utf8",
    ),
    "1,025 levels": (
        raw_bytes("inference", value=b"\x81\xa1z" + b"\x91" * 1_025 + b"\xc0"),
        "depth",
    ),
    "1 MiB + 1": (raw_bytes("inference", value=bytes(BODY_MAX_BYTES + 1)), "too_large"),
    "resource as msgpack": (raw_bytes("resource", value=b"\x80"), "schema_invalid"),
    "no model": (batch(model=...), "missing_field"),
    "no version": (batch(version=...), "missing_field"),
    "no ids": (batch(ids=...), "missing_field"),
    "no times": (batch(time_ms=...), "missing_field"),
    "empty version": (batch(version=""), "missing_field"),
    "empty emitter": (batch(emitter=""), "missing_field"),
    "text for a number": (batch(rows="3"), "schema_invalid"),
    "unknown kind of column": (batch(prediction={"kind": "tensor"}), "schema_invalid"),
    "major + 1": (batch(schema="2.0"), "schema_unknown"),
    "major + 1 with other fields": (
        batch(schema="2.0", rows="three", time_ms=...),
        "schema_unknown",
    ),
    "version abc": (batch(schema="abc"), "schema_unknown"),
    "version abc with other fields": (batch(schema="abc", ids=...), "schema_unknown"),
    "no rows": (batch(rows=0), "int_range"),
    "negative rows": (batch(rows=-3), "int_range"),
    "too many rows": (batch(rows=ROWS_MAX + 1), "int_range"),
    "negative seq": (batch(seq=-1), "int_range"),
    "seq 2^62": (batch(seq=2**62), "int_range"),
    "emitted 2^64 - 1": (batch(emitted=2**64 - 1), "int_range"),
    "negative count": (batch(dropped={"queue_full": -1}), "int_range"),
    "negative count that is called seq": (batch(dropped={"seq": -1}), "int_range"),
    "rows that the columns lack": (batch(rows=4), "column_length"),
    "half a number": (batch(latency_ms=bytes(11)), "column_length"),
    "half a number of llm": (batch(llm={"cost": bytes(11)}), "column_length"),
    "llm that is no map": (batch(llm=[]), "schema_invalid"),
    "a finish reason that is none": (
        batch(llm={"finish_reason": {"words": ["a"], "codes": columns.pack("i", [0, 1, -1])}}),
        "int_range",
    ),
    "column too short": (
        batch(numeric={"names": ["a", "b"], "data": bytes(12)}),
        "column_length",
    ),
    "ids that end early": (batch(ids=texts(b"abc", 1, 2, 2)), "column_length"),
    "ids that run back": (batch(ids=texts(b"abc", 2, 1, 3)), "column_length"),
    "ids that are no UTF-8": (batch(ids=texts(b"a\xffb", 1, 2, 3)), "bad_utf8"),
    "ids cut inside a letter": (batch(ids=texts("äb".encode(), 1, 2, 3)), "bad_utf8"),
    "column twice": (
        batch(numeric={"names": ["a", "a"], "data": bytes(24)}),
        "duplicate_key",
    ),
    "code outside the dictionary": (
        batch(categories={"c": {"words": ["DE"], "codes": columns.pack("i", [0, 1, 0])}}),
        "int_range",
    ),
    "code below -1": (
        batch(categories={"c": {"words": ["DE"], "codes": columns.pack("i", [0, -2, 0])}}),
        "int_range",
    ),
    "long id": (
        batch(ids=texts(b"x" * (TEXT_MAX_BYTES + 3), 1, 2, TEXT_MAX_BYTES + 3)),
        "too_large",
    ),
    "long word": (
        batch(
            categories={"c": {"words": ["ä" * TEXT_MAX_BYTES], "codes": bytes(12)}},
        ),
        "too_large",
    ),
    "long instance": (batch(instance="x" * (INSTANCE_MAX + 1)), "schema_invalid"),
    "long version": (batch(version="x" * (TEXT_MAX_BYTES + 1)), "too_large"),
    "long column name": (
        batch(segments={"x" * (TEXT_MAX_BYTES + 1): {"words": ["a"], "codes": bytes(12)}}),
        "too_large",
    ),
    "too many columns": (
        batch(
            n=1,
            ids=texts(b"a", 1),
            numeric={
                "names": [str(name) for name in range(COLUMNS_MAX)],
                "data": bytes(4 * COLUMNS_MAX),
            },
            categories={},
            segments={"a": {"words": ["a"], "codes": bytes(4)}},
        ),
        "too_many_fields",
    ),
    "too many scores": (
        batch(
            n=1,
            scores={"names": [str(name) for name in range(COLUMNS_MAX + 1)], "data": b""},
        ),
        "too_many_fields",
    ),
    "every time in seconds": (batch(time_ms=columns.pack("q", [TIME_MS // 1_000] * 3)), "bad_time"),
    "every id empty": (batch(ids=texts(b"", 0, 0, 0)), "missing_field"),
    "every label missing": (label_batch(label=floats(*[math.nan] * 3)), "label_invalid"),
    "label nil": (label_batch(label=None), "label_invalid"),
    "no label": (label_batch(label=...), "missing_field"),
    "label of a later major": (label_batch(schema="2.0", label=...), "schema_unknown"),
    "null key": (msgspec.structs.replace(batch(), key=None), "key_mismatch"),
    "another key": (msgspec.structs.replace(batch(), key=b"team/other"), "key_mismatch"),
    "model that is no name": (batch(model="a//b"), "schema_invalid"),
}


@pytest.mark.parametrize(("raw", "reason"), BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_a_bad_batch_has_its_reason(raw, reason):
    """Nothing of the batch is read, and one reject says why."""
    assert reject(raw).reason == reason


def test_a_later_minor_is_read():
    """F28: fields of a later minor are skipped, the rest is what it was."""
    later = batch(schema="1.1", shap={"a": [1]}, numeric_int8=b"\x00")
    now, then = decode(batch()).record, decode(later).record
    assert decode(later).rejects == ()
    assert (now.ids, now.numeric.tolist()) == (then.ids, then.numeric.tolist())
    assert not decode(record(event(shap=[0.5], note={"by": "x"}))).rejects


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        ("io.inferwatch.inference.v2", "schema_unknown"),
        ("io.inferwatch.inference.vabc", "schema_unknown"),
        ("io.inferwatch.inference.v1.1", "schema_unknown"),
        ("io.inferwatch.weather.v1", "type_unknown"),
        ("io.inferwatch.window.v1", "schema_invalid"),
        ("io.inferwatch.alert.v1", "schema_invalid"),
        ("io.inferwatch.inference", "schema_invalid"),
        ("org.kubeflow.serving.inference.request", "schema_invalid"),
        ("\xff", "schema_invalid"),
    ],
)
def test_a_type_that_is_not_read_has_its_reason(type_, reason):
    """F28, F37: a later major, an unknown word, a record of ours or of others on the topic."""
    in_header = record(event(), ce_type=type_.encode("latin-1"))
    assert reject(in_header).reason == reason
    body = json.dumps({"specversion": "1.0", "type": type_, "data": EVENT}).encode()
    in_body = record(body, word=None, **{"content-type": STRUCTURED.encode()})
    assert reject(in_body).reason == reason


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"id": "1", "model": "m", "version": "1", "window": {}}, "output topic"),
        ({"id": "1", "fingerprint": "f", "model": "m", "alert": "A"}, "output topic"),
        ({"specversion": "1.0", "type": "x", "data": {}}, "application/cloudevents"),
        ({"instances": [[1, 2]]}, "foreign"),
        ({"captureData": {}, "eventVersion": "0"}, "foreign"),
    ],
)
def test_a_record_of_others_says_what_it_is(body, hint):
    """F37: without headers the fields tell, and the reject helps."""
    found = reject(record(json.dumps(body).encode(), word=None, key=None))
    assert found.reason == Reason.SCHEMA_INVALID
    assert hint in found.detail


def test_one_bad_row_costs_no_other():
    """F02: the other rows are kept in order, and the reject names the row."""
    n = 500
    times = [TIME_MS + row for row in range(n)]
    times[7] = TIME_MS // 1_000
    raw = builders.raw_inference(
        n=n,
        time_ms=times,
        record_time_ms=TIME_MS,
        numeric={"row": list(range(n))},
        categories={"even": [str(row % 2) for row in range(n)]},
        prediction=[float(row) for row in range(n)],
        segments={"s": [str(row) for row in range(n)]},
    )
    decoded = decode(raw)
    kept = [row for row in range(n) if row != 7]
    assert [(found.reason, found.row, found.rows) for found in decoded.rejects] == [
        ("bad_time", 7, 1)
    ]
    assert decoded.record.n == n - 1
    assert decoded.record.ids == [f"0-{row}" for row in kept]
    for column in (decoded.record.numeric[0], decoded.record.prediction):
        assert column.tolist() == kept
    words = decoded.record.segments["s"]
    assert [words.words[code] for code in words.codes] == [str(row) for row in kept]


def test_rows_with_one_fault_share_a_reject():
    """A batch has one dead letter a reason, not one a row, and each row counts once."""
    times = [TIME_MS, 1, 1, TIME_MS, TIME_MS, TIME_MS]
    raw = with_body(
        builders.raw_inference(
            n=6,
            time_ms=times,
            record_time_ms=TIME_MS,
            prediction=[1, 1, math.inf, math.inf, math.nan, 1],
            score=[0.5, 0.5, 0.5, 0.5, 0.5, -math.inf],
            latency_ms=[1, math.inf, 1, 1, 1, math.inf],
        ),
        ids=texts(b"abcdf", 1, 2, 3, 4, 4, 5),
    )
    decoded = decode(raw)
    assert [(found.reason, found.row, found.rows) for found in decoded.rejects] == [
        ("bad_time", 1, 2),
        ("missing_field", 4, 1),
        ("non_finite", 3, 1),
        ("non_finite", 5, 1),
    ]
    assert "rows 1, 2 of 6" in decoded.rejects[0].detail
    assert decoded.record.ids == ["a"]
    assert decoded.rows_in == 6


def test_a_label_that_tells_nothing_costs_no_other():
    """F32: missing and infinite labels are rejected by row, in both kinds of columns."""
    numbers = decode(label_batch(label=floats(math.nan, 1, -math.inf)))
    coded = {"kind": "categories", "words": ["yes"], "codes": columns.pack("i", [-1, 0, -1])}
    words = decode(label_batch(label=coded))
    for decoded in (numbers, words):
        assert [(found.reason, found.rows) for found in decoded.rejects] == [("label_invalid", 2)]
        assert decoded.record.ids == ["1"]
    assert numbers.record.label.tolist() == [1.0]


def test_missing_values_of_a_batch_are_missing():
    """NaN and -1 are no faults: absent answers, scores, latencies and words keep their rows."""
    raw = builders.raw_inference(
        n=2,
        numeric={"a": [math.nan, math.inf]},
        categories={"c": [None, "x"]},
        prediction=[math.nan, 1],
        score=[math.nan, 0.5],
        latency_ms=[math.nan, 2],
        error=[None, "timeout"],
    )
    decoded = decode(raw)
    assert decoded.rejects == ()
    np.testing.assert_array_equal(decoded.record.numeric, np.float32([[math.nan, math.inf]]))
    assert decoded.record.error.codes.tolist() == [-1, 0]


def test_weights_travel_as_float32():
    """`weight` has four bytes a row, as the specification says."""
    rows = decode(batch(weight=columns.pack("f", [1, 2.5, 4]))).record
    assert rows.weight.tolist() == [1, 2.5, 4]
    assert reject(batch(weight=columns.pack("d", [1, 2, 3]))).reason == "column_length"
    assert reject(batch(weight=columns.pack("f", [math.inf] * 3))).reason == "non_finite"


def test_times_are_milliseconds_from_1971_to_2969():
    """The range in which seconds, micro- and nanoseconds of our days cannot lie."""
    times = [EARLIEST_MS - 1, EARLIEST_MS, LATEST_MS - 1, LATEST_MS]
    decoded = decode(batch(n=4, time_ms=columns.pack("q", times)))
    assert decoded.record.time_ms.tolist() == [EARLIEST_MS, LATEST_MS - 1]
    for ours_ms in (TIME_MS, 4_102_444_800_000):
        for factor in (1e-3, 1e3, 1e6):
            assert not EARLIEST_MS <= ours_ms * factor < LATEST_MS


def test_a_small_event_is_judged_like_the_others():
    """Times, numbers and limits hold for deploys and resources as well."""
    deploy = {"model": "team/model", "version": "2", "time_ms": TIME_MS}
    assert decode(record(json.dumps(deploy).encode(), "deploy")).record == Deploy(**deploy)
    wrong = [
        (deploy | {"time_ms": TIME_MS // 1_000}, "bad_time"),
        (deploy | {"time_ms": 2**64}, "int_range"),
        (deploy | {"kind": "canary"}, "schema_invalid"),
        (deploy | {"model": "team/other"}, "key_mismatch"),
        ({"model": "team/model", "version": "2"}, "missing_field"),
    ]
    for body, reason in wrong:
        assert reject(record(json.dumps(body).encode(), "deploy")).reason == reason
    resource = deploy | {"instance": "a", "cpu": math.nan}
    assert reject(record(json.dumps(resource).encode(), "resource")).reason == "non_finite"
    resource |= {"cpu": 0.5, "memory_bytes": 2**64}
    assert reject(record(json.dumps(resource).encode(), "resource")).reason == "int_range"


def test_a_definition_may_be_larger_than_an_event():
    """A `monitor` record carries a profile of thousands of features and is read up to 1 MiB."""
    words = {f"feature-{name}": CategoryProfile(words=["a"], counts=[1]) for name in range(4_000)}
    profile = Profile(name="p", rows=1, from_ms=0, to_ms=1, categories=words)
    definition = Definition(reference=Reference(profile=profile))
    raw = builders.raw_event(MonitorChange(model="team/model", definition=definition))
    assert len(raw.value) > bounds.SIZE_MAX_BYTES
    assert decode(raw).record.definition == definition


def test_content_types_are_read_without_case_and_parameters():
    """`Application/MsgPack; charset=x` is msgpack; nothing at all is JSON."""
    described = batch().headers | {"content-type": b"Application/MsgPack; charset=utf-8"}
    assert decode(msgspec.structs.replace(batch(), headers=described)).record.n == 3
    assert decode(record(event(), word=None)).record.ids == ["a"]
    assert decode(record(event(), word=None, **{"content-type": b"\xff"})).record.ids == ["a"]


def test_structured_events_are_read():
    """The envelope's type decides, whatever stands beside it."""
    body = json.dumps({"specversion": "1.0", "id": "1", "type": "io.inferwatch.label.v1"})
    body = body[:-1] + ', "data": ' + json.dumps(LABEL) + "}"
    raw = record(body.encode(), word=None, **{"content-type": b"Application/CloudEvents+JSON"})
    assert decode(raw).record.label.tolist() == [1.0]
    without_data = record(
        b'{"type": "io.inferwatch.label.v1"}', word=None, **{"content-type": STRUCTURED.encode()}
    )
    assert reject(without_data).reason == "missing_field"


def test_a_tick_needs_no_body():
    """Its record time is all that it says."""
    assert decode(builders.raw_tick(offset=0, time_ms=TIME_MS)).record == Tick()


def test_a_reject_stays_small():
    """However large the record is, what is said of it fits a header."""
    for raw in (
        record(event(model="x" * 8_000)),
        msgspec.structs.replace(batch(), key=b"k" * 500_000),
        batch(schema="9" * 500_000),
        record(event(), ce_type=b"x" * 500_000),
        batch(n=5_000, time_ms=bytes(40_000), ids=texts(bytes(5_000), *range(1, 5_001))),
    ):
        assert len(reject(raw).detail) <= 500
