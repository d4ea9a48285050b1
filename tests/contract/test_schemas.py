"""The published schemas are today's, say what readers accept, and hold for what the fold writes."""

import json
import re

import jsonschema
import pytest
from published import SAMPLES, SCHEMAS, body_of, outputs, schema, script, validator

from inferwatch.records.decode import EVENTS, decode
from inferwatch.records.raw import JSON, PREFIX, RawRecord
from inferwatch.testing import builders, streams

JSON_SAMPLES = [name for name, found in SAMPLES.items() if str(found["body"]).endswith(".json")]
TITLES = {word: kind.__name__ for word, kind in EVENTS.items()}
TITLES |= {"inference": "InferenceEvent", "label": "LabelEvent"}
FILES = {word: word for word in ("window", "schema", "alert")}
FILES |= {"inference": "event", "label": "event"}
FILES |= dict.fromkeys(EVENTS, "small-event")


def of_word(word):
    """The validator of a type of record."""
    return validator(FILES[word], TITLES.get(word))


# ── what is committed ─────────────────────────────────────────────────────────────────────────


def test_the_committed_schemas_are_generated():
    """`scripts/schemas.py --check` finds no difference."""
    assert script.differences(SCHEMAS) == []
    assert script.main(["--check"]) == 0


def test_a_difference_is_told_with_its_remedy(tmp_path, capsys):
    """A schema that is missing, changed or stale fails the check; writing mends all three."""
    script.main([], tmp_path)
    (tmp_path / "alert.schema.json").unlink()
    (tmp_path / "event.schema.json").write_text("{}", encoding="utf-8")
    (tmp_path / "old.schema.json").write_text("{}", encoding="utf-8")
    assert script.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == [
        "schemas/alert.schema.json is missing",
        "schemas/old.schema.json belongs to no record",
        "schemas/event.schema.json is out of date",
    ]
    assert all(script.REMEDY in line for line in told)
    script.main([], tmp_path)
    assert script.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.schema.json")), ids=lambda path: path.stem)
def test_a_schema_is_one(path):
    """Each file is a schema of draft 2020-12 under an id of its own."""
    found = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert found["$id"] == f"urn:io.inferwatch:{path.name.partition('.')[0]}:1"


def test_the_readme_lists_every_schema():
    """schemas/README.md has a line for each file, and links to nothing else."""
    readme = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w-]+\.schema\.json)\)", readme))
    assert linked == {path.name for path in SCHEMAS.glob("*.schema.json")}


# ── records ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", JSON_SAMPLES)
def test_recorded_json_is_valid(name):
    """Samples of every version ever released hold today's schemas: nothing was taken away."""
    body = json.loads(body_of(name))
    type_ = SAMPLES[name]["headers"].get("ce_type") or body.get("type")
    if type_ is None:
        validator("event").validate(body)
    else:
        of_word(type_.removeprefix(PREFIX).removesuffix(".v1")).validate(body.get("data", body))


@pytest.mark.parametrize(("kind", "least"), [("window", 20), ("schema", 5), ("alert", 20)])
def test_what_the_fold_writes_is_valid(kind, least):
    """Every output of lively streams holds its schema, every field is described."""
    found = [json.loads(output.value) for output in outputs() if output.kind == kind]
    assert len(found) > least
    for record in found:
        of_word(kind).validate(record)
    seen = {field for record in found for field in record}
    described = schema(kind)["$defs"][f"{kind.capitalize()}Record"]["properties"]
    assert seen <= set(described)
    assert len(seen) > len(described) * 2 / 3


def test_a_schema_refuses_what_is_wrong():
    """An output with a field missing, of another type or of an unknown enum value is not valid."""
    good = next(json.loads(output.value) for output in outputs() if output.kind == "alert")
    for wrong in (
        {name: value for name, value in good.items() if name != "seq"},
        good | {"seq": "1"},
        good | {"condition": "burning"},
        good | {"labels": {"n": 1}},
    ):
        assert not of_word("alert").is_valid(wrong)


def test_small_events_that_are_sent_are_valid():
    """What streams send beside batches holds the schema of its type."""
    words = set()
    for raw in streams.stream(5, models=3, records=400):
        word = raw.headers["ce_type"].decode().removeprefix(PREFIX).removesuffix(".v1")
        if raw.headers["content-type"] == JSON.encode() and raw.value:
            of_word(word).validate(json.loads(raw.value))
            words.add(word)
    assert words >= {"deploy", "resource", "verdict", "monitor", "inference"}


EVENT = {
    "model": "team/model",
    "version": "1",
    "prediction_id": "a",
    "timestamp": builders.TIME_MS,
}
LABEL = {"model": "team/model", "prediction_id": "a", "timestamp": builders.TIME_MS, "label": 1}
GOOD = [
    EVENT,
    EVENT | {"timestamp": "2026-01-01T00:00:00Z"},
    EVENT | {"features": {"a": 1, "b": 1.5, "c": "x", "d": True, "e": None}},
    EVENT | {"prediction": "cat", "scores": {"cat": 0.5}, "segments": {"s": None}},
    EVENT | {"prediction": None, "proba": None, "latency_ms": 3, "error": "timeout"},
    EVENT | {"embedding": [0.5, 1, -2e-3]},
    EVENT | {"embedding": None},
    EVENT | {"extra": {"anything": [1]}},
    LABEL,
    LABEL | {"label": "yes", "version": "1"},
    LABEL | {"label": False, "version": None},
]
BAD = [
    {},
    [],
    *({name: EVENT[name] for name in EVENT if name != gone} for gone in EVENT),
    *({name: LABEL[name] for name in LABEL if name not in (gone, "label")} for gone in LABEL),
    EVENT | {"model": "team model"},
    EVENT | {"model": "team//model"},
    EVENT | {"model": "m" * 256},
    EVENT | {"version": ""},
    EVENT | {"embedding": []},
    EVENT | {"embedding": [0.5, None]},
    EVENT | {"embedding": [0.5] * 4_097},
    EVENT | {"version": 1},
    EVENT | {"prediction_id": ""},
    EVENT | {"prediction_id": "x" * 8_193},
    EVENT | {"timestamp": 1_700_000_000},
    EVENT | {"timestamp": 1_700_000_000_000_000},
    EVENT | {"timestamp": 1_700_000_000_000.5},
    EVENT | {"timestamp": None},
    EVENT | {"features": [1]},
    EVENT | {"features": {"a": [1]}},
    EVENT | {"features": {str(number): 1 for number in range(513)}},
    EVENT | {"prediction": [1]},
    EVENT | {"proba": "0.5"},
    EVENT | {"proba": True},
    EVENT | {"scores": {"a": None}},
    EVENT | {"segments": {"a": 1}},
    EVENT | {"segments": None},
    EVENT | {"error": 3},
    EVENT | {"instance": None},
    LABEL | {"label": None},
    LABEL | {"label": [1]},
    LABEL | {"version": 2},
]


@pytest.mark.parametrize(("event", "good"), [(e, True) for e in GOOD] + [(e, False) for e in BAD])
def test_the_event_schema_is_what_the_reader_does(event, good):
    """What the schema accepts is read, what it refuses is rejected."""
    key = event.get("model", "") if isinstance(event, dict) else ""
    raw = RawRecord("events.v1", 0, 0, 0, str(key).encode(), json.dumps(event).encode())
    assert validator("event").is_valid(event) is good
    assert (not decode(raw).rejects) is good
