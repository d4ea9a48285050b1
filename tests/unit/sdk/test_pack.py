"""What was logged is what a reader of the batch finds."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.sdk.emitter import BATCH_BYTES_MAX


def texts(column):
    ends = np.frombuffer(column.ends, "<u4").tolist()
    starts = [0, *ends[:-1]]
    return [column.data[a:b].decode() for a, b in zip(starts, ends, strict=True)]


def worded(column):
    return [None if code < 0 else column.words[code] for code in np.frombuffer(column.codes, "<i4")]


def floats(data, kind="<f8"):
    return [None if math.isnan(value) else value for value in np.frombuffer(data, kind).tolist()]


def numeric(batch):
    block = np.frombuffer(batch.numeric.data, "<f4").reshape(len(batch.numeric.names), batch.rows)
    return dict(zip(batch.numeric.names, block, strict=True))


names = st.sampled_from(["a", "b", "c", "ü"])
values = st.one_of(
    st.none(), st.floats(width=32, allow_nan=False), st.text(max_size=5), st.booleans()
)


@given(st.lists(st.dictionaries(names, values), min_size=1, max_size=20), st.data())
def test_every_feature_value_arrives_where_it_was_put(rows, data):
    """Numbers are in the float block, words in the dictionaries, gaps are missing, row by row."""
    from inferwatch.sdk import pack, table
    from inferwatch.sdk.privacy import Privacy

    cut = data.draw(st.integers(0, len(rows)))
    packed = []
    for part in (rows[:cut], rows[cut:]):
        if part:
            packed.append(
                table.of_rows(
                    [
                        table.Row(str(n), n, tuple(row), tuple(row.values()), *[None] * 8)
                        for n, row in enumerate(part)
                    ]
                )
            )
    head = pack.Head("m", "e", 0, len(rows), {}, "i")
    batch = pack.inference(table.join(packed), "1", head, Privacy("m"))
    numbers = {} if batch.numeric is None else numeric(batch)
    found = {name: worded(column) for name, column in batch.categories.items()}
    for n, row in enumerate(rows):
        for name in ("a", "b", "c", "ü"):
            value = row.get(name)
            number = numbers[name][n] if name in numbers else math.nan
            word = found[name][n] if name in found else None
            if isinstance(value, float):
                assert number == value and word is None
            else:
                assert math.isnan(number)
                expected = str(value).lower() if isinstance(value, bool) else value
                assert word == expected


def test_a_row_keeps_all_that_was_said_about_it(wire):
    """Ids, times, answers, scores, latency, error, segments and entity stand in their columns."""
    monitor = wire.monitor(instance="pod-7", segments={"region": "eu"})
    first = monitor.log(
        {"amount": 1.5},
        1,
        0.93,
        timestamp=1_700_000_000_000,
        entity_id=42,
        latency_ms=12.5,
        segments={"country": "DE"},
    )
    monitor.log({"amount": None}, 0, prediction_id="mine", error=TimeoutError("secret"))
    (batch,) = wire.drain(monitor)
    assert (batch.model, batch.version, batch.instance) == ("risk/fraud", "12", "pod-7")
    assert texts(batch.ids) == [first, "mine"]
    assert np.frombuffer(batch.time_ms, "<i8")[0] == 1_700_000_000_000
    assert floats(batch.prediction.data) == [1.0, 0.0]
    assert (batch.scores.names, floats(batch.scores.data)) == (["score"], [0.93, None])
    assert floats(batch.latency_ms, "<f4") == [12.5, None]
    assert worded(batch.error) == [None, "TimeoutError"]
    assert worded(batch.segments["region"]) == ["eu", "eu"]
    assert worded(batch.segments["country"]) == ["DE", None]
    assert texts(batch.entity) == ["42", ""]
    assert first == f"{batch.emitter}-0"


def test_what_a_call_used_stands_in_its_columns(wire, caplog):
    """By row and by batch, missing where a row does not say; a name that is none is told once."""
    monitor = wire.monitor()
    monitor.log(None, llm={"input_tokens": 812, "cost": None, "finish_reason": "stop"})
    monitor.log({"a": 1.0})
    with monitor.timed() as call:
        call.llm = {"output_tokens": np.int64(7), "tokens": 9}
    (batch,) = wire.drain(monitor)
    assert floats(batch.llm.input_tokens, "<f4") == [812, None, None]
    assert floats(batch.llm.output_tokens, "<f4") == [None, None, 7]
    assert floats(batch.llm.cost, "<f4") == [None, None, None]
    assert batch.llm.time_to_first_token_ms is None
    assert worded(batch.llm.finish_reason) == ["stop", None, None]
    assert "llm['tokens'] is not sent" in caplog.text
    llm = {"input_tokens": np.array([1, 2]), "finish_reason": ["length", None], "cost": 0.5}
    monitor.log_batch({"a": [1.0, 2.0]}, llm=llm)
    monitor.log(None, llm={"cost": float("inf")})
    monitor.log_batch({"a": [1.0, 2.0]}, llm={"cost": [float("inf"), 1.0]})
    monitor.log({"a": 1.0})
    _, batch = wire.drain(monitor)
    assert floats(batch.llm.input_tokens, "<f4") == [1, 2, None, None]
    assert worded(batch.llm.finish_reason) == ["length", None, None, None]
    assert floats(batch.llm.cost, "<f4") == [0.5, 0.5, 1.0, None]
    assert monitor.counters.dropped == {"bad_row": 2}


def test_classes_are_words_and_their_scores_have_their_names(wire):
    """A multiclass answer: prediction by word, one float64 column a class."""
    monitor = wire.monitor()
    monitor.log({}, "cat", {"cat": 0.7, "dog": 0.3})
    monitor.log({}, True, {"dog": 1.0})
    (batch,) = wire.drain(monitor)
    assert worded(batch.prediction) == ["cat", "1"]
    assert batch.scores.names == ["cat", "dog"]
    assert floats(batch.scores.data) == [0.7, None, 0.3, 1.0]


def test_rows_and_arrays_make_the_same_batch(wire):
    """`log` row by row and `log_batch` at once send equal columns for equal data."""
    random = np.random.default_rng(1)
    amounts, countries = random.normal(size=700), random.choice(["DE", "FR"], 700)
    answers, scores = random.integers(0, 2, 700), random.random(700)
    times = np.arange(700) + 1_700_000_000_000
    ids = [f"id-{n}" for n in range(700)]
    one_by_one, at_once = wire.monitor(), wire.monitor()
    for n in range(700):
        one_by_one.log(
            {"amount": amounts[n], "country": countries[n]},
            answers[n],
            scores[n],
            timestamp=times[n],
            prediction_id=ids[n],
        )
    at_once.log_batch(
        {"amount": amounts, "country": countries},
        answers,
        scores,
        timestamp=times,
        prediction_id=ids,
    )
    wire.drain(one_by_one)
    rows, wire.records = wire.records, []
    wire.drain(at_once)
    assert [batch.rows for batch in rows] == [batch.rows for batch in wire.records] == [500, 200]
    for left, right in zip(rows, wire.records, strict=True):
        plain = {"emitter": "", "instance": ""}
        assert msgspec.structs.replace(left, **plain) == msgspec.structs.replace(right, **plain)


def test_small_batches_share_a_record(wire):
    """Calls with 8 rows, as an online predictor makes them, still travel 500 to a record."""
    monitor = wire.monitor()
    for n in range(125):
        monitor.log_batch({"a": np.full(8, n), "b": ["x"] * 8}, [n] * 8)
    batches = wire.drain(monitor)
    assert [batch.rows for batch in batches] == [496, 496, 8]
    assert numeric(batches[0])["a"].tolist() == [float(n) for n in range(62) for _ in range(8)]


@pytest.mark.parametrize("door", ["log", "log_batch"])
def test_what_is_too_large_is_split_and_never_stripped(wire, door):
    """Rows of 4 KB each arrive complete, in order, in records of at most 192 KiB."""
    monitor = wire.monitor()
    wide = {f"f{n}": float(n) for n in range(1_000)}
    if door == "log":
        ids = [monitor.log(wide, 1) for _ in range(500)]
    else:
        ids = monitor.log_batch({name: np.full(500, value) for name, value in wide.items()})
    batches = wire.drain(monitor)
    assert [name for batch in batches for name in texts(batch.ids)] == ids
    assert max(map(len, wire.bodies)) <= BATCH_BYTES_MAX
    assert [batch.seq for batch in batches] == list(range(len(batches)))
    assert [batch.emitted for batch in batches] == np.cumsum([b.rows for b in batches]).tolist()
    assert all(numeric(batch)["f999"].tolist() == [999.0] * batch.rows for batch in batches)


def test_one_row_over_the_limit_is_dropped_and_its_neighbours_arrive(wire):
    """`too_large` costs that row only, and the batches behind it say so."""
    monitor = wire.monitor()
    for n in range(20):
        width = BATCH_BYTES_MAX // 8_000 + 1 if n == 7 else 1
        monitor.log({f"note{place}": f"{place}" * 8_000 for place in range(width)})
    batches = wire.drain(monitor)
    assert sum(batch.rows for batch in batches) == 19
    assert monitor.counters.dropped == {"too_large": 1}
    received = 0
    for batch in batches:
        received += batch.rows
        assert batch.emitted == received + sum(batch.dropped.values())


def test_labels_travel_beside_predictions_and_share_the_sequence(wire):
    """Ids, values and times of labels; interleaved calls do not cut batches; one `seq` for both."""
    monitor = wire.monitor()
    for n in range(100):
        prediction_id = monitor.log({"a": n}, 1)
        monitor.log_label(prediction_id, 0, timestamp=1_700_000_000_000 + n)
    monitor.log_labels(["x", "y"], ["fraud", "fine"], version="11")
    answers, labels, versioned = wire.drain(monitor)
    assert (answers.rows, labels.rows, versioned.rows) == (100, 100, 2)
    assert texts(labels.ids) == texts(answers.ids)
    assert floats(labels.label.data) == [0.0] * 100
    assert np.frombuffer(labels.time_ms, "<i8")[99] == 1_700_000_000_099
    assert (labels.version, versioned.version) == (None, "11")
    assert worded(versioned.label) == ["fraud", "fine"]
    assert [answers.seq, labels.seq, versioned.seq] == [0, 1, 2]
    assert [answers.emitted, labels.emitted, versioned.emitted] == [100, 200, 202]


def test_nan_among_words_is_a_missing_word(wire):
    """Data frames write a missing text as NaN; that makes no numeric feature of it."""
    monitor = wire.monitor()
    monitor.log_batch({"country": ["DE", math.nan, None]})
    (batch,) = wire.drain(monitor)
    assert worded(batch.categories["country"]) == ["DE", None, None]
    assert batch.numeric is None


def test_headers_say_what_the_record_is(wire):
    """CloudEvents headers in binary mode, with an id that is unique and repeats with the batch."""
    monitor = wire.monitor(instance="pod-7")
    monitor.log({"a": 1})
    monitor.deploy("13")
    wire.drain(monitor)
    batch, deploy = wire.headers
    assert batch["ce_id"] == f"{wire.records[0].emitter}-0".encode()
    assert batch["content-type"] == b"application/msgpack"
    assert deploy["ce_type"] == b"io.inferwatch.deploy.v1"
    assert deploy["content-type"] == b"application/json"
    assert batch["ce_source"] == b"inferwatch-sdk/pod-7"
