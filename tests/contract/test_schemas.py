"""The published schemas are today's, say what readers accept, and hold for what the fold writes."""

import importlib.util
import json
import re
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from inferwatch.config import checks, monitors, units
from inferwatch.config.defaults import default_definition
from inferwatch.core.fold import Partition
from inferwatch.core.output import ERROR_HEADERS, HEADERS_MAX, dead_outputs
from inferwatch.errors import ConfigError
from inferwatch.records.decode import EVENTS, decode
from inferwatch.records.raw import JSON, PREFIX, RawRecord, headers
from inferwatch.testing import builders, streams

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ROOT / "schemas"
SAMPLES = {
    f"{path.parent.name}/{path.name.partition('.')[0]}": json.loads(path.read_text("utf-8"))
    for path in sorted(SCHEMAS.glob("golden/*/*.expected.json"))
}
JSON_SAMPLES = [name for name, found in SAMPLES.items() if str(found["body"]).endswith(".json")]
WITH_HEADERS = [name for name, found in SAMPLES.items() if found["headers"]]
TITLES = {word: kind.__name__ for word, kind in EVENTS.items()}
TITLES |= {"inference": "InferenceEvent", "label": "LabelEvent"}
FILES = {"window": "window", "alert": "alert", "inference": "event", "label": "event"}
FILES |= dict.fromkeys(EVENTS, "small-event")
_spec = importlib.util.spec_from_file_location("schemas", ROOT / "scripts" / "schemas.py")
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


@cache
def schema(name):
    """A committed schema."""
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


def validator(name, title=None):
    """The validator of a schema, or of one of its definitions."""
    whole = schema(name)
    if title is not None:
        whole = {"$ref": f"#/$defs/{title}", "$defs": whole["$defs"]}
    return jsonschema.Draft202012Validator(whole)


def of_word(word):
    """The validator of a type of record."""
    return validator(FILES[word], TITLES.get(word))


@pytest.fixture(scope="module")
def outputs():
    """What the fold makes of streams with every kind of trouble."""
    found = []
    partition = Partition(0)
    records = [raw for seed in (1, 2, 3) for raw in streams.stream(seed, models=3, records=300)]
    for raw in streams.placed(records):
        decoded = decode(raw)
        name = partition.undefined(decoded)
        if name is not None:
            partition.define(name, streams.definition(name), raw.offset)
        found += partition.fold(raw, decoded)
    return found


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


def body_of(name):
    """The bytes of a sample."""
    body = SAMPLES[name]["body"]
    return b"" if body is None else (SCHEMAS / "golden" / name).with_name(body).read_bytes()


@pytest.mark.parametrize("name", JSON_SAMPLES)
def test_recorded_json_is_valid(name):
    """Samples of every version ever released hold today's schemas: nothing was taken away."""
    body = json.loads(body_of(name))
    type_ = SAMPLES[name]["headers"].get("ce_type") or body.get("type")
    if type_ is None:
        validator("event").validate(body)
    else:
        of_word(type_.removeprefix(PREFIX).removesuffix(".v1")).validate(body.get("data", body))


@pytest.mark.parametrize("kind", ["window", "alert"])
def test_what_the_fold_writes_is_valid(outputs, kind):
    """Every window and transition of lively streams holds its schema, every field is described."""
    found = [json.loads(output.value) for output in outputs if output.kind == kind]
    assert len(found) > 20
    for record in found:
        of_word(kind).validate(record)
    seen = {field for record in found for field in record}
    described = schema(kind)["$defs"][f"{kind.capitalize()}Record"]["properties"]
    assert seen <= set(described)
    assert len(seen) > len(described) * 2 / 3


def test_a_schema_refuses_what_is_wrong(outputs):
    """An output with a field missing, of another type or of an unknown enum value is not valid."""
    good = next(json.loads(output.value) for output in outputs if output.kind == "alert")
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


# ── CloudEvents ───────────────────────────────────────────────────────────────────────────────


class _Bytes(JSONFormat):
    """The library's format, which leaves data as the bytes they are."""

    def read_data(self, body, datacontenttype):
        """The value of the record."""
        return body


def cloud_event(described, key, value):
    """The record as the CloudEvents library reads it, its own checks included."""
    return from_binary(KafkaMessage(described, key, value), _Bytes())


@pytest.mark.parametrize("name", WITH_HEADERS)
def test_recorded_headers_are_cloud_events(name):
    """An independent library reads each recorded record as a CloudEvent 1.0 of its type."""
    said, value = SAMPLES[name]["headers"], body_of(name)
    described = {key: text.encode() for key, text in said.items()}
    if said["content-type"].startswith("application/cloudevents"):
        event = from_structured(KafkaMessage(described, None, value), JSONFormat())
        assert event.get_data() == json.loads(value)["data"]
        said = json.loads(value)
        assert (event.get_type(), event.get_id()) == (said["type"], said["id"])
        return
    event = cloud_event(described, SAMPLES[name]["key"], value)
    assert event.get_specversion() == "1.0"
    assert (event.get_type(), event.get_id()) == (said["ce_type"], said["ce_id"])
    assert event.get_datacontenttype() == said["content-type"]
    assert event.get_data() == value


