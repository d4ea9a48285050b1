#!/usr/bin/env python3
"""The JSON Schemas and the AsyncAPI document in schemas/: written from the record structs, the
topics and the tables of `config`.

Without options the files are written anew; `--check` compares them and exits with 1 where one
differs.
"""

import argparse
import inspect
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML

from inferwatch import __version__, connection
from inferwatch.config import checks, limits, monitors
from inferwatch.core import soundness
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.core.sketches import score_labels
from inferwatch.records import bounds, decode
from inferwatch.records.outputs import AlertRecord, SchemaRecord, WindowRecord
from inferwatch.records.raw import JSON, MSGPACK, PREFIX
from inferwatch.records.single import InferenceEvent, LabelEvent
from inferwatch.runtime import topics

FOLDER = Path(__file__).parent.parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REMEDY = "run `python scripts/schemas.py` and commit what it writes"
Schema = dict[str, Any]

TIME = {"minimum": decode.EARLIEST_MS, "exclusiveMaximum": decode.LATEST_MS}
INPUT = {
    "model": {"pattern": f"^{decode.NAME.pattern}$", "maxLength": decode.NAME_MAX},
    "time_ms": TIME,
}
EVENT = INPUT | {
    "version": {"minLength": 1},
    "prediction_id": {"minLength": 1},
    "timestamp": TIME | {"format": "date-time"},
}


def documents() -> dict[str, Schema]:
    """Every schema by its file name."""
    return {
        "event.schema.json": _document(
            "event",
            "One prediction or one label as a JSON message: a label where the object has `label`. "
            "Unknown fields are skipped. Lengths are characters here, UTF-8 bytes for the reader.",
            [InferenceEvent, LabelEvent],
            EVENT,
        ),
        "small-event.schema.json": _document(
            "small-event",
            "What else happens to a model. The header `ce_type` says which: "
            + ", ".join(
                f"io.inferwatch.{word}.v1 is {kind.__name__}"
                for word, kind in decode.EVENTS.items()
            )
            + ".",
            list(decode.EVENTS.values()),
            INPUT,
        ),
        "window.schema.json": _document(
            "window", "A record of the topic windows.v1: a closed window.", [WindowRecord], {}
        ),
        "schema.schema.json": _document(
            "schema",
            "A record of the topic windows.v1: columns that came, went or changed their kind.",
            [SchemaRecord],
            {},
        ),
        "alert.schema.json": _document(
            "alert", "A record of the topic alerts.v1.", [AlertRecord], {}
        ),
        "monitor-file.schema.json": _monitor_file(),
    }


def _document(name: str, description: str, kinds: list[type], limits: Schema) -> Schema:
    """One file: any of `kinds`, with what readers demand of a field beyond its type."""
    references, components = msgspec.json.schema_components(kinds)
    definitions = {title: _plain(component) for title, component in components.items()}
    for definition in definitions.values():
        for field, demands in limits.items():
            if field in definition.get("properties", {}):
                definition["properties"][field] |= demands
    if limits:
        for part in [part for definition in definitions.values() for part in _parts(definition)]:
            _limit(part, name == "event")
    return _head(name, description) | _choice(kinds, references) | {"$defs": definitions}


def _choice(kinds: list[type], references: tuple[Schema, ...]) -> Schema:
    if kinds == [InferenceEvent, LabelEvent]:
        return {"if": {"required": ["label"]}, "then": references[1], "else": references[0]}
    return references[0] if len(kinds) == 1 else {"anyOf": list(references)}


def _head(name: str, description: str) -> Schema:
    return {
        "$schema": DIALECT,
        "$id": f"urn:io.inferwatch:{name}:1",
        "title": f"inferwatch {name}",
        "description": description,
    }


