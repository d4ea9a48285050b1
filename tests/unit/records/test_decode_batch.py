"""Every way in which a batch can be wrong has its reason, and the rows that are right are kept."""

import math

import msgspec
import numpy as np
import pytest
from malformed import (
    TIME_MS,
    batch,
    event,
    floats,
    label_batch,
    raw_bytes,
    reject,
    texts,
    with_body,
)

from inferwatch.records import columns
from inferwatch.records.decode import (
    BODY_MAX_BYTES,
    COLUMNS_MAX,
    EARLIEST_MS,
    LATEST_MS,
    ROWS_MAX,
    decode,
)
from inferwatch.records.raw import EMBEDDING_DIM_MAX, INSTANCE_MAX, TEXT_MAX_BYTES
from inferwatch.testing import builders

BAD_BATCHES = {
    "no msgpack": (raw_bytes("inference", value=b"\xc1"), "not_msgpack"),
    "cut": (raw_bytes("inference", value=batch().value[:-1]), "not_msgpack"),
    "list": (raw_bytes("inference", value=b"\x90"), "schema_invalid"),
    "JSON for msgpack": (raw_bytes("inference", value=event()), "schema_invalid"),
    "bytes that are no UTF-8": (
        raw_bytes("inference", value=batch().value.replace(b"team/model", b"team/mode\xff")),
        "bad_utf8",
    ),
    "1,025 levels": (
        raw_bytes("inference", value=b"\x81\xa1z" + b"\x91" * 1_025 + b"\xc0"),
        "depth",
    ),
    "1 MiB + 1": (raw_bytes("inference", value=bytes(BODY_MAX_BYTES + 1)), "too_large"),
    "resource as msgpack": (raw_bytes("resource", value=b"\x80"), "schema_invalid"),
    "no model": (batch(model=...), "missing_field"),
    "no version": (batch(version=...), "missing_field"),
    "no ids": (batch(ids=...), "missing_field"),
    "no times": (batch(time_ms=...), "missing_field"),
    "empty version": (batch(version=""), "missing_field"),
    "empty emitter": (batch(emitter=""), "missing_field"),
    "text for a number": (batch(rows="3"), "schema_invalid"),
    "unknown kind of column": (batch(prediction={"kind": "tensor"}), "schema_invalid"),
    "major + 1": (batch(schema="2.0"), "schema_unknown"),
    "major + 1 with other fields": (
        batch(schema="2.0", rows="three", time_ms=...),
        "schema_unknown",
    ),
    "version abc": (batch(schema="abc"), "schema_unknown"),
    "version abc with other fields": (batch(schema="abc", ids=...), "schema_unknown"),
    "no rows": (batch(rows=0), "int_range"),
    "negative rows": (batch(rows=-3), "int_range"),
    "too many rows": (batch(rows=ROWS_MAX + 1), "int_range"),
    "negative seq": (batch(seq=-1), "int_range"),
    "seq 2^62": (batch(seq=2**62), "int_range"),
    "emitted 2^64 - 1": (batch(emitted=2**64 - 1), "int_range"),
    "negative count": (batch(dropped={"queue_full": -1}), "int_range"),
    "negative count that is called seq": (batch(dropped={"seq": -1}), "int_range"),
    "rows that the columns lack": (batch(rows=4), "column_length"),
    "half a number": (batch(latency_ms=bytes(11)), "column_length"),
    "half a number of llm": (batch(llm={"cost": bytes(11)}), "column_length"),
    "llm that is no map": (batch(llm=[]), "schema_invalid"),
    "vectors that are no map": (batch(embedding=[0.5]), "schema_invalid"),
    "vectors of no number": (batch(embedding={"dim": 0, "data": b""}), "int_range"),
    "vectors too long": (
        batch(embedding={"dim": EMBEDDING_DIM_MAX + 1, "data": bytes(12 * EMBEDDING_DIM_MAX + 12)}),
        "int_range",
    ),
    "vectors of half a number": (
        batch(embedding={"dim": 1.5, "data": bytes(18)}),
        "schema_invalid",
    ),
    "vectors without their size": (batch(embedding={"data": bytes(12)}), "missing_field"),
    "vectors of two rows of three": (
        batch(embedding={"dim": 2, "data": bytes(16)}),
        "column_length",
    ),
    "a finish reason that is none": (
        batch(llm={"finish_reason": {"words": ["a"], "codes": columns.pack("i", [0, 1, -1])}}),
        "int_range",
    ),
    "column too short": (
        batch(numeric={"names": ["a", "b"], "data": bytes(12)}),
        "column_length",
    ),
    "ids that end early": (batch(ids=texts(b"abc", 1, 2, 2)), "column_length"),
    "ids that run back": (batch(ids=texts(b"abc", 2, 1, 3)), "column_length"),
    "ids that are no UTF-8": (batch(ids=texts(b"a\xffb", 1, 2, 3)), "bad_utf8"),
    "ids cut inside a letter": (batch(ids=texts("äb".encode(), 1, 2, 3)), "bad_utf8"),
    "column twice": (
        batch(numeric={"names": ["a", "a"], "data": bytes(24)}),
        "duplicate_key",
    ),
    "code outside the dictionary": (
        batch(categories={"c": {"words": ["DE"], "codes": columns.pack("i", [0, 1, 0])}}),
        "int_range",
    ),
    "code below -1": (
        batch(categories={"c": {"words": ["DE"], "codes": columns.pack("i", [0, -2, 0])}}),
        "int_range",
    ),
    "long id": (
        batch(ids=texts(b"x" * (TEXT_MAX_BYTES + 3), 1, 2, TEXT_MAX_BYTES + 3)),
        "too_large",
    ),
    "long word": (
        batch(
            categories={"c": {"words": ["ä" * TEXT_MAX_BYTES], "codes": bytes(12)}},
        ),
        "too_large",
    ),
    "long instance": (batch(instance="x" * (INSTANCE_MAX + 1)), "schema_invalid"),
    "long version": (batch(version="x" * (TEXT_MAX_BYTES + 1)), "too_large"),
    "long column name": (
        batch(segments={"x" * (TEXT_MAX_BYTES + 1): {"words": ["a"], "codes": bytes(12)}}),
        "too_large",
    ),
    "too many columns": (
        batch(
            n=1,
            ids=texts(b"a", 1),
            numeric={
                "names": [str(name) for name in range(COLUMNS_MAX)],
                "data": bytes(4 * COLUMNS_MAX),
            },
            categories={},
            segments={"a": {"words": ["a"], "codes": bytes(4)}},
        ),
        "too_many_fields",
    ),
    "too many scores": (
        batch(
            n=1,
            scores={"names": [str(name) for name in range(COLUMNS_MAX + 1)], "data": b""},
        ),
        "too_many_fields",
    ),
    "every time in seconds": (batch(time_ms=columns.pack("q", [TIME_MS // 1_000] * 3)), "bad_time"),
    "every id empty": (batch(ids=texts(b"", 0, 0, 0)), "missing_field"),
    "every label missing": (label_batch(label=floats(*[math.nan] * 3)), "label_invalid"),
    "label nil": (label_batch(label=None), "label_invalid"),
    "no label": (label_batch(label=...), "missing_field"),
    "label of a later major": (label_batch(schema="2.0", label=...), "schema_unknown"),
    "null key": (msgspec.structs.replace(batch(), key=None), "key_mismatch"),
    "another key": (msgspec.structs.replace(batch(), key=b"team/other"), "key_mismatch"),
    "model that is no name": (batch(model="a//b"), "schema_invalid"),
}


@pytest.mark.parametrize(("raw", "reason"), BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_a_bad_batch_has_its_reason(raw, reason):
    """Nothing of the batch is read, and one reject says why."""
    assert reject(raw).reason == reason


def test_one_bad_row_costs_no_other():
    """F02: the other rows are kept in order, and the reject names the row."""
    n = 500
    times = [TIME_MS + row for row in range(n)]
    times[7] = TIME_MS // 1_000
    raw = builders.raw_inference(
        n=n,
        time_ms=times,
        record_time_ms=TIME_MS,
        numeric={"row": list(range(n))},
        categories={"even": [str(row % 2) for row in range(n)]},
        prediction=[float(row) for row in range(n)],
        segments={"s": [str(row) for row in range(n)]},
    )
    decoded = decode(raw)
    kept = [row for row in range(n) if row != 7]
    assert [(found.reason, found.row, found.rows) for found in decoded.rejects] == [
        ("bad_time", 7, 1)
    ]
    assert decoded.record.n == n - 1
    assert decoded.record.ids == [f"0-{row}" for row in kept]
    for column in (decoded.record.numeric[0], decoded.record.prediction):
        assert column.tolist() == kept
    words = decoded.record.segments["s"]
    assert [words.words[code] for code in words.codes] == [str(row) for row in kept]


def test_rows_with_one_fault_share_a_reject():
    """A batch has one dead letter a reason, not one a row, and each row counts once."""
    times = [TIME_MS, 1, 1, TIME_MS, TIME_MS, TIME_MS]
    raw = with_body(
        builders.raw_inference(
            n=6,
            time_ms=times,
            record_time_ms=TIME_MS,
            prediction=[1, 1, math.inf, math.inf, math.nan, 1],
            score=[0.5, 0.5, 0.5, 0.5, 0.5, -math.inf],
            latency_ms=[1, math.inf, 1, 1, 1, math.inf],
        ),
        ids=texts(b"abcdf", 1, 2, 3, 4, 4, 5),
    )
    decoded = decode(raw)
    assert [(found.reason, found.row, found.rows) for found in decoded.rejects] == [
        ("bad_time", 1, 2),
        ("missing_field", 4, 1),
        ("non_finite", 3, 1),
        ("non_finite", 5, 1),
    ]
    assert "rows 1, 2 of 6" in decoded.rejects[0].detail
    assert decoded.record.ids == ["a"]
    assert decoded.rows_in == 6


def test_a_label_that_tells_nothing_costs_no_other():
    """F32: missing and infinite labels are rejected by row, in both kinds of columns."""
    numbers = decode(label_batch(label=floats(math.nan, 1, -math.inf)))
    coded = {"kind": "categories", "words": ["yes"], "codes": columns.pack("i", [-1, 0, -1])}
    words = decode(label_batch(label=coded))
    for decoded in (numbers, words):
        assert [(found.reason, found.rows) for found in decoded.rejects] == [("label_invalid", 2)]
        assert decoded.record.ids == ["1"]
    assert numbers.record.label.tolist() == [1.0]


def test_missing_values_of_a_batch_are_missing():
    """NaN and -1 are no faults: absent answers, scores, latencies and words keep their rows."""
    raw = builders.raw_inference(
        n=2,
        numeric={"a": [math.nan, math.inf]},
        categories={"c": [None, "x"]},
        prediction=[math.nan, 1],
        score=[math.nan, 0.5],
        latency_ms=[math.nan, 2],
        error=[None, "timeout"],
    )
    decoded = decode(raw)
    assert decoded.rejects == ()
    np.testing.assert_array_equal(decoded.record.numeric, np.float32([[math.nan, math.inf]]))
    assert decoded.record.error.codes.tolist() == [-1, 0]


def test_weights_travel_as_float32():
    """`weight` has four bytes a row, as the specification says."""
    rows = decode(batch(weight=columns.pack("f", [1, 2.5, 4]))).record
    assert rows.weight.tolist() == [1, 2.5, 4]
    assert reject(batch(weight=columns.pack("d", [1, 2, 3]))).reason == "column_length"
    assert reject(batch(weight=columns.pack("f", [math.inf] * 3))).reason == "non_finite"


def test_times_are_milliseconds_from_1971_to_2969():
    """The range in which seconds, micro- and nanoseconds of our days cannot lie."""
    times = [EARLIEST_MS - 1, EARLIEST_MS, LATEST_MS - 1, LATEST_MS]
    decoded = decode(batch(n=4, time_ms=columns.pack("q", times)))
    assert decoded.record.time_ms.tolist() == [EARLIEST_MS, LATEST_MS - 1]
    for ours_ms in (TIME_MS, 4_102_444_800_000):
        for factor in (1e-3, 1e3, 1e6):
            assert not EARLIEST_MS <= ours_ms * factor < LATEST_MS


def test_what_is_below_zero_is_no_latency_and_no_count():
    """A clock that was set back costs the latency, not the row; an infinite one still the row."""
    spent = {"cost": [-1, 0.5, 1], "input_tokens": [5, -math.inf, 7]}
    batch = builders.raw_inference(n=3, latency_ms=[-0.5, 2, 0], llm=spent)
    decoded = decode(batch)
    assert [(found.reason, found.row) for found in decoded.rejects] == [("non_finite", 1)]
    np.testing.assert_array_equal(decoded.record.latency_ms, [math.nan, 0])
    np.testing.assert_array_equal(decoded.record.llm.numbers[[0, 3]], [[5, 7], [math.nan, 1]])
    assert decode(builders.raw_inference(n=2, latency_ms=[1, -math.inf])).record.n == 1
    event = {"model": "team/model", "version": "1", "prediction_id": "a", "timestamp": 10**12}
    sent = msgspec.json.encode(event | {"latency_ms": -1e300, "llm": {"cost": -1}})
    single = decode(msgspec.structs.replace(batch, value=sent, headers={})).record
    assert np.isnan(single.latency_ms).all() and np.isnan(single.llm.numbers).all()


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_missing_without_a_word():
    """Bits that a sender's memory may hold: numpy would warn of them on the worker's terminal."""
    signalling = np.array([0x7FA00000] * 3, "<u4").tobytes()
    decoded = decode(batch(latency_ms=signalling))
    assert np.isnan(decoded.record.latency_ms).all() and not decoded.rejects
