"""The schemas and samples that are published, and what the fold gives out, as tests read them."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import jsonschema

from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode
from inferwatch.testing import streams

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ROOT / "schemas"
SAMPLES = {
    f"{path.parent.name}/{path.name.partition('.')[0]}": json.loads(path.read_text("utf-8"))
    for path in sorted(SCHEMAS.glob("golden/*/*.expected.json"))
}
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


def body_of(name):
    """The bytes of a sample."""
    body = SAMPLES[name]["body"]
    return b"" if body is None else (SCHEMAS / "golden" / name).with_name(body).read_bytes()


@cache
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
