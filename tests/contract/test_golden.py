"""Recorded bytes of every version are read, by us and by a decoder made from schemas/batch.md."""

import json
import math
import os
import re
import shutil
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from inferwatch.core.placement import partition_of
from inferwatch.errors import Reason
from inferwatch.records.batch import (
    CALL_NUMBERS,
    SCHEMA,
    InferenceBatch,
    LabelBatch,
    LlmCalls,
    encode,
)
from inferwatch.records.decode import EVENTS, OUTPUTS, decode
from inferwatch.records.ids import Ids
from inferwatch.records.outputs import AlertRecord, SchemaRecord, WindowRecord, canonical
from inferwatch.records.raw import MSGPACK, PREFIX, RawRecord, headers
from inferwatch.records.rows import Calls, Rows, Truths, Words

SCHEMAS = Path(__file__).parent.parent.parent / "schemas"
GOLDEN = SCHEMAS / "golden"
README = (SCHEMAS / "README.md").read_text(encoding="utf-8")
BATCH = (SCHEMAS / "batch.md").read_text(encoding="utf-8")
SAMPLES = {
    f"{path.parent.name}/{path.name.removesuffix('.expected.json')}": path
    for path in sorted(GOLDEN.glob("*/*.expected.json"))
}
OUTPUT_KINDS = {"window": WindowRecord, "schema": SchemaRecord, "alert": AlertRecord}
BATCH_KINDS = {"inference": InferenceBatch, "label": LabelBatch}


class Sample:
    """One recorded record, and what it says."""

    def __init__(self, name):
        path = SAMPLES[name]
        expected = json.loads(path.read_text(encoding="utf-8"))
        self.record = expected["record"]
        self.headers = {key: value.encode() for key, value in expected["headers"].items()}
        self.key = None if expected["key"] is None else expected["key"].encode()
        body = expected["body"]
        self.value = None if body is None else (path.parent / body).read_bytes()
        type_ = expected["headers"].get("ce_type", "")
        self.word = type_.removeprefix(PREFIX).removesuffix(".v1")

    def raw(self, value=None, **described):
        """The record, perhaps with another body or other headers."""
        value = self.value if value is None else value
        return RawRecord("events.v1", 0, 0, 0, self.key, value, self.headers | described)

    @property
    def is_batch(self):
        """Whether the body is msgpack."""
        return self.headers.get("content-type") == MSGPACK.encode()

    @property
    def is_output(self):
        """Whether it is a record that inferwatch publishes."""
        return self.word in OUTPUTS


def named(predicate):
    """Names of the samples that are so."""
    return [name for name in SAMPLES if predicate(Sample(name))]


INPUTS = named(lambda sample: not sample.is_output)
BATCHES = named(lambda sample: sample.is_batch)
JSON_INPUTS = named(
    lambda sample: not sample.is_output and not sample.is_batch and sample.value is not None
)


def text(value):
    """Canonical JSON, numbers that it lacks as samples write them; tells -0.0 from 0.0."""
    return json.dumps(plain(value), sort_keys=True, allow_nan=False)


def plain(value):
    """Values that JSON has."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


# ── our reader ────────────────────────────────────────────────────────────────────────────────


def said(record):
    """What our decoder made of a record, as samples write it."""
    if not isinstance(record, Rows | Truths):
        return msgspec.to_builtins(record)
    found = {
        name: _column(getattr(record, name))
        for name in record.__struct_fields__
        if name not in ("n", "numeric_names", "numeric", "score_names", "scores")
    }
    for name in ("source_offsets", "llm", "embedding"):  # samples older than these do not name them
        if name in found and found[name] is None:
            del found[name]
    found["rows"] = record.n
    found["scores"] = _block(record.score_names, record.scores)
    if isinstance(record, Rows):
        found["numeric"] = _block(record.numeric_names, record.numeric)
    return found


def _block(names, block):
    return {} if block is None else dict(zip(names, block.tolist(), strict=True))


def _column(value):
    if isinstance(value, Words):
        return [None if code < 0 else value.words[code] for code in value.codes.tolist()]
    if isinstance(value, dict):
        return {name: _column(item) for name, item in value.items()}
    if isinstance(value, Ids):
        return list(value)
    if isinstance(value, Calls):
        numbers = zip(CALL_NUMBERS, value.numbers.tolist(), strict=True)
        return dict(numbers) | {"finish_reason": _column(value.finish_reason)}
    return value.tolist() if hasattr(value, "tolist") else value


def summed(expected):
    """A sample's record as our rows have it: dropped rows as a sum, no schema."""
    found = {name: value for name, value in expected.items() if name != "schema"}
    if isinstance(found.get("dropped"), dict):
        found["dropped"] = sum(found["dropped"].values())
    return found


