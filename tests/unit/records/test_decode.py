"""Headers or fields say what a record is, whoever wrote it; what is not read says why."""

import json
import math

import msgspec
import pytest
from malformed import EVENT, LABEL, STRUCTURED, TIME_MS, batch, event, record, reject, texts

from inferwatch.errors import Reason
from inferwatch.records import bounds
from inferwatch.records.decode import decode
from inferwatch.records.definition import CategoryProfile, Definition, Profile, Reference
from inferwatch.records.events import Deploy, MonitorChange, Tick
from inferwatch.testing import builders


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
