"""An independent library reads what is sent and written as CloudEvents."""

import json
import re

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from published import SAMPLES, SCHEMAS, body_of, outputs

from inferwatch.core.output import ERROR_HEADERS, HEADERS_MAX, dead_outputs
from inferwatch.records.decode import decode
from inferwatch.records.raw import JSON, RawRecord, headers

WITH_HEADERS = [name for name, found in SAMPLES.items() if found["headers"]]


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


def test_outputs_are_cloud_events():
    """Each record names itself: its id, type and content; keys are as promised."""
    kinds = set()
    for output in outputs():
        if output.kind in ("window", "schema", "alert"):
            event = cloud_event(output.headers, output.key, output.value)
            record = json.loads(output.value)
            key = record["fingerprint"] if output.kind == "alert" else record["model"]
            assert output.key == key.encode()
            assert event.get_id() == record["id"]
            assert event.get_type() == f"io.inferwatch.{output.kind}.v1"
            assert event.get_source() == f"inferwatch/{record['model']}"
            kinds.add(output.kind)
    assert kinds == {"window", "schema", "alert"}


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