def _plain(schema: Any) -> Any:
    """The same schema, shorter: types that are alternatives in one list, texts without indents."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _plain(value) for key, value in schema.items()}
    if isinstance(found.get("description"), str):
        found["description"] = inspect.cleandoc(found["description"])
    simple = [list(option) == ["type"] for option in found.get("anyOf", ())]
    if simple and all(simple):
        types = [option["type"] for option in found.pop("anyOf")]
        found = {
            "type": [name for name in types if name != "integer" or "number" not in types]
        } | found
    return found


def _parts(schema: Any) -> Iterator[Schema]:
    """A schema and every schema inside of it."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _parts(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _parts(item)


def _limit(schema: Schema, is_event: bool) -> None:
    """The longest string, and for single events the most fields of an object."""
    types = schema.get("type", ())
    types = [types] if isinstance(types, str) else types
    if "string" in types:
        schema.setdefault("maxLength", bounds.STRING_MAX_BYTES)
    if is_event and "object" in types and "additionalProperties" in schema:
        schema["maxProperties"] = bounds.FIELDS_MAX


# ── monitor files: written by hand, held to what `config` reads by a test ───────────────────────


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


WORD, DURATION, SIZE, AMOUNT = map(_ref, ("word", "duration", "size", "amount"))
UNITS = {
    "word": {"type": ["string", "integer", "boolean"], "minLength": 1},
    "duration": {
        "type": "string",
        "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$",
        "examples": ["30s", "1h30m", "14d"],
    },
    "size": {
        "type": "string",
        "pattern": r"^\d{1,18}\s*(B|KiB|MiB|GiB|kB|MB)$",
        "examples": ["512KiB", "64MiB"],
    },
    "amount": {
        "type": ["number", "string"],
        "pattern": r"^\s*([+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*(%|pp|ms|s|m|h)?"
        r"|(\d+(\.\d+)?(ms|s|m|h|d|w))+)\s*$",
        "description": "A number; `5%` is relative, `5pp` are points, `250ms` is a duration.",
        "examples": [0.25, "5%", "5pp", "250ms", "3d"],
    },
}


def _object(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False} | more