def test_outputs_are_cloud_events(outputs):
    """Windows and alerts name themselves: id, type and content of each record, keys as promised."""
    kinds = set()
    for output in outputs:
        if output.kind in ("window", "alert"):
            event = cloud_event(output.headers, output.key, output.value)
            record = json.loads(output.value)
            key = record["model"] if output.kind == "window" else record["fingerprint"]
            assert output.key == key.encode()
            assert event.get_id() == record["id"]
            assert event.get_type() == f"io.inferwatch.{output.kind}.v1"
            assert event.get_source() == f"inferwatch/{record['model']}"
            kinds.add(output.kind)
    assert kinds == {"window", "alert"}


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_any_id_and_source_are_read_as_they_were_written(id_, source):
    """Headers hold UTF-8, whatever is in a name."""
    clean = [text.encode("utf-8", "replace").decode() for text in (id_, source)]
    described = headers(
        "deploy", id=clean[0], source=clean[1], time="2026-01-01T00:00:00.5Z", content_type=JSON
    )
    event = cloud_event(described, b"team/model", b"{}")
    assert [event.get_id(), event.get_source()] == clean
    assert event.get_time().isoformat() == "2026-01-01T00:00:00.500000+00:00"


def test_the_headers_of_dead_letters_are_described():
    """schemas/README.md has each header that a dead letter adds, and no other."""
    readme = (SCHEMAS / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Dead letters\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    described = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    many = {f"header-{number}": b"x" for number in range(HEADERS_MAX + 1)}
    raw = RawRecord("events.v1", 0, 0, 0, b"m", b"{}", many)
    added = {
        name.removeprefix(ERROR_HEADERS)
        for letter in dead_outputs(raw, decode(raw).rejects)
        for name in letter.headers
        if name.startswith(ERROR_HEADERS)
    }
    assert described == added


# ── monitor files ─────────────────────────────────────────────────────────────────────────────


def monitor_file(text):
    """A monitor file as a validator sees it."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


def loads(text, tmp_path):
    """Whether `inferwatch` takes the file."""
    path = tmp_path / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        monitors.read(path)
    except ConfigError:
        return False
    return True


HEAD = 'apiVersion: inferwatch/v1\nmatch: {model: "team/model"}\n'
FULL = (
    HEAD
    + """
model:
  task: binary
  positive: 1
  label_delay: 1h
  label_wait: 90m
  label_horizon: 2d
  segments: [country]
  segments_max: 20
  segments_min_rows: 20
  pending_max: 64MiB
  restate_every: 5m
reference: {last: 7d, min_rows: 5000, min_span: 1h}
windows:
  slow: {size: 1h, step: 15m, grace: 30s}
  batch: {rows: 5000, exact: true}
checks:
  - alert: RecallDrop
    metric: recall
    window: slow
    against: reference
    segment_by: [country]
    when: {rows: 10, labels: 200, coverage: 80%}
    warn: {drop: 3pp, clear: 1pp}
    fail: {drop: 5%}
    times: 2 of 3
    for: 3m
    keep_firing_for: 1h30m
    mode: observe
    labels: {team: risk}
    annotations: {runbook: "https://example.org/1"}
  - {alert: Shift, metric: error, method: adwin, params: {delta: 0.002}}
  - {alert: Slow, metric: latency.p99, window: slow, fail: {above: 250ms}}
  - {alert: Drift, metric: feature.amount, method: psi, window: batch, fail: {above: 0.25}}
  - {alert: Any, metric: feature.*, method: ks, window: batch, warn: {above: 0.1}, fail: calibrated}
  - {alert: Silent, metric: traffic, method: absent, for: 10m}
"""
)


def blocks():
    """Monitor files of the examples and of README.md and docs/monitors.md."""
    found = [path.read_text(encoding="utf-8") for path in ROOT.glob("examples/*/monitors.yaml")]
    for page in (ROOT / "README.md", ROOT / "docs" / "monitors.md"):
        yaml = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        found += [text for text in yaml if text.startswith("apiVersion: inferwatch/v1")]
    return found


def test_monitor_files_that_are_shown_are_valid():
    """Examples and documented files hold the schema."""
    assert len(blocks()) >= 2
    for text in [FULL, *blocks()]:
        validator("monitor-file").validate(monitor_file(text))


def test_every_default_check_can_be_written():
    """Metrics and methods of the default set are words that the schema knows."""
    check = validator("monitor-file", "check")
    for made in default_definition().checks:
        check.validate({"alert": made.alert, "metric": made.metric, "method": made.method})
    for metric in [*checks.PLAIN, "feature.a", "feature.*.missing"]:
        assert check.is_valid({"alert": "A", "metric": metric})


PLACES = {
    "": (HEAD + "zzz: 1", "/properties"),
    "match": ("apiVersion: inferwatch/v1\nmatch: {zzz: 1}", "/properties/match/properties"),
    "model": (HEAD + "model: {zzz: 1}", "/properties/model/properties"),
    "reference": (HEAD + "reference: {zzz: 1}", "/properties/reference/properties"),
    "window": (HEAD + "windows: {w: {zzz: 1}}", "/$defs/window/properties"),
    "check": (HEAD + "checks: [{zzz: 1}]", "/$defs/check/properties"),
    "when": (
        HEAD + "checks: [{alert: A, metric: rows, window: hour, fail: {below: 1}, when: {zzz: 1}}]",
        "/$defs/check/properties/when/properties",
    ),
    "limit": (
        HEAD + "checks: [{alert: A, metric: rows, fail: {zzz: 1}}]",
        "/$defs/limit/properties",
    ),
    "method": (
        HEAD + "checks: [{alert: A, metric: rows, method: zzz}]",
        "/$defs/check/properties/method/enum",
    ),
    "mode": (
        HEAD + "checks: [{alert: A, metric: rows, window: hour, fail: {below: 1}, mode: zzz}]",
        "/$defs/check/properties/mode/enum",
    ),
    "task": (HEAD + "model: {task: zzz}", "/properties/model/properties/task/enum"),
}


@pytest.mark.parametrize(("text", "pointer"), PLACES.values(), ids=PLACES)
def test_the_words_of_a_monitor_file_are_those_that_config_reads(text, pointer, tmp_path):
    """What `inferwatch` says is allowed in a place is what the schema has there."""
    path = tmp_path / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        monitors.read(path)
    allowed = refused.value.fix.partition("allowed: ")[2].split(", ")
    place = schema("monitor-file")
    for name in pointer.split("/")[1:]:
        place = place[name]
    assert sorted(place) == allowed
    assert not validator("monitor-file").is_valid(monitor_file(text))


CHECK = HEAD + "windows: {w: {size: 1h}}\nchecks:\n  - {alert: A, metric: accuracy, %s}\n"
MISTAKES = [
    "match: {model: a}",
    HEAD + "windows: {}",
    HEAD + "windows: {w: {}}",
    HEAD + "windows: {w: {size: 1h, rows: 100}}",
    HEAD + "windows: {w: {rows: 100, step: 1m}}",
    HEAD + "windows: {w: {rows: 49}}",
    HEAD + "windows: {w: {size: 60}}",
    HEAD + "windows: {w: {size: 1 hour}}",
    HEAD + "windows: {w: {size: 1h, exact: 1}}",
    HEAD + "reference: {profile: p.json, last: 7d}",
    HEAD + "reference: {min_rows: 10}",
    HEAD + "reference: {profile: p.json, min_span: 1h}",
    HEAD + "model: {segments: country}",
    HEAD + "model: {segments_max: 0}",
    HEAD + "model: {segments_min_rows: 0}",
    HEAD + "model: {pending_max: 64}",
    HEAD + "checks: {alert: A}",
    HEAD + "checks: [{metric: rows}]",
    CHECK % "metric2: x",
    CHECK % "fail: {above: 1, below: 2}",
    CHECK % "fail: learnt",
    CHECK % "fail: {clear: 1}",
    CHECK % "fail: {drop: five}",
    CHECK % "fail: {drop: 5 percent}",
    CHECK % "fail: {drop: 5%}, times: 2/3",
    CHECK % "fail: {drop: 5%}, for: 3",
    CHECK % "fail: {drop: 5%}, against: last week",
    CHECK % "fail: {drop: 5%}, when: {labels: 0}",
    CHECK % "fail: {drop: 5%}, labels: [a]",
    CHECK % "method: adwin, params: {delta: 0}",
    CHECK % "method: adwin, params: {dleta: 1}",
    CHECK.replace("accuracy", "acuracy") % "fail: {drop: 5%}",
]


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_refused_by_both(text, tmp_path):
    """An editor marks what `inferwatch` would refuse."""
    assert not validator("monitor-file").is_valid(monitor_file(text))
    assert not loads(text, tmp_path)


def test_the_full_file_is_taken_by_both(tmp_path):
    """Every key, once: read by `inferwatch`, valid for an editor."""
    assert loads(FULL, tmp_path)
    assert validator("monitor-file").is_valid(monitor_file(FULL))
    keys = {key for check in monitor_file(FULL)["checks"] for key in check}
    assert keys == set(checks.KEYS)


word = st.text(alphabet="0123456789.mshdwpkKMGiB%+-eE ", max_size=8)


@given(
    word
    | st.from_regex(script.UNITS["duration"]["pattern"])
    | st.from_regex(script.UNITS["size"]["pattern"])
    | st.from_regex(script.UNITS["amount"]["pattern"]),
)
def test_the_patterns_of_units_are_the_parsers(text):
    """A duration, size or amount is one for the schema exactly where `config.units` reads it."""
    if not text.isascii() or text != text.strip("\n"):
        return
    for name, parse in (
        ("duration", units.duration_ms),
        ("size", units.size_bytes),
        ("amount", units.amount),
    ):
        is_one = validator("monitor-file", name).is_valid(text)
        assert is_one is (parse(text) is not None), (name, text)


def test_numbers_are_amounts():
    """A limit may be a plain number."""
    amount = validator("monitor-file", "amount")
    assert amount.is_valid(0.25) and amount.is_valid(-3) and not amount.is_valid(True)
