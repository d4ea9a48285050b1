"""G9: bad input of every kind is rejected under its reason, and nothing else happens.

`python scripts/fuzz.py --mutations 1000000` runs the long one by hand.
"""

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest

from inferwatch.core.fold import Output, Partition
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.errors import Reason
from inferwatch.records.decode import decode
from inferwatch.records.events import Deploy, Gap, MonitorChange, Resource, Skip, Verdict
from inferwatch.records.raw import JSON, MSGPACK, RawRecord, headers
from inferwatch.testing import fuzz, mutations, streams
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

pytestmark = pytest.mark.slow

MUTATIONS = 60_000
MODEL = "team/model"
NEEDED = ("model", "version", "prediction_id", "time_ms", "timestamp", "ids", "emitter")
Bad = tuple[str, RawRecord, set[str]]  # what is wrong, the record, the reasons that may be given


@cache
def good() -> dict[str, RawRecord]:
    """One sound record of every type and encoding."""
    event = {
        "model": MODEL,
        "version": "1",
        "prediction_id": "p",
        "timestamp": TIME_MS,
        "features": {"amount": 1.5, "country": "DE"},
        "prediction": 1,
        "proba": 0.7,
        "latency_ms": 3.5,
        "segments": {"channel": "web"},
    }
    label = {"model": MODEL, "prediction_id": "p", "label": 1, "timestamp": TIME_MS}
    common: dict[str, Any] = {"model": MODEL, "version": "1", "time_ms": TIME_MS}
    found = {
        "batch": raw_inference(
            n=2,
            numeric={"amount": [1.0, 2.0]},
            categories={"country": ["DE", None]},
            prediction=[1, 0],
            score=[0.5, 0.6],
            latency_ms=[1.0, 2.0],
            error=[None, "Timeout"],
            segments={"channel": ["web", "app"]},
        ),
        "labels": raw_labels(ids=["a", "b"], label=[1, 0]),
        "event": _json("inference", event),
        "label event": _json("label", label),
        "guessed event": msgspec.structs.replace(_json("inference", event), headers={}),
        "cloud event": _cloud("inference", event),
        "resource": raw_event(Resource(**common, instance="a", cpu=0.5)),
        "deploy": raw_event(Deploy(**common)),
        "verdict": raw_event(
            Verdict(model=MODEL, fingerprint="f" * 24, verdict="ack", time_ms=TIME_MS)
        ),
        "monitor": raw_event(
            MonitorChange(model=MODEL, definition=streams.definition("binary/m0"))
        ),
        "skip": raw_event(Skip(offset=3, why="ended 3 processes")),
        "gap": raw_event(Gap(from_offset=3, to_offset=9, why="retention")),
    }
    for name, raw in found.items():
        assert not decode(raw).rejects, name
    return found


def _json(word: str, body: Any) -> RawRecord:
    described = headers(word, id="1", source="test", time="", content_type=JSON)
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawRecord("events.v1", 0, 0, TIME_MS, MODEL.encode(), value, described)


def _cloud(word: str, body: Any) -> RawRecord:
    whole = {"specversion": "1.0", "type": f"io.inferwatch.{word}.v1", "id": "1", "data": body}
    kind = {"content-type": b"application/cloudevents+json"}
    return msgspec.structs.replace(_json(word, whole), headers=kind)


def crafted() -> Iterator[Bad]:
    """Every type and encoding, with everything wrong that can be."""
    for name, raw in good().items():
        for what, value, reasons in _bodies(raw):
            yield f"{name}: {what}", msgspec.structs.replace(raw, value=value), reasons
        for what, described, reasons in _kinds(raw):
            yield f"{name}: {what}", msgspec.structs.replace(raw, headers=described), reasons
        if name not in ("skip", "gap"):
            for what, key in (("no key", None), ("another's key", b"team/other")):
                changed = msgspec.structs.replace(raw, key=key)
                yield f"{name}: {what}", changed, {Reason.KEY_MISMATCH}


