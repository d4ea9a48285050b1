"""Batches as msgpack: what is left out, what is skipped, what is read from others."""

import msgspec
import pytest

from inferwatch.records import columns
from inferwatch.records.batch import InferenceBatch, LabelBatch, encode
from inferwatch.records.decode import decode
from inferwatch.records.raw import MSGPACK, RawRecord, headers

HEAD = {"model": "m", "version": "1", "emitter": "e", "seq": 0, "rows": 1}
ROW = {"time_ms": columns.pack("q", [10**12]), "ids": columns.pack_texts(["a"])}


def read(body):
    """What the reader makes of a batch's bytes."""
    described = headers("inference", id="1", source="test", time="", content_type=MSGPACK)
    return decode(RawRecord("events.v1", 0, 0, 0, b"m", body, described))


def test_what_is_not_there_costs_no_bytes():
    """Fields at their defaults are left out, the schema's version too."""
    body = encode(InferenceBatch(**HEAD, **ROW))
    assert set(msgspec.msgpack.decode(body)) == {*HEAD, *ROW}
    labels = LabelBatch(**HEAD, **ROW, label=columns.Numbers(bytes(8)))
    assert set(msgspec.msgpack.decode(encode(labels))) == {*HEAD, *ROW, "label"}


def test_a_column_says_its_kind():
    """Where a column may be numbers or words its map names which."""
    body = encode(InferenceBatch(**HEAD, **ROW, prediction=columns.pack_categories(["x"])))
    assert msgspec.msgpack.decode(body)["prediction"]["kind"] == "categories"
    assert msgspec.msgpack.decode(body, type=InferenceBatch).prediction.words == ["x"]


@pytest.mark.parametrize(
    ("field", "optional"),
    [
        ("numeric", True),
        ("prediction", True),
        ("scores", True),
        ("latency_ms", True),
        ("error", True),
        ("weight", True),
        ("entity", True),
        ("llm", True),
        ("embedding", True),
        ("categories", False),
        ("segments", False),
        ("dropped", False),
        ("instance", False),
        ("schema", False),
    ],
)
def test_nil_is_read_where_the_specification_says_so(field, optional):
    """A writer that sends nil for an absent column is read; elsewhere nil is no value."""
    body = msgspec.msgpack.encode({**HEAD, **ROW, field: None})
    reasons = [reject.reason for reject in read(body).rejects]
    assert reasons == ([] if optional else ["schema_invalid"])


def test_bytes_and_text_are_not_interchangeable():
    """A column that comes as text, or a name that comes as bytes, is refused and not guessed."""
    for changed in ({"time_ms": "12345678"}, {"model": b"m"}):
        (reject,) = read(msgspec.msgpack.encode({**HEAD, **ROW, **changed})).rejects
        assert reject.reason == "schema_invalid"


def test_keys_may_come_in_any_order():
    """The map is a map."""
    body = msgspec.msgpack.encode(dict(reversed([*HEAD.items(), *ROW.items()])))
    assert read(body).record.ids == ["a"]


def test_nothing_may_stand_behind_a_batch():
    """Two batches in one record are no batch."""
    body = encode(InferenceBatch(**HEAD, **ROW))
    (reject,) = read(body + body).rejects
    assert reject.reason == "not_msgpack"
