"""Dead letters: what they say, how many a record may have, how much of them is kept."""

import pytest
from msgspec.structs import replace

from inferwatch import __version__
from inferwatch.core.output import (
    ATTEMPTS,
    ERROR_HEADERS,
    FIRST_SEEN,
    LETTERS_MAX,
    dead_output,
    dead_outputs,
)
from inferwatch.errors import Reason
from inferwatch.records.raw import RawRecord, Reject
from inferwatch.runtime import letters
from inferwatch.runtime.letters import Quota

RAW = RawRecord(
    "inferwatch.events.v1", 3, 17, 1_700_000_000_000, b"team/model", b"{", {"ce_id": b"x"}
)
REJECT = Reject(reason=Reason.NOT_JSON, detail="it ends")


def header(letter, name: str) -> str:
    """One of our headers of a letter."""
    return letter.headers[f"{ERROR_HEADERS}{name}"].decode()


def test_a_letter_says_where_it_is_from_and_why():
    """Key, bytes and headers as they came, beside Connect's names for what went wrong."""
    letter = dead_output(RAW, REJECT)
    assert (letter.key, letter.value, letter.headers["ce_id"]) == (b"team/model", b"{", b"x")
    said = {
        name: header(letter, name)
        for name in ("topic", "partition", "offset", "timestamp", "stage", "reason")
    }
    assert said == {
        "topic": "inferwatch.events.v1",
        "partition": "3",
        "offset": "17",
        "timestamp": "1700000000000",
        "stage": "decode",
        "reason": "not_json",
    }
    assert header(letter, "exception.class") == "DataError"
    assert header(letter, "exception.message") == "it ends"
    assert header(letter, "attempts") == "1"
    assert header(letter, "first_seen") == "1700000000000"
    assert header(letter, "id") == letter.id == "inferwatch.events.v1-3-17"


def test_a_letter_of_a_record_sent_again_counts_on():
    """`attempts` and `first_seen` reach back; nonsense in their place begins anew."""
    again = replace(RAW, headers={ATTEMPTS: b"2", FIRST_SEEN: b"1600000000000"})
    assert header(dead_output(again, REJECT), "attempts") == "3"
    assert header(dead_output(again, REJECT), "first_seen") == "1600000000000"
    forged = replace(RAW, headers={ATTEMPTS: b"-1", FIRST_SEEN: "¹²".encode()})
    assert header(dead_output(forged, REJECT), "attempts") == "1"
    assert header(dead_output(forged, REJECT), "first_seen") == "1700000000000"


def test_a_record_has_few_letters_and_one_body():
    """The first carries the bytes, the last counts what is beyond the cap: no row is untold."""
    rejects = [replace(REJECT, row=row, rows=2) for row in range(0, 60, 2)]
    found = dead_outputs(RAW, rejects)
    assert len(found) == LETTERS_MAX
    assert [letter.value for letter in found] == [b"{"] + [b""] * (LETTERS_MAX - 1)
    assert sum(int(header(letter, "rows")) for letter in found) == 60
    assert len({letter.id for letter in found}) == LETTERS_MAX


def test_a_flood_of_headers_is_left_out_and_said():
    """F35: 10,000 headers, or one of 1 MB, leave a letter that the topic takes."""
    many = {f"h{number}": b"x" for number in range(10_000)}
    letter = dead_output(replace(RAW, headers=many), REJECT)
    assert len(letter.headers) < 100
    assert header(letter, "headers_left_out") == "9936"
    large = dead_output(replace(RAW, headers={"a": b"kept", "b": b"x" * (1 << 20)}), REJECT)
    assert large.headers["a"] == b"kept"
    assert header(large, "headers_left_out") == "1"


def test_the_quota_is_ten_a_second_or_one_percent():
    """Over a minute of slow traffic ten letters a second keep their bytes, of fast traffic 1 %."""
    for records_per_s, kept_per_s in ((20, 10), (100, 10), (10_000, 100)):
        quota, kept = Quota(), 0
        for number in range(60 * records_per_s):
            quota.read(1, number / records_per_s)
            kept += quota.take()
        burst = letters.FLOOR_PER_S * letters.BURST_S
        assert kept == pytest.approx(60 * kept_per_s + burst, rel=0.02)


def test_above_the_quota_a_letter_points_to_the_bytes():
    """Key and headers stay; an unknown schema is always whole, because an upgrade will read it."""
    quota = Quota()
    while quota.take():
        pass
    pointer = letters.fit(dead_output(RAW, REJECT), quota)
    assert (pointer.value, header(pointer, "body")) == (b"", letters.OVER_QUOTA)
    assert (pointer.key, header(pointer, "offset")) == (b"team/model", "17")
    unknown = dead_output(RAW, replace(REJECT, reason=Reason.SCHEMA_UNKNOWN))
    whole = letters.fit(unknown, quota)
    assert (whole.value, header(whole, "body")) == (b"{", "here")
    assert header(whole, "version") == __version__


@pytest.mark.parametrize("reason", [Reason.TOO_LARGE, Reason.SCHEMA_UNKNOWN])
def test_a_letter_that_the_topic_would_refuse_goes_without_bytes(reason):
    """A body just under the topic's limit does not fit with our headers; a huge key neither."""
    large = dead_output(replace(RAW, value=b"x" * (1 << 20)), replace(REJECT, reason=reason))
    fitted = letters.fit(large, Quota())
    assert (fitted.value, header(fitted, "body")) == (b"", letters.TOO_LARGE)
    keyed = letters.fit(dead_output(replace(RAW, key=b"k" * (1 << 20)), REJECT), Quota())
    assert (keyed.key, keyed.value) == (b"", b"{")