def _map(values: Schema, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": values} | more


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _monitor_file() -> Schema:
    root = {
        "apiVersion": {"enum": [monitors.API_VERSION]},
        "match": _object({"model": WORD}, required=["model"]),
        "extends": WORD | {"description": "A file beside this one; own keys rule over its."},
        "model": _object(_facts()),
        "reference": _object(
            {
                "profile": WORD,
                "last": DURATION,
                "min_rows": _whole(50, 1_000_000),
                "min_span": DURATION,
            },
            dependentSchemas={
                "profile": {"properties": dict.fromkeys(monitors.LEARNT_KEYS, False)}
            },
        ),
        "windows": _map(_ref("window"), minProperties=1, maxProperties=soundness.WINDOWS_MAX),
        "checks": {
            "type": "array",
            "items": _ref("check"),
            "maxItems": soundness.CHECKS_MAX,
        },
    }
    description = (
        "A monitor file (docs/monitors.md). Loading a file checks more than a schema can say: "
        "that a metric fits the task and the method, that a limit has the metric's unit."
    )
    definitions = UNITS | {"window": _window(), "check": _check(), "limit": _limit_of_a_check()}
    document = _head("monitor-file", description) | _object(root, required=["apiVersion"])
    return document | {"$defs": definitions}


def _facts() -> Schema:
    return {
        "task": {"enum": ["binary", "multiclass", "ranking", "regression"]},
        "positive": WORD,
        "label_delay": DURATION,
        "label_wait": DURATION,
        "label_horizon": DURATION,
        "segments": {
            "type": "array",
            "items": WORD,
            "maxItems": soundness.SEGMENT_COLUMNS_MAX,
        },
        "segments_max": _whole(1, soundness.SEGMENTS_MAX),
        "segments_min_rows": _whole(1, soundness.ROWS_MAX),
        "score_bins": {"enum": [score_labels.BINS, score_labels.FINE_BINS]},
        "pending_max": SIZE,
        "restate_every": DURATION,
        "timezone": {"type": "string", "minLength": 1, "examples": ["Europe/Berlin"]},
    }


def _window() -> Schema:
    of_time = {"required": ["size"], "properties": {"rows": False}}
    of_rows = {
        "required": ["rows"],
        "properties": {"size": False, "step": False, "grace": False},
    }
    return _object(
        {
            "size": DURATION,
            "step": DURATION,
            "rows": _whole(50, 1_000_000),
            "grace": DURATION,
            "exact": {"type": "boolean"},
        },
        oneOf=[of_time, of_rows],
    )


def _check() -> Schema:
    families = (checks.ROW_PARAMS, checks.SERIES_PARAMS, checks.SHARE_PARAMS)
    params = sorted({name for one in families for params in one.values() for name in params})
    positive = {"type": "number", "exclusiveMinimum": 0}
    limit = {"anyOf": [{"const": limits.CALIBRATED}, _ref("limit")]}
    whole = ["traffic", "error", "score", "prediction", "latency", "features"]
    return _object(
        {
            "alert": WORD,
            "metric": {
                "anyOf": [
                    {"enum": whole + sorted(checks.PLAIN)},
                    {"type": "string", "pattern": r"^feature\.."},
                ]
            },
            "method": {"enum": list(checks.METHODS)},
            "window": WORD,
            "against": {"enum": ["reference"]},
            "versus": WORD,
            "segment_by": {"type": "array", "items": WORD},
            "when": _object(
                {"rows": _whole(1, 10**9), "labels": _whole(1, 10**9), "coverage": AMOUNT}
            ),
            "warn": limit,
            "fail": limit,
            "times": {
                "type": "string",
                "pattern": r"^\s*\d+\s+of\s+\d+\s*$",
                "examples": ["2 of 3"],
            },
            "for": DURATION,
            "keep_firing_for": DURATION,
            "mode": {"enum": ["alert", "observe"]},
            "labels": _map(WORD),
            "annotations": _map(WORD),
            "params": _object(
                dict.fromkeys(params, positive) | {"mode": {"enum": list(checks.MODES)}}
            ),
        },
        required=["alert", "metric"],
    )


def _limit_of_a_check() -> Schema:
    return _object(
        dict.fromkeys((*limits.DIRECTIONS, "clear"), AMOUNT),
        oneOf=[{"required": [name]} for name in limits.DIRECTIONS],
    )


# ── the topics, as an AsyncAPI document ────────────────────────────────────────────────

SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
MODEL_KEY = {"type": "string", "description": "The model's name.", **INPUT["model"]}
KEYLESS = ("skip", "gap", "tick")
WRITTEN = ["monitor", "inspection", "skip", "gap", "tick"]
CHANNELS = {
    "events": "Everything that happens to a model, in one order.",
    "windows": "Closed windows, label figures again under a higher revision; changes of schemas.",
    "alerts": "Transitions of alerts; the highest seq of a fingerprint rules.",
    "dlq": "What could not be read, as it came, with reason and place.",
}


def asyncapi() -> Schema:
    """Topics that others may read or write, and the records on each."""
    messages = _events() | {
        "window": _message("window", JSON, MODEL_KEY, "window.schema.json"),
        "schema": _message("schema", JSON, MODEL_KEY, "schema.schema.json"),
        "alert": _message(
            "alert",
            JSON,
            {"type": "string", "description": "The alert's fingerprint."},
            "alert.schema.json",
        ),
        "letter": _letter(),
    }
    outputs = {"windows": ["window", "schema"], "alerts": ["alert"], "dlq": ["letter"]}
    placed = {"events": list(_events())} | outputs
    operations = {
        "readEvents": _operation("receive", "events", placed["events"]),
        "writeEvents": _operation("send", "events", WRITTEN),
        **{f"write{name.title()}": _operation("send", name, outputs[name]) for name in outputs},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "inferwatch",
            "version": __version__,
            "description": "What crosses Kafka. Operations are inferwatch's own: what it receives, "
            "others may send. README.md beside this file has headers, limits and versions.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {name: _channel(name, placed[name]) for name in CHANNELS},
        "operations": operations,
        "components": {"messages": messages},
    }


def _events() -> dict[str, Schema]:
    """The records of the events topic by their names here."""
    found = {
        f"{word}Batch": _message(word, MSGPACK, MODEL_KEY, "") for word in ("inference", "label")
    }
    found |= {
        f"{word}Event": _message(word, JSON, MODEL_KEY, f"event.schema.json#/$defs/{kind.__name__}")
        for word, kind in (("inference", InferenceEvent), ("label", LabelEvent))
    }
    for word, kind in decode.EVENTS.items():
        key = None if word in KEYLESS else MODEL_KEY
        found[word] = _message(word, JSON, key, f"small-event.schema.json#/$defs/{kind.__name__}")
    tick = _message("tick", JSON, None, "")
    return found | {"tick": tick | {"summary": "Time passed. There is no body."}}


def _message(word: str, content_type: str, key: Schema | None, file: str) -> Schema:
    """One record: `file` has its JSON schema, "" where it has none."""
    type_ = f"{PREFIX}{word}.v1"
    headers = {
        "ce_type": {"type": "string", "const": type_},
        "content-type": {"type": "string", "const": content_type},
        **{name: {"type": "string"} for name in ("ce_specversion", "ce_id", "ce_source")},
    }
    found: Schema = {
        "name": type_,
        "contentType": content_type,
        "headers": {"type": "object", "properties": headers},
    }
    if content_type == MSGPACK:
        found["payload"] = {"description": "One msgpack map of columns, as batch.md has it."}
    elif file:
        found["payload"] = {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./{file}"}}
    if key is not None:
        found["bindings"] = {"kafka": {"key": key}}
    return found


def _letter() -> Schema:
    names = ("reason", "topic", "partition", "offset", "timestamp", "stage", "id", "body")
    headers = {f"{ERROR_HEADERS}{name}": {"type": "string"} for name in names}
    return {
        "name": "dead letter",
        "summary": "Key, value and headers of a record as it came, and what was wrong with it.",
        "headers": {"type": "object", "properties": headers, "required": list(headers)},
        "payload": {"description": "The record's bytes, or none."},
    }


def _channel(name: str, messages: list[str]) -> Schema:
    [topic] = [one for one in topics.wanted("") if one.name == f"{name}.v1"]
    return {
        "address": "{prefix}" + topic.name,
        "description": CHANNELS[name],
        "parameters": {"prefix": {"default": connection.PREFIX, "description": "A setting."}},
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in messages},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": [topic.config["cleanup.policy"]]},
            }
        },
    }


