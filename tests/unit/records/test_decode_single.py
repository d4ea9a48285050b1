"""Every way in which a JSON event can be wrong has its reason."""

import json
import math

import pytest
from malformed import EVENT, STRUCTURED, TIME_MS, event, label, literal, record, reject, without

from inferwatch.records import bounds
from inferwatch.records.decode import decode
from inferwatch.records.raw import EMBEDDING_DIM_MAX, INSTANCE_MAX, JSON

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
    "NaN in a vector": (event(embedding=[0.5, math.nan]), "non_finite"),
    "1e999 in a vector": (event(embedding=[0.5]).replace(b"[0.5]", b"[1e999]"), "non_finite"),
    "null in a vector": (event(embedding=[0.5, None]), "schema_invalid"),
    "true in a vector": (event(embedding=[True]), "schema_invalid"),
    "vectors in a vector": (event(embedding=[[0.5]]), "schema_invalid"),
    "2^64 in a vector": (event(embedding=[2**64]), "int_range"),
    "a vector of nothing": (event(embedding=[]), "schema_invalid"),
    "a vector too long": (event(embedding=[0] * (EMBEDDING_DIM_MAX + 1)), "schema_invalid"),
    "a vector with its size": (event(embedding={"dim": 1, "data": ""}), "schema_invalid"),
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
