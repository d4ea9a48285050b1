"""schemas/asyncapi.yaml: every topic that others may use, every record on it, and nothing else.

Held to the AsyncAPI 3.0 structure that is used of it; what it says of headers, keys and bodies to
the recorded samples.
"""

import json
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry, Resource
from ruamel.yaml import YAML

from inferwatch.records.decode import EVENTS
from inferwatch.runtime import topics

SCHEMAS = Path(__file__).parents[2] / "schemas"
DOCUMENT = YAML(typ="safe", pure=True).load(SCHEMAS / "asyncapi.yaml")
MESSAGES = DOCUMENT["components"]["messages"]
SAMPLES = sorted((SCHEMAS / "golden").glob("*/*.expected.json"))
INTERNAL = {"state.v1", "notified.v1"}
FORMAT = "application/schema+json;version=draft-2020-12"


def found(reference):
    """What a reference within the document, or to a file beside it, leads to."""
    file, _, pointer = reference.partition("#")
    place = json.loads((SCHEMAS / file).read_text(encoding="utf-8")) if file else DOCUMENT
    for part in pointer.split("/")[1:]:
        place = place[part]
    return place


def references(part):
    """Every `$ref` in a part of the document."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def validator(schema):
    """Of a JSON schema that may refer to the files in schemas/."""

    def beside(uri):
        return Resource.from_contents(json.loads((SCHEMAS / uri).read_text(encoding="utf-8")))

    return jsonschema.Draft202012Validator(schema, registry=Registry(retrieve=beside))


def test_every_reference_leads_somewhere():
    """Within the document and to the schemas beside it."""
    named = list(references(DOCUMENT))
    assert len(named) > 40
    assert all(isinstance(found(reference), dict) for reference in named)


def test_the_channels_are_the_topics():
    """All but the two that belong to inferwatch alone, with their partitions and clean-up."""
    wanted = {one.name: one for one in topics.wanted("") if one.name not in INTERNAL}
    channels = {
        channel["address"].removeprefix("{prefix}"): channel
        for channel in DOCUMENT["channels"].values()
    }
    assert channels.keys() == wanted.keys()
    for name, channel in channels.items():
        bound = channel["bindings"]["kafka"]
        assert bound["partitions"] == wanted[name].partitions
        policy = bound["topicConfiguration"]["cleanup.policy"]
        assert policy == [wanted[name].config["cleanup.policy"]]
        assert channel["parameters"]["prefix"]["default"] == "inferwatch."


def test_each_message_is_on_one_channel_and_in_an_operation():
    """Operations name messages of their own channel; the events topic has every word there is."""
    on = [name for channel in DOCUMENT["channels"].values() for name in channel["messages"]]
    assert sorted(on) == sorted(MESSAGES)
    used = set()
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        place = operation["channel"]["$ref"]
        named = [reference["$ref"] for reference in operation["messages"]]
        assert all(reference.startswith(f"{place}/messages/") for reference in named)
        used |= {reference.rsplit("/", 1)[1] for reference in named}
    assert used == set(MESSAGES)
    words = {
        MESSAGES[name]["name"].split(".")[2] for name in DOCUMENT["channels"]["events"]["messages"]
    }
    assert words == {"inference", "label", "tick", *EVENTS}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_has_what_the_structure_asks_for(message):
    """A name, headers that are an object's, a payload in a format that is named."""
    described = MESSAGES[message]
    assert described["name"] and described["headers"]["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(described["headers"])
    payload = described.get("payload", {})
    if "schema" in payload:
        assert payload["schemaFormat"] == FORMAT
        validator(payload["schema"]).is_valid({})
    else:
        assert message == "tick" or "description" in payload


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_samples_are_messages_of_the_document(sample):
    """Headers, key and body of each fit a message of that name, and of no other content type."""
    expected = json.loads(sample.read_text(encoding="utf-8"))
    headers = expected["headers"]
    if "ce_type" not in headers or "cloudevents" in headers.get("content-type", ""):
        return  # read by their bodies, or wrapped: README.md tells of both
    matching = [
        described
        for described in MESSAGES.values()
        if described["name"] == headers["ce_type"]
        and validator(described["headers"]).is_valid(headers)
    ]
    assert len(matching) == 1
    key = matching[0].get("bindings", {}).get("kafka", {}).get("key")
    assert (key is None) == (expected["key"] is None)
    if key is not None:
        jsonschema.Draft202012Validator(key).validate(expected["key"])
    payload = matching[0].get("payload", {})
    if "schema" in payload:
        body = json.loads((sample.parent / expected["body"]).read_text(encoding="utf-8"))
        validator(payload["schema"]).validate(body)