def _operation(action: str, channel: str, messages: list[str]) -> Schema:
    place = f"#/channels/{channel}"
    return {
        "action": action,
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/{one}"} for one in messages],
    }


# ── the files ──────────────────────────────────────────────────────────────────────


def text(schema: Schema) -> str:
    """The file's text."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def texts() -> dict[str, str]:
    """Every file by its name."""
    stream = io.StringIO()
    YAML().dump(json.loads(text(asyncapi())), stream)  # as JSON first: no part is named twice
    found = {name: text(schema) for name, schema in documents().items()}
    return found | {"asyncapi.yaml": stream.getvalue()}


def _files(folder: Path) -> list[Path]:
    return [*folder.glob("*.schema.json"), *folder.glob("asyncapi.yaml")]


def differences(folder: Path) -> list[str]:
    """What is wrong with the files in `folder`, a line each."""
    wanted = texts()
    found = {path.name: path.read_text(encoding="utf-8") for path in _files(folder)}
    missing = [f"{name} is missing" for name in wanted if name not in found]
    stale = [f"{name} belongs to no record" for name in sorted(found) if name not in wanted]
    changed = [
        f"{name} is out of date" for name in wanted if found.get(name, wanted[name]) != wanted[name]
    ]
    return missing + stale + changed


def write(folder: Path) -> None:
    """Write every file and delete what is none."""
    folder.mkdir(exist_ok=True)
    for path in _files(folder):
        path.unlink()
    for name, content in texts().items():
        (folder / name).write_text(content, encoding="utf-8")


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args(arguments).check:
        write(folder)
        return 0
    found = differences(folder)
    for line in found:
        print(f"schemas/{line}: {REMEDY}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
