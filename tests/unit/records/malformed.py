"""Records as they should not be: good ones, and what changes in them."""

import json

import msgspec

from inferwatch.records import columns
from inferwatch.records.decode import decode
from inferwatch.records.raw import JSON, MSGPACK, RawRecord, headers
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
