"""Small events keep their fields across the wire, and leave out what they do not say."""

import json

import msgspec
import pytest

from inferwatch.records.decode import EVENTS, decode
from inferwatch.records.definition import Definition
from inferwatch.records.events import (
    Deploy,
    ErrorSlice,
    Gap,
    Inspection,
    MonitorChange,
    Pair,
    ReferenceChange,
    Resource,
    Skip,
    Slice,
    Tick,
    Verdict,
)
from inferwatch.records.raw import INSTANCE_MAX, JSON, RawRecord, headers

AT = {"model": "m", "time_ms": 1_700_000_000_000}
SMALLEST = {
    "resource": Resource(**AT, version="1", instance="a"),
    "deploy": Deploy(**AT, version="2"),
    "verdict": Verdict(**AT, fingerprint="f", verdict="ack"),
    "reference": ReferenceChange(**AT, action="accept"),
    "monitor": MonitorChange(model="m", definition=Definition()),
    "inspection": Inspection(model="m", window="w", method="lof"),
    "skip": Skip(offset=7),
    "gap": Gap(from_offset=3, to_offset=9),
}
FULL = {
    "resource": msgspec.structs.replace(
        SMALLEST["resource"],
        cpu=0.5,
        memory=0.1,
        memory_bytes=1,
        gpu=1.0,
        gpu_memory=0.0,
        threads=3,
        throttled=0.2,
        started_ms=1_700_000_000_000,
        hardware="2 x B",
    ),
    "deploy": msgspec.structs.replace(SMALLEST["deploy"], kind="rollback", note="slow"),
    "verdict": msgspec.structs.replace(
        SMALLEST["verdict"], verdict="silence", until_ms=1, author="ada", comment="known"
    ),
    "reference": msgspec.structs.replace(
        SMALLEST["reference"], action="reset", version="2", author="ada", comment="new data"
    ),
    "monitor": msgspec.structs.replace(SMALLEST["monitor"], from_offset=0),
    "inspection": msgspec.structs.replace(
        SMALLEST["inspection"],
        value=0.5,
        n=100,
        reference_n=300,
        low=0.4,
        high=0.6,
        p_value=0.01,
        features={"amount": 0.7},
        unknown="why",
        library="scikit-learn 1.7",
        pairs=[Pair(features=("amount", "age"), before=0.1, now=0.9)],
        slice=Slice(rule="amount > 5", share=0.2, reference_share=0.1),
        errors=ErrorSlice(
            rule="age ≤ 30",
            rows=120,
            share=0.24,
            error_rate=0.41,
            before=0.12,
            elsewhere=0.09,
            elsewhere_before=0.08,
            above=2.5,
        ),
        metric="figures",
        figures={"latency.p99": 4.5},
    ),
    "skip": msgspec.structs.replace(SMALLEST["skip"], why="died"),
    "gap": msgspec.structs.replace(SMALLEST["gap"], why="retention"),
}


def sent(word, body):
    """What the reader makes of an event's body."""
    described = headers(word, id="1", source="test", time="", content_type=JSON)
    return decode(RawRecord("events.v1", 0, 0, 0, b"m", body, described))


@pytest.mark.parametrize("word", EVENTS)
def test_an_event_is_read_as_it_was_written(word):
    """With every field and with the fewest."""
    for event in (SMALLEST[word], FULL[word]):
        assert sent(word, msgspec.json.encode(event)).record == event
        assert set(FULL[word].__struct_fields__) == set(json.loads(msgspec.json.encode(FULL[word])))


@pytest.mark.parametrize("word", EVENTS)
def test_a_field_that_is_missing_is_named(word):
    """The fewest fields are the required ones: without any of them the record is rejected."""
    body = json.loads(msgspec.json.encode(SMALLEST[word]))
    for gone in body:
        rest = json.dumps({name: value for name, value in body.items() if name != gone})
        (reject,) = sent(word, rest.encode()).rejects
        assert reject.reason == "missing_field"
        assert f"`{gone}`" in reject.detail


def test_an_unknown_kind_of_deploy_is_no_deploy():
    """Kinds and verdicts are closed lists: guessing one would change what is done."""
    for word, field in (("deploy", "kind"), ("verdict", "verdict")):
        body = json.loads(msgspec.json.encode(SMALLEST[word])) | {field: "other"}
        (reject,) = sent(word, json.dumps(body).encode()).rejects
        assert reject.reason == "schema_invalid"


def test_a_tick_closes_only_when_it_says_so():
    """Ticks of a topic do not prove that no row follows."""
    assert not Tick().closing


@pytest.mark.parametrize("name", ["cpu", "memory", "gpu", "gpu_memory", "throttled"])
def test_a_sample_that_is_no_share_is_a_dead_letter(name):
    """What a process used is 0…1 of what it may use: 7.3 would raise a mean to anything. What only
    rounding takes beyond 1 does not cost the rest of the sample.
    """
    for share in (0, 0.3, 1, 1.0000001, 1.01):
        assert getattr(sampled(**{name: share}).record, name) == share
    for wrong in (7.3, 1.0100001, -0.1, 1e300):
        (reject,) = sampled(**{name: wrong}).rejects
        assert reject.reason == "schema_invalid" and f"`$.{name}`" in reject.detail


@pytest.mark.parametrize("name", ["instance", "hardware"])
def test_names_of_what_serves_are_short(name):
    """A thousand of them are kept in each window."""
    longest = "ä" * INSTANCE_MAX
    assert getattr(sampled(**{name: longest}).record, name) == longest
    (reject,) = sampled(**{name: longest + "x"}).rejects
    assert reject.reason == "schema_invalid"


def sampled(**changed):
    """What the reader makes of a sample with these fields."""
    body = json.loads(msgspec.json.encode(SMALLEST["resource"])) | changed
    return sent("resource", json.dumps(body).encode())
