"""Arrays and data frames are read as they come, copied, and judged row by row where that can be."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

TIMES = [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)]
TIMES_MS = [1_704_067_200_000, 1_704_153_600_000]


def numbers(batch):
    block = np.frombuffer(batch.numeric.data, "<f4").reshape(-1, batch.rows)
    return dict(zip(batch.numeric.names, block.tolist(), strict=True))


@pytest.mark.parametrize(
    ("features", "settings"),
    [
        (pd.DataFrame({"a": [1.5, 2.5], "b": [3, 4]}), {}),
        ({"a": np.array([1.5, 2.5], "f4"), "b": [3, 4]}, {}),
        ({"a": pd.array([1.5, 2.5], dtype="Float64"), "b": pd.Series([3, 4], dtype="Int8")}, {}),
        (np.array([[1.5, 3], [2.5, 4]]), {"names": ["a", "b"]}),
        (np.asfortranarray([[1.5, 3], [2.5, 4]], dtype="f4"), {"names": ["a", "b"]}),
    ],
)
def test_frames_mappings_and_matrices_say_the_same(wire, features, settings):
    """One and the same data in every accepted form gives the same columns."""
    monitor = wire.monitor()
    ids = monitor.log_batch(features, **settings)
    (batch,) = wire.drain(monitor)
    assert len(ids) == batch.rows == 2
    assert numbers(batch) == {"a": [1.5, 2.5], "b": [3.0, 4.0]}


@pytest.mark.parametrize(
    "timestamp",
    [
        TIMES,
        np.array(TIMES_MS),
        pd.Series(TIMES),
        pd.Series(TIMES).dt.tz_localize(None),
        np.array(["2024-01-01", "2024-01-02"], "M8[ns]"),
    ],
)
def test_times_are_read_in_every_form_that_is_clear(wire, timestamp):
    """Datetimes, numpy and pandas times, and integer milliseconds mean the same moments."""
    monitor = wire.monitor()
    monitor.log_batch({"a": [1, 2]}, timestamp=timestamp)
    (batch,) = wire.drain(monitor)
    assert np.frombuffer(batch.time_ms, "<i8").tolist() == TIMES_MS


def test_categories_words_and_gaps_of_a_data_frame(wire):
    """pandas' categorical, object and nullable columns become words with their gaps."""
    frame = pd.DataFrame(
        {
            "grade": pd.Categorical(["A", None, "A"]),
            "country": pd.array(["DE", pd.NA, "FR"], dtype="string"),
            "ok": [True, False, True],
        }
    )
    monitor = wire.monitor()
    monitor.log_batch(frame, prediction=frame["ok"])
    (batch,) = wire.drain(monitor)
    codes = {n: np.frombuffer(c.codes, "<i4").tolist() for n, c in batch.categories.items()}
    assert codes == {"grade": [0, -1, 0], "country": [0, -1, 1], "ok": [0, 1, 0]}
    assert np.frombuffer(batch.prediction.data, "<f8").tolist() == [1.0, 0.0, 1.0]


def test_what_numpy_masks_is_missing(wire):
    """Numbers, classes and labels: numpy would put 1e20 in their place."""
    masked = np.ma.array([1, 2], mask=[False, True])
    monitor = wire.monitor()
    monitor.log_batch({"a": masked}, prediction=masked, timestamp=TIMES)
    monitor.log_labels(["one", "two"], masked)
    rows, truths = wire.drain(monitor)
    np.testing.assert_array_equal(numbers(rows)["a"], [1.0, np.nan])
    np.testing.assert_array_equal(np.frombuffer(rows.prediction.data, "<f8"), [1.0, np.nan])
    assert truths.rows == 1


def test_the_caller_may_reuse_its_arrays_at_once(wire):
    """Columns are copied before `log_batch` returns, rows before `log` does."""
    values, words, row = np.array([1.0, 2.0]), ["x", "y"], {"a": 1.0, "b": "x"}
    monitor = wire.monitor()
    monitor.log_batch({"a": values, "b": words})
    monitor.log(row)
    values[:], words[:] = 9.0, ["z", "z"]
    row.update(a=9.0, b="z")
    (batch,) = wire.drain(monitor)
    assert numbers(batch) == {"a": [1.0, 2.0, 1.0]}
    assert batch.categories["b"].words == ["x", "y"]


def test_single_rows_without_time_or_label_are_dropped_alone(wire):
    """A bad row among good ones costs itself only and is counted."""
    monitor = wire.monitor()
    monitor.log_batch({"a": [1, 2, 3]}, timestamp=[TIMES[0], "yesterday", TIMES[1]])
    monitor.log_labels(["x", "y", "z"], [1, None, 0])
    answers, labels = wire.drain(monitor)
    assert numbers(answers) == {"a": [1.0, 3.0]}
    assert (labels.rows, labels.ids.data) == (2, b"xz")
    assert monitor.counters.dropped == {"bad_row": 2}


@pytest.mark.parametrize(
    "arguments",
    [
        {"features": {"a": [1, 2, 3]}, "prediction": [1, 2]},
        {"features": np.zeros((3, 2))},
        {"features": np.zeros((3, 2)), "names": ["a"]},
        {"features": [[1], [2], [3]], "names": ["a"]},
        {"features": {"a": [1, 2, 3]}, "proba": np.zeros((3, 2))},
        {"features": {"a": [1, 2, 3]}, "timestamp": [1, 2]},
    ],
)
def test_columns_that_do_not_fit_are_dropped_and_counted_whole(wire, arguments, caplog):
    """Different lengths and matrices without names are `bad_row`, said once, never raised."""
    monitor = wire.monitor()
    assert len(monitor.log_batch(**arguments)) == 3
    assert wire.drain(monitor) == []
    assert monitor.counters.dropped == {"bad_row": 3}
    assert len(caplog.messages) == 1


def test_an_odd_value_is_missing_and_the_feature_is_named_once(wire, caplog):
    """Lists and objects as feature values do not cost the row."""
    monitor = wire.monitor()
    for _ in range(3):
        monitor.log({"embedding": [0.1, 0.2], "a": 1.0})
    monitor.log_batch({"embedding": [[1], [2]], "a": [2.0, 3.0]})
    (batch,) = wire.drain(monitor)
    assert numbers(batch) == {"a": [1.0, 1.0, 1.0, 2.0, 3.0]}
    assert ["embedding" in line for line in caplog.messages] == [True]


@pytest.mark.parametrize("cast", [list, np.array, pd.Series, lambda e: pd.array(e, "boolean")])
def test_false_is_no_error_in_any_form(wire, cast):
    """Of a column of truth values the true ones are errors: numpy's false was the word of one."""
    monitor = wire.monitor()
    monitor.log_batch({"a": [1, 2]}, error=cast([False, True]))
    monitor.log({"a": 3}, error=np.False_)
    (batch,) = wire.drain(monitor)
    assert batch.error.words == ["true"]
    assert np.frombuffer(batch.error.codes, "<i4").tolist() == [-1, 0, -1]


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan, pd.NaT])
def test_one_missing_score_or_latency_costs_no_batch(wire, missing):
    """Whatever says that a number is not there is missing in its row, and the others are sent."""
    monitor = wire.monitor()
    monitor.log_batch({"a": [1, 2]}, proba=[0.5, missing], latency_ms=[missing, 3.0])
    (batch,) = wire.drain(monitor)
    assert np.frombuffer(batch.scores.data).tolist()[0] == 0.5
    assert np.isnan(np.frombuffer(batch.scores.data)[1])
    assert np.isnan(np.frombuffer(batch.latency_ms, "<f4")).tolist() == [True, False]
