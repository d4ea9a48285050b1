"""Headers of our records, and the name of a record."""

from inferwatch.records.raw import Decoded, RawRecord, headers


def test_headers_are_those_of_a_binary_cloud_event():
    """All attributes that CloudEvents 1.0 demands, as Kafka's binding names them."""
    found = headers("deploy", id="ü1", source="s", time="2026-01-01T00:00:00Z", content_type="a/b")
    assert found == {
        "ce_specversion": b"1.0",
        "ce_id": "ü1".encode(),
        "ce_source": b"s",
        "ce_type": b"io.inferwatch.deploy.v1",
        "ce_time": b"2026-01-01T00:00:00Z",
        "content-type": b"a/b",
    }


def test_a_record_is_named_by_its_place():
    """Topic, partition and offset are nobody else's."""
    assert RawRecord("events.v1", 3, 14, 0, None, None).name == "events.v1-3-14"


def test_a_record_that_is_no_batch_counts_as_one_row():
    """What was decoded says how many rows came in."""
    assert Decoded(None).rows_in == 1