def _bodies(raw: RawRecord) -> Iterator[tuple[str, bytes | None, set[str]]]:
    body, packed = raw.value or b"", mutations.is_packed(raw)
    unreadable: set[str] = {Reason.NOT_MSGPACK if packed else Reason.NOT_JSON}
    damaged = unreadable | {Reason.SCHEMA_INVALID, Reason.MISSING_FIELD, Reason.BAD_UTF8}
    yield "no value", None, {Reason.EMPTY}
    yield "an empty value", b"", {Reason.EMPTY}
    for share in range(1, 10):
        yield f"cut at {share}0 %", body[: len(body) * share // 10], damaged
    yield "bytes behind it", body + b"x", damaged
    yield "noise", Random(1).randbytes(64), damaged | {Reason.DEPTH}
    yield "2 MiB", body + b" " * (2 << 20), {Reason.TOO_LARGE}
    yield "a list", msgspec.msgpack.encode([1]) if packed else b"[1]", damaged
    if not packed:
        yield "UTF-16", body.decode().encode("utf-16"), damaged
        yield "a byte order mark", b"\xef\xbb\xbf" + body, damaged
        yield "Latin-1", body.replace(b'"', b'"\xe9', 1), {Reason.BAD_UTF8}
        yield "1,025 deep", b"[" * 1_025, {Reason.DEPTH}
        yield "a doubled key", body.replace(b"{", b'{"x": 1, "x": 2, ', 1), {Reason.DUPLICATE_KEY}
        many = ",".join(f'"k{number}": 1' for number in range(10_000))
        yield (
            "10,000 keys",
            body.replace(b"{", f"{{{many},".encode(), 1),
            {*(Reason.TOO_MANY_FIELDS, Reason.TOO_LARGE)},
        )
        yield (
            "5,000 digits",
            body.replace(b"{", b'{"x": ' + b"9" * 5_000 + b", ", 1),
            {Reason.INT_RANGE},
        )
    yield from _fields(body, packed)


def _fields(body: bytes, packed: bool) -> Iterator[tuple[str, bytes, set[str]]]:
    """Each field taken away or made of another kind, as far as that is a fault."""
    tree = msgspec.msgpack.decode(body) if packed else json.loads(body)
    inner = tree["data"] if "specversion" in tree else tree

    def written() -> bytes:
        return msgspec.msgpack.encode(tree) if packed else json.dumps(tree).encode()

    any_reason: set[str] = set(Reason) - {Reason.FATAL, Reason.KEY_MISMATCH}
    for name, value in list(inner.items()):
        if name in NEEDED:
            del inner[name]
            yield f"no {name}", written(), {Reason.MISSING_FIELD, Reason.SCHEMA_INVALID}
        others: list[Any] = [[[]], [None], {"x": {"y": []}}, 1 << 63]
        # the version of a resource or a deploy may be empty: no row has it
        others += [""] if name in NEEDED and not (name == "version" and "time_ms" in inner) else []
        for other in others:
            inner[name] = other
            yield f"{name} is {other!r}", written(), any_reason
        inner[name] = value


def _kinds(raw: RawRecord) -> Iterator[tuple[str, dict[str, bytes], set[str]]]:
    if "ce_type" not in raw.headers:
        return
    word = raw.headers["ce_type"].split(b".")[2]
    for kind, reason in (
        (b"io.inferwatch." + word + b".v2", Reason.SCHEMA_UNKNOWN),
        (b"io.inferwatch." + word + b".vabc", Reason.SCHEMA_UNKNOWN),
        (b"io.inferwatch.weather.v1", Reason.TYPE_UNKNOWN),
        (b"io.inferwatch.window.v1", Reason.SCHEMA_INVALID),
        (b"com.example." + word + b".v1", Reason.SCHEMA_INVALID),
        (b"\xff\xfe", Reason.SCHEMA_INVALID),
    ):
        yield f"type {kind!r}", raw.headers | {"ce_type": kind}, {reason}
    other = JSON if mutations.is_packed(raw) else MSGPACK
    swapped = raw.headers | {"content-type": other.encode()}
    yield (
        f"content type {other}",
        swapped,
        {*(Reason.NOT_JSON, Reason.NOT_MSGPACK, Reason.SCHEMA_INVALID, Reason.BAD_UTF8)},
    )


def special() -> Iterator[Bad]:
    """Faults that only one kind of record can have."""
    batch, body = good()["batch"], msgspec.msgpack.decode(good()["batch"].value or b"")

    def changed(**fields: Any) -> RawRecord:
        return msgspec.structs.replace(batch, value=msgspec.msgpack.encode(body | fields))

    yield "rows", changed(rows=0), {Reason.INT_RANGE}
    yield "times", changed(time_ms=b"\0" * 8), {Reason.COLUMN_LENGTH}
    yield (
        "twice",
        changed(numeric={"names": ["a", "a"], "data": b"\0" * 16}),
        {Reason.DUPLICATE_KEY},
    )
    yield "seconds", raw_inference(time_ms=[TIME_MS // 1000]), {Reason.BAD_TIME}
    yield "infinite", raw_inference(prediction=[float("inf")]), {Reason.NON_FINITE}
    yield "no label", raw_labels(ids=["a"], label=[float("nan")]), {Reason.LABEL_INVALID}
    yield "schema", changed(schema="2.0"), {Reason.SCHEMA_UNKNOWN}


def test_every_crafted_record_is_rejected_under_its_reason():
    """At least 400 bad records: each named, none folded, none in the way of the next; every
    reason of the list comes up.
    """
    partition, seen, told = Partition(0), set(), []
    cases = [*crafted(), *special()]
    for offset, (what, raw, reasons) in enumerate(cases):
        letters = _fold(partition, msgspec.structs.replace(raw, offset=offset))
        named = {letter.headers[f"{ERROR_HEADERS}reason"].decode() for letter in letters}
        if not named or not named <= reasons or partition.counts.ok:
            told.append(f"{what}: {sorted(named)} instead of {sorted(reasons)}")
        seen |= named
    assert not told, "\n".join(told)
    assert len(cases) >= 400
    assert seen == set(Reason) - {Reason.FATAL, Reason.TOO_MANY_MODELS}  # of a record that is fine
    assert partition.counts.conserved()
    assert _fold(partition, raw_tick(offset=len(cases), time_ms=TIME_MS)) == []
    assert partition.counts.ok == 1


def _fold(partition: Partition, raw: RawRecord) -> list[Output]:
    decoded = decode(raw)
    if name := partition.undefined(decoded):
        partition.define(name, streams.definition("binary/m0"), raw.offset)
    return partition.fold(raw, decoded)


@pytest.mark.timeout(300)
def test_mutated_input_never_ends_a_process():
    """Whatever is done to records, states, notes, alerts and files: read or refused, rows
    conserved, states that can be saved; no exception.
    """
    report = fuzz.run(seed=4, mutations=MUTATIONS)
    assert not report.crashes, "\n".join(report.crashes.values())
    assert report.total() >= MUTATIONS
    assert report.outcomes["events", "folded"] > MUTATIONS // 10
    assert report.outcomes["events", "rejected"] > MUTATIONS // 10


def test_the_fuzzer_would_see_a_crash(monkeypatch):
    """A decoder with a planted bug is found within 5,000 mutations, and told with an example."""

    def broken(raw: RawRecord) -> Any:
        if raw.headers.get("content-type") == b"text/plain":
            raise ZeroDivisionError
        return decode(raw)

    monkeypatch.setattr(fuzz, "decode", broken)
    report = fuzz.run(seed=1, mutations=5_000)
    assert any("ZeroDivisionError" in place for place in report.crashes)


def test_a_seed_repeats_its_run():
    """The same seed tries the same things, so that a crash can be looked at again."""
    first, again, other = (fuzz.run(seed=seed, mutations=500) for seed in (3, 3, 5))
    assert first.outcomes == again.outcomes
    assert first.outcomes != other.outcomes
