"""What one JSON event says, as a batch of one row."""

import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.errors import DataError, Reason
from inferwatch.records import bounds, single
from inferwatch.records.raw import EMBEDDING_DIM_MAX
from inferwatch.records.rows import Rows, Truths, Words

EVENT = {
    "model": "team/model",
    "version": "1",
    "prediction_id": "a",
    "timestamp": 1_700_000_000_000,
}


def read(word="inference", **fields):
    """The rows of an event with these fields."""
    return single.decode(word, json.dumps(EVENT | fields).encode())


def word(column):
    """The word of a column of one row."""
    return None if column.codes[0] < 0 else column.words[column.codes[0]]


def test_an_event_is_a_batch_without_a_number():
    """No emitter: nothing tells a repeat."""
    rows = read()
    assert isinstance(rows, Rows)
    assert (rows.n, rows.emitter, rows.seq, rows.emitted) == (1, "", -1, 0)
    assert rows.prediction is rows.latency_ms is rows.error is rows.entity is None


def test_features_are_numbers_or_words():
    """Numbers are numeric; text, true and false are words; null is as good as left out."""
    rows = read(features={"a": 1, "b": 2.5, "c": "DE", "d": True, "e": False, "f": None, "g": ""})
    assert rows.numeric_names == ("a", "b")
    assert rows.numeric.tolist() == [[1.0], [2.5]]
    assert rows.numeric.dtype == np.float32
    assert {name: word(column) for name, column in rows.categories.items()} == {
        "c": "DE",
        "d": "true",
        "e": "false",
        "g": "",
    }


def test_numbers_beyond_float32_are_infinite():
    """As in a batch, where a feature has four bytes."""
    rows = read(features={"a": 1e39, "b": -1e300})
    assert rows.numeric.tolist() == [[np.inf], [-np.inf]]


@pytest.mark.parametrize(
    ("given_", "read_as"),
    [(1, [1.0]), (True, [1.0]), (False, [0.0]), (0.5, [0.5]), ("cat", "cat"), (None, None)],
)
def test_predictions_are_numbers_or_words(given_, read_as):
    """True and false are 1 and 0 as answers."""
    found = read(prediction=given_).prediction
    found = word(found) if isinstance(found, Words) else found
    assert (found if found is None or isinstance(found, str) else found.tolist()) == read_as


def test_one_probability_is_a_score():
    """`proba` is the column `score`; `scores` names its own columns and rules over it."""
    assert read(proba=0.25).score_names == ("score",)
    rows = read(proba=0.25, scores={"cat": 0.75, "dog": 0.125})
    assert rows.score_names == ("cat", "dog")
    assert rows.scores.tolist() == [[0.75], [0.125]]


def test_the_rest_is_carried_over():
    """Latency, error, segments, entity and instance."""
    rows = read(
        latency_ms=12,
        error="timeout",
        segments={"s": "a", "t": None},
        entity_id="u",
        instance="h",
    )
    assert rows.latency_ms.tolist() == [12.0]
    assert word(rows.error) == "timeout"
    assert {name: word(column) for name, column in rows.segments.items()} == {"s": "a", "t": None}
    assert (rows.entity, rows.instance) == (["u"], "h")


def test_what_a_call_used_is_carried_over():
    """Figures that are left out or null are missing."""
    calls = read(llm={"input_tokens": 9, "cost": 0.5, "finish_reason": "stop"}).llm
    assert calls.numbers[:, 0].tolist()[::3] == [9.0, 0.5]
    assert np.isnan(calls.numbers[1:3]).all()
    assert word(calls.finish_reason) == "stop"
    assert read(llm=None).llm is None
    assert word(read(llm={}).llm.finish_reason) is None


def test_a_vector_is_carried_over():
    """One of as many numbers as may be too; null is none, and so is one beyond float32."""
    found = read(embedding=[1, -0.5, 0.1]).embedding
    np.testing.assert_array_equal(found, np.float32([[1, -0.5, 0.1]]))
    whole = read(embedding=[1.0] * EMBEDDING_DIM_MAX).embedding
    assert (whole.shape, whole.dtype) == ((1, EMBEDDING_DIM_MAX), np.float32)
    assert read(embedding=None).embedding is read().embedding is None
    assert np.isnan(read(embedding=[1.0, 1e39]).embedding).all()


def test_an_object_with_a_label_is_a_label():
    """Without a type the field decides; with one the type does."""
    assert isinstance(read(word="", label=1), Truths)
    assert isinstance(read(word=""), Rows)
    assert isinstance(read(word="inference", label=1), Rows)


def test_a_label_has_a_version_or_every_one():
    """`version` left out or null labels every version's prediction."""
    assert read(word="label", label="yes").version == "1"
    assert read(word="label", label="yes", version=None).version is None
    assert word(read(word="label", label="yes").label) == "yes"
    assert read(word="label", label=False).label.tolist() == [0.0]


moments = st.datetimes(datetime(1971, 1, 2), datetime(2900, 1, 1), timezones=st.sampled_from([UTC]))


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_a_time_is_the_same_in_any_zone(moment, offset_minutes):
    """ISO 8601 with any offset is the millisecond that it names, microseconds rounded."""
    moment = moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    there = moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    assert single.time_ms(there.isoformat()) == expected
    assert single.time_ms(expected) == expected


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_bad_one(text):
    """No text raises anything but `bad_time`."""
    try:
        assert isinstance(single.time_ms(text), int)
    except DataError as error:
        assert error.reason == Reason.BAD_TIME


def test_a_type_gives_its_word():
    """`io.inferwatch.<word>.v1`, and nothing near it."""
    assert single.word_of("io.inferwatch.deploy.v1") == "deploy"
    for type_ in (
        "io.inferwatch.deploy",
        "io.inferwatch..v1",
        "deploy.v1",
        "",
        "IO.inferwatch.x.v1",
    ):
        with pytest.raises(DataError) as refused:
            single.word_of(type_)
        assert refused.value.reason == Reason.SCHEMA_INVALID


@pytest.mark.parametrize(
    "evil",
    [
        b'"\\"' + b'\\"' * 130_000,
        b'"' * 262_144,
        b"\\" * 262_144,
        b"-" * 262_144,
        b"[]" * 131_072,
        b'{"a":' * 15 + b"1e999," * 40_000,
        b'{"model": NaN' + b', "": 1e9' * 25_000,
    ],
    ids=["open string", "quotes", "backslashes", "signs", "brackets", "overflow", "fields"],
)
@pytest.mark.timeout(60)
def test_no_body_costs_more_than_its_length(evil):
    """The checks are linear: one that backtracks would need hours for some of these 256 KiB."""
    with pytest.raises(DataError):
        single.decode("", evil)


def test_bounds_can_be_widened():
    """A caller that trusts its sender names its own limits; depth and strings stay."""
    body = json.dumps({str(name): 1 for name in range(600)}).encode()
    with pytest.raises(DataError, match="too_many_fields"):
        bounds.check(body)
    bounds.check(body, fields_max=600)
    with pytest.raises(DataError, match="too_large"):
        bounds.check(body, size_max_bytes=len(body) - 1, fields_max=600)