@pytest.mark.parametrize("name", INPUTS)
def test_every_recorded_input_is_read(name):
    """Our reader makes of each sample what was recorded beside it, and rejects nothing."""
    sample = Sample(name)
    decoded = decode(sample.raw())
    assert decoded.rejects == ()
    assert text(said(decoded.record)) == text(summed(sample.record))


@pytest.mark.parametrize("name", named(lambda sample: sample.is_output))
def test_every_recorded_output_is_read(name):
    """Outputs are read as today's structs, and written again they have the same bytes."""
    sample = Sample(name)
    record = msgspec.json.decode(sample.value, type=OUTPUT_KINDS[sample.word])
    assert text(msgspec.to_builtins(record)) == text(sample.record)
    assert canonical(record) == sample.value
    assert sample.headers["ce_id"].decode() == record.id


@pytest.mark.parametrize("name", [name for name in INPUTS if name.startswith(f"{SCHEMA}/")])
def test_todays_writer_writes_what_was_recorded(name):
    """The newest version's samples are what its structs encode to, byte for byte."""
    sample = Sample(name)
    if sample.is_batch:
        kind = BATCH_KINDS[sample.word]
        assert encode(msgspec.msgpack.decode(sample.value, type=kind)) == sample.value
    elif sample.word in EVENTS:
        event = msgspec.json.decode(sample.value, type=EVENTS[sample.word])
        assert msgspec.json.encode(event) == sample.value


def test_every_version_has_a_sample_of_each_type():
    """Each folder holds every type of record that crosses a topic others may use."""
    folders = [path.name for path in GOLDEN.iterdir() if path.is_dir()]
    assert SCHEMA in folders
    for folder in folders:
        words = {Sample(name).word for name in SAMPLES if name.startswith(f"{folder}/")}
        assert words >= {"inference", "label", "tick", *EVENTS, *OUTPUTS}
        bodies = {path.name for path in (GOLDEN / folder).iterdir()}
        assert {name.partition(".")[0] for name in bodies} == {
            name.partition("/")[2] for name in SAMPLES if name.startswith(f"{folder}/")
        }


# ── other minors and majors ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BATCHES)
def test_the_next_minor_of_a_batch_is_read(name):
    """Minor + 1 with fields that nobody knows yet says the same as before."""
    sample = Sample(name)
    major, _, minor = SCHEMA.partition(".")
    later = unpack(sample.value) | {
        "schema": f"{major}.{int(minor) + 1}",
        "gradients": {"names": ["e"], "data": b"\x00" * 16, "of": [1, [2, {"deep": None}]]},
        "": -1.5,
        "deep": json.loads("[" * 100 + "]" * 100),
    }
    later["ids"] |= {"language": "de"}
    decoded = decode(sample.raw(msgspec.msgpack.encode(later)))
    assert decoded.rejects == ()
    assert text(said(decoded.record)) == text(summed(sample.record))


@pytest.mark.parametrize("name", JSON_INPUTS)
def test_the_next_minor_of_a_json_record_is_read(name):
    """Unknown fields, whatever is in them, change nothing."""
    sample = Sample(name)
    later = json.loads(sample.value)
    place = later.get("data", later)
    place |= {"explained_by": [{"a": 1.5}, None], "ü": "new"}
    decoded = decode(sample.raw(json.dumps(later).encode()))
    assert decoded.rejects == ()
    assert text(said(decoded.record)) == text(summed(sample.record))


@pytest.mark.parametrize("name", [name for name in INPUTS if Sample(name).word])
def test_the_next_major_is_kept_for_later(name):
    """Major + 1 in the type's name is `schema_unknown`, whatever the body."""
    sample = Sample(name)
    later = sample.headers["ce_type"].replace(b".v1", b".v2")
    for value in (sample.value, b"\xc1"):
        (reject,) = decode(sample.raw(value, ce_type=later)).rejects
        assert reject.reason == Reason.SCHEMA_UNKNOWN


@pytest.mark.parametrize("name", BATCHES)
def test_the_next_major_of_a_body_is_kept_for_later(name):
    """Major + 1 in the body is `schema_unknown`, also where its fields are others."""
    sample = Sample(name)
    body = unpack(sample.value) | {"schema": "2.0"}
    for changed in (body, body | {"ids": "others"}, {"schema": "2.0"}):
        (reject,) = decode(sample.raw(msgspec.msgpack.encode(changed))).rejects
        assert reject.reason == Reason.SCHEMA_UNKNOWN


def test_the_next_major_of_a_structured_event_is_kept_for_later():
    """Major + 1 in an envelope is `schema_unknown`."""
    sample = Sample("1.0/structured")
    (reject,) = decode(sample.raw(sample.value.replace(b".v1", b".v2"))).rejects
    assert reject.reason == Reason.SCHEMA_UNKNOWN


# ── an independent reader, from schemas/batch.md and the msgpack specification ────────────────

SIZES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
SCALARS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
SCALARS |= {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}


class Unpacker:
    """The types of msgpack that a batch may hold."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        """The next bytes."""
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size : self.at]

    def value(self):
        """The next value."""
        tag = self.take(1)[0]
        if tag <= 0x7F or tag >= 0xE0:
            return tag if tag <= 0x7F else tag - 256
        if tag <= 0x8F:
            return self.map(tag & 0x0F)
        if tag <= 0x9F:
            return self.array(tag & 0x0F)
        if tag <= 0xBF:
            return self.take(tag & 0x1F).decode()
        if tag in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[tag]
        if tag in SCALARS:
            return struct.unpack(SCALARS[tag], self.take(struct.calcsize(SCALARS[tag])))[0]
        size = int.from_bytes(self.take(SIZES[tag]), "big")
        if tag <= 0xC6:
            return self.take(size)
        if tag <= 0xDB:
            return self.take(size).decode()
        return self.array(size) if tag <= 0xDD else self.map(size)

    def map(self, size):
        """Pairs, each key once."""
        pairs = [(self.value(), self.value()) for _ in range(size)]
        assert len(dict(pairs)) == size
        return dict(pairs)

    def array(self, size):
        """Items."""
        return [self.value() for _ in range(size)]


def unpack(data):
    """The one value in `data`."""
    unpacker = Unpacker(data)
    value = unpacker.value()
    assert unpacker.at == len(data)
    return value


def array(code, data, n):
    """n little-endian numbers."""
    return list(struct.unpack(f"<{n}{code}", data))


def texts(column, n):
    """Texts."""
    ends = [0, *array("I", column["ends"], n)]
    assert ends[-1] == len(column["data"])
    return [column["data"][start:end].decode() for start, end in pairwise(ends)]


def block(column, code, n):
    """Block of float32 (`f`) or float64 (`d`)."""
    if column is None:
        return {}
    flat = array(code, column["data"], n * len(column["names"]))
    return {name: flat[at * n : at * n + n] for at, name in enumerate(column["names"])}


def vectors(column, n):
    """Vectors; one with a number that is not finite is missing whole."""
    dim = column["dim"]
    flat = array("f", column["data"], n * dim)
    rows = [flat[at : at + dim] for at in range(0, n * dim, dim)]
    return [row if all(map(math.isfinite, row)) else [None] * dim for row in rows]


def categories(column, n):
    """Categories."""
    words = [*column["words"], None]  # -1 is missing
    return [words[code] for code in array("i", column["codes"], n)]


def answers(column, n):
    """Numbers or Categories."""
    if column is None:
        return None
    if column["kind"] == "numbers":
        return array("d", column["data"], n)
    assert column["kind"] == "categories"
    return categories(column, n)


def optional(read, column, *arguments):
    """A column that may be left out."""
    return None if column is None else read(column, *arguments)


def read_batch(body, is_label):
    """A batch as the specification says it."""
    n = body["rows"]
    found = {
        "schema": body.get("schema", "1.0"),
        "model": body["model"],
        "version": body.get("version") if is_label else body["version"],
        "emitter": body["emitter"],
        "seq": body["seq"],
        "rows": n,
        "emitted": body.get("emitted", 0),
        "dropped": body.get("dropped", {}),
        "time_ms": array("q", body["time_ms"], n),
        "ids": texts(body["ids"], n),
        "prediction": answers(body.get("prediction"), n),
        "scores": block(body.get("scores"), "d", n),
    }
    if "source_offsets" in body:
        found["source_offsets"] = array("q", body["source_offsets"], n)
    if is_label:
        return found | {"label": answers(body["label"], n)}

    def floats(name):
        return optional(lambda data: array("f", data, n), body.get(name))

    def call():
        told = body["llm"]
        numbers = ("input_tokens", "output_tokens", "time_to_first_token_ms", "cost")
        found = {
            name: array("f", told[name], n) if name in told else [None] * n for name in numbers
        }
        finish = told.get("finish_reason")
        return found | {"finish_reason": categories(finish, n) if finish else [None] * n}

    if body.get("llm") is not None:
        found["llm"] = call()
    if body.get("embedding") is not None:
        found["embedding"] = vectors(body["embedding"], n)

    def words(name):
        return {key: categories(column, n) for key, column in body.get(name, {}).items()}

    return found | {
        "numeric": block(body.get("numeric"), "f", n),
        "categories": words("categories"),
        "segments": words("segments"),
        "latency_ms": floats("latency_ms"),
        "weight": floats("weight"),
        "error": optional(categories, body.get("error"), n),
        "entity": optional(texts, body.get("entity"), n),
        "instance": body.get("instance", ""),
    }


@pytest.mark.parametrize("name", BATCHES)
def test_a_decoder_made_from_the_specification_agrees(name):
    """The specification is enough to read every recorded batch, to the same values."""
    sample = Sample(name)
    found = read_batch(unpack(sample.value), sample.word == "label")
    assert text(found) == text(sample.record)


def test_the_specification_names_every_field():
    """No field of a batch is missing on the page, and none is there that is not in the struct."""
    inference, label = re.findall(r"\| field \| type \|.*?\n\n", BATCH, re.DOTALL)
    fields = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
    assert fields.findall(inference) == list(InferenceBatch.__struct_fields__)
    shared = re.findall(r"`(\w+)`", re.search(r"\n`label` has(.*?)as above", BATCH, re.DOTALL)[1])
    assert {*shared, *fields.findall(label)} == set(LabelBatch.__struct_fields__)
    (calls,) = re.findall(r"\| in `llm` \|.*?\n\n", BATCH, re.DOTALL)
    assert set(fields.findall(calls)) == set(LlmCalls.__struct_fields__)


def test_the_specification_knows_every_reason():
    """Each reason of the closed list is explained there, or beside the dead letters."""
    promises = BATCH.partition("## What readers promise")[2]
    letters = README.partition("## Dead letters")[2].partition("\n## ")[0]
    known = set(re.findall(r"`(\w+)`", promises + letters))
    assert {reason.value for reason in Reason} <= known


def test_the_bytes_on_the_page_are_the_sample():
    """The batch that the page shows byte by byte is the smallest recorded one."""
    (shown,) = re.findall(r"```\n(.*?)```", BATCH.partition("byte by byte\n")[2], re.DOTALL)
    lines = [re.split(r" {2,}(?=\D*\"|map of|1767)", line)[0] for line in shown.splitlines()]
    digits = "".join(re.findall(r"\b(?:[0-9a-f]{2})+\b", " ".join(lines)))
    assert bytes.fromhex(digits) == Sample("1.0/inference-smallest").value


@pytest.mark.parametrize(
    ("language", "file", "command"),
    [("go", "main.go", ["go", "run"]), ("java", "Batch.java", ["java"])],
)
def test_programs_in_the_readme_write_a_batch(language, file, command, tmp_path):
    """The Go and the Java program are whole, run, and write what our reader reads."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"not proved here: no {command[0]} to run schemas/README.md's program")
    (program,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (tmp_path / file).write_text(program, encoding="utf-8")
    ran = subprocess.run([*command, file], cwd=tmp_path, capture_output=True, timeout=170)
    assert ran.returncode == 0, ran.stderr.decode()
    described = headers("inference", id="1", source="test", time="", content_type=MSGPACK)
    rows = decode(RawRecord("events.v1", 0, 0, 0, b"risk/fraud", ran.stdout, described)).record
    assert said(rows) | {"emitter": ""} == said(rows) | {
        "emitter": "",
        "model": "risk/fraud",
        "version": "12",
        "seq": 0,
        "rows": 2,
        "time_ms": [1767225600000, 1767225600001],
        "ids": ["a-1", "ä-2"],
        "numeric": {"amount": [12.5, 30.0]},
        "categories": {"country": ["DE", None]},
        "prediction": [1.0, 0.0],
    }


def test_the_kcat_line_in_the_readme_sends_a_label(embedded_broker):
    """The line is whole: its record is a label, in the partition where the model belongs."""
    if shutil.which("kcat") is None:
        assert not os.environ.get("CI"), "CI needs kcat"
        pytest.skip("not proved here: no kcat to run schemas/README.md's line")
    (line,) = re.findall(r"```\n(printf .*?)```", README, re.DOTALL)
    command = line.replace("kafka:9092", embedded_broker)
    subprocess.run(["bash", "-c", command], check=True, timeout=60)
    consumer = Consumer({"bootstrap.servers": embedded_broker, "group.id": "test"})
    topic = consumer.list_topics(timeout=30).topics["inferwatch.events.v1"]
    place = partition_of("risk/fraud", len(topic.partitions))
    consumer.assign([TopicPartition(topic.topic, place, OFFSET_BEGINNING)])
    message = consumer.poll(30)
    consumer.close()
    truths = decode(RawRecord(topic.topic, place, 0, 0, message.key(), message.value())).record
    assert (truths.model, truths.ids, truths.label.tolist()) == ("risk/fraud", ["a-1"], [0.0])
